"""The keeping: what a record knows of how it is kept after a fact about that. Pure.

None of it is news from the work: when that was last heard of stays as it was.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from tallystick.ledger import noted
from tallystick.ledger.content import OF_TASKS, after_erasure
from tallystick.ledger.ends import require
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import (
    TaskCleanupStamped,
    TaskErased,
    TaskHeld,
    TaskNoted,
    TaskPruned,
    TaskReleased,
)
from tallystick.ledger.record import TaskRecord

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""


def after_hold(_record: TaskRecord, event: Event, _data: TaskHeld) -> Changes:
    """It is not pruned until it is released."""
    return {"held_at": event.occurred_at}


def after_release(_record: TaskRecord, _event: Event, _data: TaskReleased) -> Changes:
    """It may be pruned."""
    return {"held_at": None}


def after_note(record: TaskRecord, _event: Event, data: TaskNoted) -> Changes:
    """These codes are noted, too."""
    return {"noted": noted.together(record.noted, data.codes)}


def after_stamp(record: TaskRecord, event: Event, data: TaskCleanupStamped) -> Changes:
    """It is known when its retention ends."""
    require(not record.is_active, record, event)
    return {"cleanup_after": data.cleanup_after}


def after_pruning(record: TaskRecord, event: Event, data: TaskPruned) -> Changes:
    """Nothing follows. What the fact says that the task was must be what it was."""
    require(not record.is_active and record.held_at is None and record.pruned_at is None, record, event)
    if data.status is not None:
        require((data.status, data.ended_at) == (record.status, record.ended_at), record, event)
    return {"pruned_at": event.occurred_at}


def after_erasing(record: TaskRecord, event: Event, data: TaskErased) -> Changes:
    """Nothing of its content is left, nor of what would tell it; what it said late is not recognised any more."""
    require(data.pruned_at == record.pruned_at, record, event)
    return {**after_erasure(record, event, data, OF_TASKS), "outbox": (), "late_signals": ()}


EVOLVERS: dict[type, Callable[[TaskRecord, Event, Any], Changes]] = {
    TaskHeld: after_hold,
    TaskReleased: after_release,
    TaskNoted: after_note,
    TaskCleanupStamped: after_stamp,
    TaskPruned: after_pruning,
    TaskErased: after_erasing,
}
"""What each of them changes."""
