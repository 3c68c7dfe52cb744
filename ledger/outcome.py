"""The outcome: what a record knows of its messages after a fact about one of them. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import (
    OF_DELIVERIES,
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryImported,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.outbox import Waiting, find, is_fallback, is_of_end
from tallystick.ledger.record import TaskRecord

Changes: TypeAlias = dict[str, Any]


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
    if data.until is not None and data.route is not None:
        waiting = replace(waiting, until=data.until)
    return _added(record, event, waiting)


def after_withheld(record: TaskRecord, event: Event, data: DeliveryWithheld) -> Changes:
    """One more waits, which nobody sends before it is released; after a while it is skipped."""
    withheld = DeliveryStatus.WITHHELD
    waiting = Waiting(data.delivery, event.position, withheld, event.recorded_at, due_at=data.until)
    return _added(record, event, waiting)


def _added(record: TaskRecord, event: Event, waiting: Waiting) -> Changes:
    if find(record.outbox, waiting.delivery) is not None:
        raise Corrupt(f"task {record.task_id} queues {waiting.delivery} twice", position=event.position)
    changes: Changes = {"outbox": (*record.outbox, waiting)}
    if waiting.tells(record.status):
        changes["delivery_status"] = DeliveryStatus.PENDING if waiting.is_withheld else waiting.status
    return changes


def after_released(record: TaskRecord, event: Event, data: DeliveryReleased) -> Changes:
    """It is not withheld any more; the message that is sent follows in the same moment."""
    return _gone(record, _known(record, event, data.delivery), DeliveryStatus.PENDING)


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
    return _moved(record, waiting, status=status, queued_at=now, due_at=now, until=None)


def after_dismissed(record: TaskRecord, event: Event, data: DeliveryDismissed) -> Changes:
    """It is done with."""
    return _gone(record, _known(record, event, data.delivery), DeliveryStatus.DISMISSED)


def after_imported(record: TaskRecord, event: Event, data: DeliveryImported) -> Changes:
    """It is known what became of telling elsewhere."""
    if record.is_active:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)
    return {"delivery_status": data.status}


EVOLVERS: dict[type, Callable[[TaskRecord, Event, Any], Changes]] = {
    DeliveryQueued: after_queued,
    DeliveryWithheld: after_withheld,
    DeliveryReleased: after_released,
    DeliveryAttempted: after_attempted,
    DeliveryUnknown: after_unknown,
    DeliveryDelivered: after_delivered,
    DeliveryFailed: after_failed,
    DeliveryRetried: after_retried,
    DeliveryDismissed: after_dismissed,
    DeliveryImported: after_imported,
}
"""What each fact about a message changes."""

assert set(EVOLVERS) == OF_DELIVERIES
