"""The ends: what a record knows after a fact that moves a task, or ends it. Pure."""

from typing import Any, TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import NAMES, Event
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskRecovered,
    TaskSettled,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import ALLOWED, SETTLED_AS, DeliveryStatus, Status, lets_end_through
from tallystick.ledger.progress import total
from tallystick.ledger.record import TaskRecord

_LOST = Status.LOST
_PENDING, _NOT_APPLICABLE = DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""


def moved(record: TaskRecord, event: Event, status: Status) -> Changes:
    """Move along the table; whatever the table does not allow is damage, for `decide` never admits it."""
    if status not in ALLOWED[record.status]:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)
    changes: Changes = {"status": status, "last_event_at": event.occurred_at}
    if record.backing_missed_at is not None:
        changes["backing_missed_at"] = None
    if record.noted:  # of what it was: what is found of it now is news
        changes["noted"] = ()
    if record.cleanup_after is not None:
        changes["cleanup_after"] = None
    return changes


def _ended(record: TaskRecord, event: Event, status: Status, usage: Usage | None = None) -> Changes:
    if record.status is _LOST:  # from there the table's ends are reached by recovery alone
        require(event.data.__class__ is TaskRecovered, record, event)
    changes = moved(record, event, status)
    told = lets_end_through(record.notify_policy, status, getattr(event.data, "outcome", None))
    changes["delivery_status"] = _PENDING if told else _NOT_APPLICABLE
    changes["ended_at"] = event.occurred_at
    changes["ended_by"] = NAMES[event.data.__class__]
    changes["ended_at_position"] = event.position
    if usage:
        changes["usage"] = total(record.usage, usage)
    return changes


def require(condition: object, record: TaskRecord, event: Event) -> None:
    """Raise `Corrupt` unless a fact can follow: what the log has was admitted by `decide`, or is damaged."""
    if not condition:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)


def after_success(record: TaskRecord, event: Event, data: TaskSucceeded) -> Changes:
    """Return what a record knows of a run that ended well."""
    changes = _ended(record, event, Status.SUCCEEDED, data.usage)
    changes["terminal_summary"] = data.summary
    if data.outcome is not None:
        changes["terminal_outcome"] = data.outcome
    if data.artifacts:
        changes["artifacts"] = data.artifacts
    return changes


def after_failure(record: TaskRecord, event: Event, data: TaskFailed) -> Changes:
    """Return what a record knows of a run that ended badly."""
    changes = _ended(record, event, Status.FAILED, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    changes["artifacts"] = data.artifacts
    return changes


def after_time_out(record: TaskRecord, event: Event, data: TaskTimedOut) -> Changes:
    """Return what a record knows of a run whose time was over."""
    changes = _ended(record, event, Status.TIMED_OUT, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    changes["artifacts"] = data.artifacts
    return changes


def after_cancel(record: TaskRecord, event: Event, data: TaskCancelled) -> Changes:
    """Return what a record knows of work that was stopped."""
    changes = _ended(record, event, Status.CANCELLED, data.usage)
    changes["error"] = data.reason or record.cancel_reason
    changes["terminal_summary"] = data.stopped
    changes["cancel_confirmed"] = data.confirmed
    return changes


def after_loss(record: TaskRecord, event: Event, data: TaskLost) -> Changes:
    """Return what a record knows of work that is gone."""
    changes = _ended(record, event, Status.LOST)
    changes["error"] = loss_in_words(data)
    return changes


def loss_in_words(data: TaskLost) -> str:
    """Return what a record has as the error of a task that was lost."""
    return data.error or f"lost by rule: {data.rule}"


def after_recovery(record: TaskRecord, event: Event, data: TaskRecovered) -> Changes:
    """Return what a record knows of a lost task once it was seen how it ended."""
    require(record.status is Status.LOST, record, event)
    changes = _ended(record, event, data.status, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    if data.outcome is not None:
        changes["terminal_outcome"] = data.outcome
    if data.artifacts:
        changes["artifacts"] = data.artifacts
    return changes


def after_settling(record: TaskRecord, event: Event, data: TaskSettled) -> Changes:
    """Return what a record knows of a task that an operator ended."""
    require(data.status in SETTLED_AS, record, event)
    changes = _ended(record, event, data.status)
    changes["error"] = data.reason
    return changes
