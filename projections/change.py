"""The change: what a run of the log made of each task and flow that it touched. Pure.

Read models follow the log in changes, not in events: a task that is created and ends in one run is written once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import ERASURES, OF_FLOWS, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.remains import remains_of_flow, remains_of_task
from tallystick.ledger.store.port import Damaged, Deleted, Stored

R = TypeVar("R", TaskRecord, FlowRecord)


class Change(Struct, Generic[R], frozen=True, gc=False):
    """A task or a flow before a run of the log, None if there was none yet, and after it."""

    before: R | None
    after: R


TaskChanges: TypeAlias = dict[bytes, Change[TaskRecord]]
FlowChanges: TypeAlias = dict[bytes, Change[FlowRecord]]


class Tombstone(Struct, frozen=True, gc=False, array_like=True):
    """What is left of a task or a flow that retention removed."""

    status: str
    ended_at: int | None
    pruned_at: int
    outcome: str | None = None  # of a task: whether it had the result that was asked for


class Broken(Struct, frozen=True, gc=False, array_like=True):
    """Where the events of a task or a flow begin not to follow each other, and why."""

    position: int
    detail: str


class Damage(Struct, frozen=True, gc=False, array_like=True):
    """Records next to each other that are no events, from the first position to the last, all for the same reason."""

    first: int
    last: int
    detail: str


BrokenStreams: TypeAlias = dict[bytes, Broken]
Damages: TypeAlias = tuple[Damage, ...]


class Changes(Struct, frozen=True, gc=False):
    """What became of every task and every flow that a run touched, by the sixteen bytes of their ids.

    What of the run says nothing is `broken`, by task or flow, each as of where that began, and `damaged`, in the order
    of positions. Of what is pruned at the end of the run nothing is broken, unless it goes on after that.
    """

    tasks: TaskChanges = field(default_factory=dict)
    flows: FlowChanges = field(default_factory=dict)
    broken: BrokenStreams = field(default_factory=dict)
    damaged: Damages = ()

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.tasks or self.flows or self.broken or self.damaged)

    def __len__(self) -> int:
        """How much there is to tell."""
        return len(self.tasks) + len(self.flows) + len(self.broken) + len(self.damaged)


Known: TypeAlias = TaskRecord | Tombstone | None
Lookup: TypeAlias = Callable[[bytes], Known]
"""Answers what was known of a task when the run began."""

KnownFlow: TypeAlias = FlowRecord | Tombstone | None
FlowLookup: TypeAlias = Callable[[bytes], KnownFlow]
"""Answers what was known of a flow when the run began."""


class Folded(Struct, frozen=True):
    """What a run of the log made of its tasks and flows, and what of it could not be read."""

    changes: Changes

    @property
    def skipped(self) -> dict[bytes, Corrupt]:
        """For every task or flow whose events do not follow each other, where that began: it keeps its last state."""
        return {stream: Corrupt(each.detail, position=each.position) for stream, each in self.changes.broken.items()}

    @property
    def damaged(self) -> tuple[int, ...]:
        """The positions of records that are no events."""
        return tuple(position for each in self.changes.damaged for position in range(each.first, each.last + 1))


def nothing_known(_stream: bytes) -> None:
    """Nothing is known before a history begins."""


def changes_of(
    events: Iterable[Stored], lookup: Lookup, known: Folded | None = None, *, flows: FlowLookup = nothing_known
) -> Folded:
    """Fold a run of the log; `known` is what the run before it made, if this one continues it.

    However the log is cut into runs, the records at the end are the same: an event that cannot follow is skipped,
    and then so is every later one of its task or flow, because its version does not follow either. A pruning says
    what was pruned, where nothing before it can be read any more.
    """
    before_it = known.changes if known else Changes()
    tasks, broken = dict(before_it.tasks), dict(before_it.broken)
    damaged: list[Damage] = []
    latest: dict[bytes, Known] = {}
    befores: dict[bytes, TaskRecord | None] = {}
    of_flows: list[Event] = []
    for event in events:
        if isinstance(event, Damaged):
            if not isinstance(event, Deleted):  # that is gone on purpose: nobody need do anything about it
                damaged.append(Damage(event.position, event.position, event.detail))
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
                if event.data.__class__ not in ERASURES:
                    raise _goes_on_after_pruning(event)
                if isinstance(record, Tombstone):  # which has nothing that could be erased
                    continue
            latest[stream] = evolve(record, event)
        except Corrupt as error:
            remains = None if isinstance(record, Tombstone) else remains_of_task(event, record)
            if remains is None:
                _note(broken, event, error, record)
            else:
                latest[stream] = remains
    for stream, before in befores.items():
        after = latest[stream]
        if isinstance(after, TaskRecord) and after is not before:
            tasks[stream] = Change(before, after)
    changed = _flows_of(of_flows, flows, before_it.flows, broken)
    if broken:
        broken = _still_broken(broken, tasks, changed)
    return Folded(Changes(tasks, changed, broken, joined((*before_it.damaged, *damaged))))


def _flows_of(events: Iterable[Event], lookup: FlowLookup, known: FlowChanges, broken: BrokenStreams) -> FlowChanges:
    """Fold what is about flows: far less than about tasks, and independent of it."""
    changes = dict(known)
    for event in events:
        stream = event.stream
        change = changes.get(stream)
        found = change.after if change else lookup(stream)
        record = None if isinstance(found, Tombstone) else found
        after: FlowRecord | None
        try:
            if isinstance(found, Tombstone):
                if event.data.__class__ in ERASURES:
                    continue
                raise _goes_on_after_pruning(event)
            after = evolve_flow(record, event)
        except Corrupt as error:
            after = None if isinstance(found, Tombstone) else remains_of_flow(event, record)
            if after is None:
                _note(broken, event, error, found)
        if after is not None:
            changes[stream] = Change(change.before if change else record, after)
    return changes


def _note(broken: BrokenStreams, event: Event, error: Corrupt, known: Known | KnownFlow) -> None:
    """Take note of where it began; what goes on after its pruning begins there."""
    earlier = broken.get(event.stream)
    pruned_in = known.position if isinstance(known, TaskRecord | FlowRecord) and known.pruned_at is not None else 0
    if earlier is None or earlier.position < pruned_in:
        broken[event.stream] = Broken(event.position, error.detail)


def _still_broken(broken: BrokenStreams, tasks: TaskChanges, flows: FlowChanges) -> BrokenStreams:
    """Return what is broken without that which was pruned since: of that the last word is known."""
    return {
        stream: each for stream, each in broken.items() if not _is_over(each, tasks.get(stream) or flows.get(stream))
    }


def _is_over(broken: Broken, change: Change[TaskRecord] | Change[FlowRecord] | None) -> bool:
    return change is not None and change.after.pruned_at is not None and broken.position <= change.after.position


def _goes_on_after_pruning(event: Event) -> Corrupt:
    """Nothing but an erasure follows a pruning: what comes after it would have nothing left to change."""
    what = "flow" if event.is_of_flow else "task"
    return Corrupt(f"{what} {event.task_id} goes on after it was pruned", position=event.position)


def joined(damages: Iterable[Damage]) -> Damages:
    """Return damage, which must be in the order of positions, with neighbours of the same reason made one."""
    found: list[Damage] = []
    for each in damages:
        last = found[-1] if found else None
        if last is not None and each.detail == last.detail and each.first <= last.last + 1:
            found[-1] = Damage(last.first, max(last.last, each.last), last.detail)
        else:
            found.append(each)
    return tuple(found)


def merge(first: Changes, second: Changes) -> Changes:
    """Return what two runs made together, when the second follows the first."""
    broken = second.broken | _still_broken(first.broken, second.tasks, second.flows)
    return Changes(
        _merged(first.tasks, second.tasks),
        _merged(first.flows, second.flows),
        broken,
        joined((*first.damaged, *second.damaged)),
    )


def _merged(first: dict[bytes, Change[R]], second: dict[bytes, Change[R]]) -> dict[bytes, Change[R]]:
    merged = dict(first)
    for stream, change in second.items():
        earlier = first.get(stream)
        merged[stream] = Change(earlier.before, change.after) if earlier else change
    return merged


def since(base: int, changes: Changes, lookup: Lookup, flows: FlowLookup) -> Changes:
    """Return what is left to tell of changes when the rows have moved on to `base`, as which the lookups know them."""
    left = Changes(
        broken={stream: each for stream, each in changes.broken.items() if each.position > base},
        damaged=tuple(replace(each, first=max(each.first, base + 1)) for each in changes.damaged if each.last > base),
    )
    for stream, change in changes.tasks.items():
        if change.after.position > base:
            known = lookup(stream)
            left.tasks[stream] = Change(known if isinstance(known, TaskRecord) else None, change.after)
    for stream, moved in changes.flows.items():
        if moved.after.position > base:
            known_flow = flows(stream)
            left.flows[stream] = Change(known_flow if isinstance(known_flow, FlowRecord) else None, moved.after)
    return left


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
