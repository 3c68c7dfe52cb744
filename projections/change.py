"""The change: what a run of the log made of each task and flow that it touched. Pure.

Read models follow the log in changes, not in events: a task that is created and ends in one run is written once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct, field

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import OF_FLOWS, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged, Stored

R = TypeVar("R", TaskRecord, FlowRecord)


class Change(Struct, Generic[R], frozen=True, gc=False):
    """A task or a flow before a run of the log, None if there was none yet, and after it."""

    before: R | None
    after: R


TaskChanges: TypeAlias = dict[bytes, Change[TaskRecord]]
FlowChanges: TypeAlias = dict[bytes, Change[FlowRecord]]


class Changes(Struct, frozen=True, gc=False):
    """What became of every task and every flow that a run touched, by the sixteen bytes of their ids."""

    tasks: TaskChanges = field(default_factory=dict)
    flows: FlowChanges = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.tasks or self.flows)

    def __len__(self) -> int:
        """How many tasks and flows changed."""
        return len(self.tasks) + len(self.flows)


class Tombstone(Struct, frozen=True, gc=False, array_like=True):
    """What is left of a task that retention removed."""

    status: str
    ended_at: int | None
    pruned_at: int


Known: TypeAlias = TaskRecord | Tombstone | None
Lookup: TypeAlias = Callable[[bytes], Known]
"""Answers what was known of a task when the run began."""


FlowLookup: TypeAlias = Callable[[bytes], FlowRecord | None]
"""Answers what was known of a flow when the run began."""


class Folded(Struct, frozen=True):
    """What a run of the log made of its tasks and flows, and what of it could not be read.

    `skipped` says for every one whose events do not follow each other where that began, and why: it keeps its last
    good state. `damaged` has the positions of records that are no events.
    """

    changes: Changes
    skipped: dict[bytes, Corrupt]
    damaged: tuple[int, ...] = ()


def nothing_known(_stream: bytes) -> None:
    """Nothing is known before a history begins."""


def changes_of(
    events: Iterable[Stored], lookup: Lookup, known: Folded | None = None, *, flows: FlowLookup = nothing_known
) -> Folded:
    """Fold a run of the log; `known` is what the run before it made, if this one continues it.

    However the log is cut into runs, the records at the end are the same: an event that cannot follow is skipped,
    and then so is every later one of its task or flow, because its version does not follow either.
    """
    tasks: TaskChanges = dict(known.changes.tasks) if known else {}
    skipped = dict(known.skipped) if known else {}
    damaged = list(known.damaged) if known else []
    latest: dict[bytes, Known] = {}
    befores: dict[bytes, TaskRecord | None] = {}
    of_flows: list[Event] = []
    for event in events:
        if isinstance(event, Damaged):
            damaged.append(event.position)
            continue
        if event.data.__class__ in OF_FLOWS:
            of_flows.append(event)
            continue
        stream = event.stream
        record: Known
        if stream in latest:
            record = latest[stream]
        else:
            change = tasks.get(stream)
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
            tasks[stream] = Change(before, after)
    changed = _flows_of(of_flows, flows, known.changes.flows if known else {}, skipped)
    return Folded(Changes(tasks, changed), skipped, tuple(damaged))


def _flows_of(
    events: Iterable[Event], lookup: FlowLookup, known: FlowChanges, skipped: dict[bytes, Corrupt]
) -> FlowChanges:
    """Fold what is about flows: far less than about tasks, and independent of it."""
    changes = dict(known)
    for event in events:
        stream = event.stream
        change = changes.get(stream)
        record = change.after if change else lookup(stream)
        try:
            after = evolve_flow(record, event)
        except Corrupt as error:
            skipped.setdefault(stream, error)
        else:
            changes[stream] = Change(change.before if change else record, after)
    return changes


def _goes_on_after_pruning(event: Event) -> Corrupt:
    """Nothing follows a pruning: what comes after it would have nothing left to change."""
    return Corrupt(f"task {event.task_id} goes on after it was pruned", position=event.position)


def merge(first: Changes, second: Changes) -> Changes:
    """Return what two runs made together, when the second follows the first."""
    return Changes(_merged(first.tasks, second.tasks), _merged(first.flows, second.flows))


def _merged(first: dict[bytes, Change[R]], second: dict[bytes, Change[R]]) -> dict[bytes, Change[R]]:
    merged = dict(first)
    for stream, change in second.items():
        earlier = first.get(stream)
        merged[stream] = Change(earlier.before, change.after) if earlier else change
    return merged


def last_of(changes: Changes, until: int) -> tuple[int, bytes] | None:
    """Return the position and the stream of the newest event that changed something, in a run that ended at `until`."""
    tasks = changes.tasks
    for stream in reversed(tasks):
        if tasks[stream].after.position == until:
            return until, stream
    return max(_places(changes), default=None)


def _places(changes: Changes) -> Iterator[tuple[int, bytes]]:
    kinds: tuple[Mapping[bytes, Change[TaskRecord]] | Mapping[bytes, Change[FlowRecord]], ...]
    kinds = (changes.tasks, changes.flows)
    return ((change.after.position, stream) for kind in kinds for stream, change in kind.items())
