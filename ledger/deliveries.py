"""Deliveries: how the messages of a task go on, as rules. Pure: what follows a report, and what a record knows then.

What becomes of telling never changes what became of the work.
"""

from typing import Any, TypeAlias

from msgspec.structs import replace

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.outbox import Waiting, find, is_fallback, is_of_end, other_way
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Facts, Refusal, refused

OF_DELIVERIES: frozenset[type] = frozenset(
    {
        DeliveryQueued,
        DeliveryAttempted,
        DeliveryUnknown,
        DeliveryDelivered,
        DeliveryFailed,
        DeliveryRetried,
        DeliveryDismissed,
    }
)
"""The facts that are about telling, and not about the work."""

Changes: TypeAlias = dict[str, Any]
Report: TypeAlias = DeliveryAttempted | DeliveryUnknown | DeliveryFailed


# What follows a report.


def attempted(record: TaskRecord, _command: Command, data: Report) -> Facts | Refusal:
    """An attempt is recorded while attempts are made. Once nobody could tell, nobody knows that it did not arrive.

    What waits in a session can only fail, when nobody has confirmed it in time.
    """
    waiting = find(record.outbox, data.delivery)
    if waiting is None or waiting.due_at is None or (waiting.route is None and not isinstance(data, DeliveryFailed)):
        return refused(record, data)
    if waiting.status is not DeliveryStatus.UNKNOWN or isinstance(data, DeliveryUnknown):
        return (data,)
    due_at = data.due_at if isinstance(data, DeliveryAttempted) else None
    return (DeliveryUnknown(delivery=data.delivery, attempt=data.attempt, error=data.error, due_at=due_at),)


def delivered(record: TaskRecord, _command: Command, data: DeliveryDelivered) -> Facts | Refusal:
    """What was done with before is not done with again.

    What arrived on one way need not arrive on the other: neither the copy in the session of what could be sent after
    all, nor what could not be sent and was taken from the session.
    """
    if find(record.outbox, data.delivery) is None:
        return NOTHING
    other = find(record.outbox, other_way(data.delivery))
    if other is None:
        return (data,)
    return (DeliveryDismissed(delivery=other.delivery, reason="it arrived on the other way"), data)


def retried(record: TaskRecord, _command: Command, data: DeliveryRetried) -> Facts | Refusal:
    """Only what waits for an operator is sent again by one."""
    stuck = [each for each in record.outbox if each.is_stuck and data.delivery in (None, each.delivery)]
    if not stuck:
        return refused(record, data)
    return tuple(DeliveryRetried(delivery=each.delivery, reason=data.reason) for each in stuck)


def dismissed(record: TaskRecord, _command: Command, data: DeliveryDismissed) -> Facts | Refusal:
    """What has not arrived need not arrive any more."""
    given_up = [each for each in record.outbox if data.delivery in (None, each.delivery)]
    if not given_up:
        return refused(record, data)
    return tuple(DeliveryDismissed(delivery=each.delivery, reason=data.reason) for each in given_up)


# What is known after it.


def _told(record: TaskRecord, delivery: str, status: DeliveryStatus) -> Changes:
    """The delivery status of a task is that of the message that tells the one who asked of its end."""
    changes: Changes = {}
    waiting = find(record.outbox, delivery)
    if waiting is not None and waiting.tells(record.status):
        changes["delivery_status"] = status
    return changes


def after_queued(record: TaskRecord, event: Event, data: DeliveryQueued) -> Changes:
    """One more waits."""
    due_at = event.recorded_at if data.route is not None else data.until
    status = DeliveryStatus.SESSION_QUEUED if data.route is None else DeliveryStatus.PENDING
    waiting = Waiting(data.delivery, event.position, status, event.recorded_at, data.route, data.session, due_at=due_at)
    if find(record.outbox, data.delivery) is not None:
        raise Corrupt(f"task {record.task_id} queues {data.delivery} twice", position=event.position)
    changes: Changes = {"outbox": (*record.outbox, waiting)}
    if waiting.tells(record.status):
        changes["delivery_status"] = status
    return changes


def _known(record: TaskRecord, event: Event, delivery: str | None) -> Waiting:
    waiting = None if delivery is None else find(record.outbox, delivery)
    if waiting is None:
        raise Corrupt(f"task {record.task_id} has no delivery {delivery} that waits", position=event.position)
    return waiting


def _moved(record: TaskRecord, waiting: Waiting, **to: Any) -> Changes:
    outbox = tuple(replace(each, **to) if each is waiting else each for each in record.outbox)
    return {"outbox": outbox, **_told(record, waiting.delivery, to["status"])}


def _gone(record: TaskRecord, waiting: Waiting, status: DeliveryStatus) -> Changes:
    outbox = tuple(each for each in record.outbox if each is not waiting)
    return {"outbox": outbox, **_told(record, waiting.delivery, status)}


def after_attempted(record: TaskRecord, event: Event, data: DeliveryAttempted) -> Changes:
    """It waits for its next attempt."""
    waiting = _known(record, event, data.delivery)
    return _moved(record, waiting, status=waiting.status, attempts=data.attempt, due_at=data.due_at)


def after_unknown(record: TaskRecord, event: Event, data: DeliveryUnknown) -> Changes:
    """It waits for its next attempt, if there is one, and may have arrived."""
    waiting = _known(record, event, data.delivery)
    return _moved(record, waiting, status=DeliveryStatus.UNKNOWN, attempts=data.attempt, due_at=data.due_at)


def after_failed(record: TaskRecord, event: Event, data: DeliveryFailed) -> Changes:
    """It waits for an operator; what nobody took from a session in time is not to be taken any more."""
    waiting = _known(record, event, data.delivery)
    if waiting.route is None:
        return _gone(record, waiting, DeliveryStatus.FAILED)
    return _moved(record, waiting, status=DeliveryStatus.FAILED, attempts=data.attempt, due_at=None)


def after_delivered(record: TaskRecord, event: Event, data: DeliveryDelivered) -> Changes:
    """It is done with; the one who asked has also been told when the session took what could not be sent."""
    waiting = _known(record, event, data.delivery)
    changes = _gone(record, waiting, DeliveryStatus.DELIVERED)
    if is_fallback(waiting.delivery) and is_of_end(waiting.delivery, record.status):
        changes["delivery_status"] = DeliveryStatus.DELIVERED
    return changes


def after_retried(record: TaskRecord, event: Event, data: DeliveryRetried) -> Changes:
    """It is due now, with all the time that a new one has. What may have arrived may have arrived all the same."""
    waiting = _known(record, event, data.delivery)
    now = event.recorded_at
    status = waiting.status if waiting.status is DeliveryStatus.UNKNOWN else DeliveryStatus.PENDING
    return _moved(record, waiting, status=status, queued_at=now, due_at=now)


def after_dismissed(record: TaskRecord, event: Event, data: DeliveryDismissed) -> Changes:
    """It is done with."""
    return _gone(record, _known(record, event, data.delivery), DeliveryStatus.DISMISSED)
