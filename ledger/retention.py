"""Retention: what may be decided about keeping a task: hold, release, note, stamp, prune, erase. Pure."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tallystick.ledger import noted
from tallystick.ledger.commands import Command
from tallystick.ledger.content import DISMISSED, NOT_ASIDE
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.tasks import (
    TaskCleanupStamped,
    TaskErased,
    TaskHeld,
    TaskNoted,
    TaskPruned,
    TaskReleased,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Facts, Refusal, refused


def hold(record: TaskRecord, _command: Command, data: TaskHeld) -> Facts | Refusal:
    """Once is enough."""
    return (data,) if record.held_at is None else NOTHING


def release(record: TaskRecord, _command: Command, data: TaskReleased) -> Facts | Refusal:
    """What is not held need not be released."""
    return NOTHING if record.held_at is None else (data,)


def note(record: TaskRecord, _command: Command, data: TaskNoted) -> Facts | Refusal:
    """Whatever the task is; what is noted already is nothing new."""
    if noted.together(record.noted, data.codes) == record.noted:
        return NOTHING
    error = noted.too_many(record.noted, data.codes)
    return (data,) if error is None else Refusal(error)


def stamp(record: TaskRecord, _command: Command, data: TaskCleanupStamped) -> Facts | Refusal:
    """Only what has ended is kept for a time; a second stamp is the one that counts."""
    if record.is_active:
        return refused(record, data, "It has not ended.")
    return NOTHING if record.cleanup_after == data.cleanup_after else (data,)


def prune(record: TaskRecord, _command: Command, data: TaskPruned) -> Facts | Refusal:
    """Nothing is removed that runs, is held, left something open, or has a message on its way. What it was is said."""
    why = _why_kept(record)
    if why is not None:
        return refused(record, data, why)
    return (replace(data, status=record.status, ended_at=record.ended_at),)


def _why_kept(record: TaskRecord) -> str | None:
    if record.is_active:
        return "It has not ended."
    if record.held_at is not None:
        return "It is held; release it first."
    if record.resources:
        return "Something that it left open is not closed yet."
    if any(not each.is_stuck for each in record.outbox):
        return "A message about it is on its way."
    return None


def erase(record: TaskRecord, _command: Command, data: TaskErased) -> Facts | Refusal:
    """Also what is pruned is erased, for its history stays. `data` says already what of it is kept beside the log."""
    if not data.count:
        return NOTHING if record.erased is not None else refused(record, data, NOT_ASIDE)
    if record.pruned_at is not None:
        return (replace(data, status=record.status, ended_at=record.ended_at, pruned_at=record.pruned_at),)
    untold = (DeliveryDismissed(delivery=each.delivery, reason=DISMISSED) for each in record.outbox)
    return (*untold, data)


DECIDERS: dict[type, Callable[[TaskRecord, Command, Any], Facts | Refusal]] = {
    TaskHeld: hold,
    TaskReleased: release,
    TaskNoted: note,
    TaskCleanupStamped: stamp,
    TaskPruned: prune,
    TaskErased: erase,
}
"""What is decided of each fact about keeping a task's record."""
