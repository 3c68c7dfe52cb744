"""The leftovers: what a record knows of what its task has open after a fact about that. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.resources import (
    TaskCleanedUp,
    TaskCleanupBegun,
    TaskResourceClosed,
    TaskResourceOpened,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.resources import Resource, without

Changes: TypeAlias = dict[str, Any]


def after_opening(record: TaskRecord, event: Event, data: TaskResourceOpened) -> Changes:
    """One more is open, or is known better."""
    _require(record.is_active, record, event)
    resource = Resource(data.kind, data.name, event.occurred_at, data.evidence)
    others = without(record.resources, data.kind, data.name)
    return {"last_event_at": event.occurred_at, "resources": (*others, resource)}


def after_closing(record: TaskRecord, event: Event, data: TaskResourceClosed) -> Changes:
    """One fewer is open."""
    _require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "resources": tuple(without(record.resources, data.kind, data.name))}


def after_beginning(record: TaskRecord, event: Event, _data: TaskCleanupBegun) -> Changes:
    """It is not begun again."""
    _require(not record.is_active and record.cleanup_begun_at is None, record, event)
    return {"cleanup_begun_at": event.recorded_at}


def after_cleanup(record: TaskRecord, event: Event, _data: TaskCleanedUp) -> Changes:
    """What was open need not be remembered: the history has it."""
    _require(not record.is_active and record.cleanup_begun_at is not None, record, event)
    return {"resources": (), "cleanup_begun_at": None}


def _require(condition: object, record: TaskRecord, event: Event) -> None:
    if not condition:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)


EVOLVERS: dict[type, Callable[[TaskRecord, Event, Any], Changes]] = {
    TaskResourceOpened: after_opening,
    TaskResourceClosed: after_closing,
    TaskCleanupBegun: after_beginning,
    TaskCleanedUp: after_cleanup,
}
"""What each fact about a cleanup changes."""
