"""The cleanup: what a task has open, and that it is closed once when the task has ended, as rules. Pure.

What becomes of closing never changes what became of the work.
"""

from collections.abc import Callable
from typing import Any

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.resources import (
    TaskCleanedUp,
    TaskCleanupBegun,
    TaskResourceClosed,
    TaskResourceOpened,
)
from tallystick.ledger.limits import RESOURCES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Facts, Refusal, refused
from tallystick.ledger.resources import find


def opened(record: TaskRecord, _command: Command, data: TaskResourceOpened) -> Facts | Refusal:
    """Work that goes on opens something; the same again is nothing new."""
    known = find(record.resources, data.kind, data.name)
    if known is not None and known.evidence == data.evidence:
        return NOTHING
    if known is None and len(record.resources) >= RESOURCES_MAX:
        allowed = f"at most {RESOURCES_MAX} that a task has open at the same time; say which it has closed"
        return Refusal(InvalidInput("resources", f"{len(record.resources) + 1} of them", allowed))
    return (data,)


def closed(record: TaskRecord, _command: Command, data: TaskResourceClosed) -> Facts | Refusal:
    """What is not open, or was being closed already, need not be closed."""
    is_open = record.is_active and find(record.resources, data.kind, data.name) is not None
    return (data,) if is_open else NOTHING


def begun(record: TaskRecord, _command: Command, data: TaskCleanupBegun) -> Facts | Refusal:
    """Once, when the work has ended and has left something open."""
    if record.is_active:
        return refused(record, data)
    return (data,) if record.resources and record.cleanup_begun_at is None else NOTHING


def cleaned_up(record: TaskRecord, _command: Command, data: TaskCleanedUp) -> Facts | Refusal:
    """Only what was begun comes to an end, and once."""
    if record.is_active:
        return refused(record, data)
    return NOTHING if record.cleanup_begun_at is None else (data,)


DECIDERS: dict[type, Callable[[TaskRecord, Command, Any], Facts | Refusal]] = {
    TaskCleanupBegun: begun,
    TaskCleanedUp: cleaned_up,
    TaskResourceClosed: closed,
}
"""What is decided of each fact about a cleanup. What is opened after the end comes too late, as for all work."""
