"""Deliveries: how the messages of a task go on, as rules. Pure: what follows a report.

What becomes of telling never changes what became of the work.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Refused
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryImported,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy
from tallystick.ledger.outbox import find, other_way
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, SIGNALS, Facts, Refusal, refused

_UNTOLD = frozenset({DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE})

Report: TypeAlias = DeliveryAttempted | DeliveryUnknown | DeliveryFailed


def attempted(record: TaskRecord, _command: Command, data: Report) -> Facts | Refusal:
    """An attempt is recorded while attempts are made. Once nobody could tell, nobody knows that it did not arrive.

    What waits in a session can only fail, when nobody has confirmed it in time.
    """
    waiting = find(record.outbox, data.delivery)
    if waiting is None or waiting.is_withheld or waiting.due_at is None:
        return refused(record, data)
    if waiting.route is None and not isinstance(data, DeliveryFailed):
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
    waiting = find(record.outbox, data.delivery)
    if waiting is None or waiting.is_withheld:
        return NOTHING
    other = find(record.outbox, other_way(data.delivery))
    if other is None:
        return (data,)
    return (DeliveryDismissed(delivery=other.delivery, reason="it arrived on the other way"), data)


def released(record: TaskRecord, _command: Command, data: DeliveryReleased) -> Facts | Refusal:
    """Only what is withheld is released, and once: what somebody has dismissed meanwhile is not sent after all."""
    waiting = find(record.outbox, data.delivery)
    return (data,) if waiting is not None and waiting.is_withheld else NOTHING


def retried(record: TaskRecord, _command: Command, data: DeliveryRetried) -> Facts | Refusal:
    """Only what waits for an operator is sent again by one."""
    stuck = [each for each in record.outbox if each.is_stuck and data.delivery in (None, each.delivery)]
    if not stuck:
        return _nothing_to(record, data)
    return tuple(DeliveryRetried(delivery=each.delivery, reason=data.reason) for each in stuck)


def dismissed(record: TaskRecord, _command: Command, data: DeliveryDismissed) -> Facts | Refusal:
    """What has not arrived need not arrive any more."""
    given_up = [each for each in record.outbox if data.delivery in (None, each.delivery)]
    if not given_up:
        return _nothing_to(record, data)
    return tuple(DeliveryDismissed(delivery=each.delivery, reason=data.reason) for each in given_up)


def imported(record: TaskRecord, _command: Command, data: DeliveryImported) -> Facts | Refusal:
    """What became of telling elsewhere is taken over once an imported task has ended, and nobody was told here."""
    if record.delivery_status is data.status:
        return NOTHING
    is_untold = record.delivery_status in _UNTOLD and not any(each.tells(record.status) for each in record.outbox)
    if record.imported is None or record.is_active or not is_untold or data.status is DeliveryStatus.WITHHELD:
        return refused(record, data)
    return (data,)


def _nothing_to(record: TaskRecord, data: DeliveryRetried | DeliveryDismissed) -> Refusal:
    """Return a refusal that says how the messages are, and what can be done: for people who took one for stuck."""
    verb = SIGNALS[data.__class__]
    state, remedy = _state(record)
    refusal = Refused(record.task_id, status=record.shown_status, attempted=verb)
    refusal.args = (f"Task {record.task_id} has nothing to {verb}: {state}. {remedy}",)
    return Refusal(refusal)


def _state(record: TaskRecord) -> tuple[str, str]:
    """How the messages of a task are, and what to do about it."""
    task_id = record.task_id
    for waiting in record.outbox:
        if waiting.is_withheld:
            remedy = f'It goes on by itself; "tally dismiss {task_id}" gives it up.'
            return "its message waits for the work below it", remedy
        if waiting.is_sent:
            return "its message is being sent", f'It goes on by itself; "tally deliveries {task_id}" says when.'
        if waiting.session is not None:
            remedy = f'It is done with when the session takes it; "tally dismiss {task_id}" gives it up.'
            return f"its message waits in the session {waiting.session}", remedy
    look = f'See "tally deliveries {task_id}".'
    if record.is_active:
        return f"it is {record.shown_status}, and nothing waits", look
    if record.notify_policy is NotifyPolicy.SILENT and record.delivery_status is DeliveryStatus.NOT_APPLICABLE:
        return "it is silent, nobody was to be told", f'"tally notify {task_id} done_only" has it told.'
    return f"its delivery is {record.delivery_status.value}", look


DECIDERS: dict[type, Callable[[TaskRecord, Command, Any], Facts | Refusal]] = {
    DeliveryReleased: released,
    DeliveryAttempted: attempted,
    DeliveryUnknown: attempted,
    DeliveryFailed: attempted,
    DeliveryDelivered: delivered,
    DeliveryRetried: retried,
    DeliveryDismissed: dismissed,
    DeliveryImported: imported,
}
"""What is decided of each fact about a message that somebody can report."""
