"""The change: what a run of the log made of each task that it touched. Pure.

Read models follow the log in changes, not in events: a task that is created and ends in one run is written once.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged, Stored


class Change(Struct, frozen=True, gc=False):
    """One task before a run of the log, None if there was none yet, and after it."""

    before: TaskRecord | None
    after: TaskRecord


Changes: TypeAlias = dict[bytes, Change]
"""What became of every task that a run touched, by the sixteen bytes of its id."""


class Tombstone(Struct, frozen=True, gc=False, array_like=True):
    """What is left of a task that retention removed."""

    status: str
    ended_at: int | None
    pruned_at: int


Known: TypeAlias = TaskRecord | Tombstone | None
Lookup: TypeAlias = Callable[[bytes], Known]
"""Answers what was known of a task when the run began."""


class Folded(Struct, frozen=True):
    """What a run of the log made of its tasks, and what of it could not be read.

    `skipped` says for every task whose events do not follow each other where that began, and why: the task keeps
    its last good state. `damaged` has the positions of records that are no events.
    """

    changes: Changes
    skipped: dict[bytes, Corrupt]
    damaged: tuple[int, ...] = ()


def changes_of(events: Iterable[Stored], lookup: Lookup, known: Folded | None = None) -> Folded:
    """Fold a run of the log; `known` is what the run before it made, if this one continues it.

    However the log is cut into runs, the records at the end are the same: an event that cannot follow is skipped,
    and then so is every later one of its task, because its version does not follow either.
    """
    changes: Changes = dict(known.changes) if known else {}
    skipped = dict(known.skipped) if known else {}
    damaged = list(known.damaged) if known else []
    latest: dict[bytes, Known] = {}
    befores: dict[bytes, TaskRecord | None] = {}
    for event in events:
        if isinstance(event, Damaged):
            damaged.append(event.position)
            continue
        stream = event.stream
        record: Known
        if stream in latest:
            record = latest[stream]
        else:
            change = changes.get(stream)
            record = latest[stream] = change.after if change else lookup(stream)
            if not isinstance(record, Tombstone):
                befores[stream] = change.before if change else record
        try:
            if record is not None and (record.__class__ is Tombstone or record.pruned_at is not None):
                raise _goes_on_after_pruning(event)
            latest[stream] = evolve(record, event)
        except Corrupt as error:
            skipped.setdefault(stream, error)
    for stream, before in befores.items():
        after = latest[stream]
        if isinstance(after, TaskRecord) and after is not before:
            changes[stream] = Change(before, after)
    return Folded(changes, skipped, tuple(damaged))


def _goes_on_after_pruning(event: Event) -> Corrupt:
    """Nothing follows a pruning: what comes after it would have nothing left to change."""
    return Corrupt(f"task {event.task_id} goes on after it was pruned", position=event.position)


def merge(first: Changes, second: Changes) -> Changes:
    """Return what two runs made together, when the second follows the first."""
    merged = dict(first)
    for stream, change in second.items():
        earlier = first.get(stream)
        merged[stream] = Change(earlier.before, change.after) if earlier else change
    return merged


def last_of(changes: Changes, until: int) -> tuple[int, bytes] | None:
    """Return the position and the task of the newest event that changed something, in a run that ended at `until`."""
    for stream in reversed(changes):
        if changes[stream].after.position == until:
            return until, stream
    return max(((change.after.position, stream) for stream, change in changes.items()), default=None)
