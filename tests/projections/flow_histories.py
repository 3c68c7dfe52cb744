"""Histories of flows and of tasks in one log, and what lists of flows have to say of them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import Event, FlowFact
from tallystick.ledger.facts.flows import FlowCreated, FlowPruned, FlowTaskLinked
from tallystick.ledger.facts.tasks import TaskCreated, TaskLinked, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.mirror import has_mirror, mirror_of, mirror_stream, mirrored, pruned_newest
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes, id_text
from tallystick.ledger.lifecycle import BLOCKED
from tallystick.ledger.record import TaskRecord
from tallystick.projections.catch_up import catch_up
from tallystick.projections.reader import Reader
from tallystick.projections.views import PROJECTIONS, Views
from tests.ledger.flows import some
from tests.ledger.flows.tale import MIRROR, Tale, begun
from tests.projections.histories import STREAMS, logged, records_of
from tests.story import BEGIN_MS, STEP_MS, Story, created
from tests.strategies import outcomes, prunings, reports

FLOWS = tuple(bytes.fromhex("0198c2f07b7e7cc38a531f0a9d8e4b") + bytes([number]) for number in (0x90, 0x10))
"""Managed flows: neither before nor after all tasks."""

OWNERS = ("agent:main:main", "a")

_joins = st.sampled_from([None, None, None, *map(id_text, FLOWS), mirror_of(id_text(STREAMS[0]))])
_creations = st.builds(
    lambda owner, runtime, notify, flow: created(owner=owner, runtime=runtime, notify=notify, flow=flow),
    st.sampled_from(OWNERS),
    st.sampled_from(["subagent", "acp", "cli"]),
    st.sampled_from(["done_only", "done_only", "silent"]),
    _joins,
)
_told = st.one_of(
    reports,
    outcomes,
    st.just(TaskStarted()),
    st.just(TaskSucceeded(summary="Needs a key", outcome=BLOCKED)),
    st.builds(TaskLinked, flow=st.sampled_from([id_text(stream) for stream in FLOWS])),
    prunings,
)
flow_prunings = st.builds(FlowPruned, reason=st.sampled_from([None, "retention"]))
_mirror_moves: st.SearchStrategy[FlowFact] = st.one_of(
    st.builds(FlowTaskLinked, task=st.sampled_from([id_text(stream) for stream in STREAMS])),
    some.cancel_requests,
    some.cancels,
    flow_prunings,
)

_managed_moves: st.SearchStrategy[FlowFact] = st.one_of(some.moves, some.moves, some.moves, flow_prunings)
_beginnings = st.builds(begun, owner=st.sampled_from(OWNERS), controller=st.sampled_from(["bot", "a"]))

_position = st.integers(0, 25)
standings = st.one_of(
    st.tuples(*[_position] * len(PROJECTIONS)), _position.map(lambda position: (position,) * len(PROJECTIONS))
)
"""How far each read model has come; none further than the log."""


@st.composite
def flow_histories(draw: st.DrawFn, most: int = 20, pace_ms: int = 1) -> list[Event]:
    """What was written of a few tasks, of two managed flows and of mirrors, in the order in which it was.

    Three events come in one moment, the next ones `pace_ms` later.
    """
    stories = {stream: Story(stream=stream) for stream in STREAMS}
    tales: dict[bytes, Tale] = {}
    events: list[Event] = []
    for _ in range(draw(st.integers(0, most))):
        stream = draw(st.sampled_from([*STREAMS, *FLOWS, *FLOWS, *map(mirror_stream, STREAMS[:2])]))
        at_ms = BEGIN_MS + len(events) // 3 * pace_ms
        if stream in stories:
            story = stories[stream]
            story.position, story.now_ms, known = len(events), at_ms, len(story.events)
            data = draw(_creations if story.record_or_none is None else _told)
            if isinstance(data, TaskCreated) and data.flow == mirror_of(id_text(stream)):
                data = replace(data, flow=None)  # nobody knows an id before it is there
            story.tell(data, after_ms=0)
            events.extend(story.events[known:])
        else:
            origin = stories.get(mirror_stream(stream))
            if origin is not None and origin.record_or_none is None:
                continue  # what mirrors a task begins after it
            task = None if origin is None else origin.record
            events.extend(_of_flow(draw, stream, tales, (len(events), at_ms), task))
    return events


def _of_flow(
    draw: st.DrawFn, stream: bytes, tales: dict[bytes, Tale], where: tuple[int, int], origin: TaskRecord | None
) -> list[Event]:
    """Go on with a flow, or begin it; what mirrors is moved by what its actor has written."""
    tale, (head, at_ms) = tales.get(stream), where
    if tale is None:
        beginning: FlowCreated = draw(_beginnings) if origin is None else _mirroring(origin)
        tales[stream] = Tale(beginning=beginning, stream=stream, position=head, begin_ms=at_ms - STEP_MS)
        return list(tales[stream].events)
    known = len(tale.events)
    tale.position, tale.now_ms = head, at_ms
    fact = draw(_managed_moves if stream in FLOWS else _mirror_moves)
    if isinstance(fact, FlowTaskLinked) and tale.record.is_active:
        tale.happen(fact)  # a managed flow may say so of a task that does not: what each tells is its own
    else:
        tale.tell(fact, after_ms=0)
    return tale.events[known:]


def _mirroring(origin: TaskRecord) -> FlowCreated:
    return replace(MIRROR, owner=origin.owner_key or MIRROR.owner, began_at=origin.created_at)


def own_records(events: Sequence[Event]) -> dict[bytes, FlowRecord]:
    """Return what the events of every flow tell of it."""
    records: dict[bytes, FlowRecord] = {}
    for event in events:
        if event.is_of_flow:
            records[event.stream] = evolve_flow(records.get(event.stream), event)
    return records


def all_flows(events: Sequence[Event]) -> list[FlowRecord]:
    """Return every flow, the newest first: those that are managed, and those of tasks that have a mirror."""
    own = own_records(events)
    every = records_of(events)
    tasks = {stream: record for stream, record in every.items() if record.pruned_at is None}
    managed = [(stream, record) for stream, record in own.items() if record.is_managed and record.pruned_at is None]
    found = [((record.created_at, stream), record) for stream, record in managed]
    for stream, origin in tasks.items():
        if has_mirror(origin):
            moved = own.get(mirror_stream(stream))
            if moved is not None and moved.pruned_at is not None:
                continue
            followed = None if moved is None or moved.followed_task_id is None else id_bytes(moved.followed_task_id)
            newest = origin if followed is None else every.get(followed, origin)
            if newest.pruned_at is not None:
                newest = pruned_newest(
                    origin,
                    newest.task_id,
                    status=newest.status,
                    outcome=newest.terminal_outcome,
                    ended_at=newest.ended_at,
                )
            found.append(((origin.created_at, stream), mirrored(origin, newest, moved)))
    return [record for _, record in sorted(found, key=lambda entry: entry[0], reverse=True)]


def tasks_of(events: Sequence[Event], flow: FlowRecord) -> list[TaskRecord]:
    """Return the tasks that say that they are of a flow, the newest first; one that it mirrors comes last."""
    live = [record for record in records_of(events).values() if record.pruned_at is None]
    found = [record for record in live if record.parent_flow_id == flow.flow_id]
    return sorted(found, key=lambda record: (record.created_at, record.stream), reverse=True)


@contextmanager
def reader_of(events: Sequence[Event], standing: tuple[int, ...]) -> Iterator[Reader]:
    """A reader of a log whose read models have come as far as they have."""
    log = logged(events)
    with tempfile.TemporaryDirectory() as folder, Views.open(Path(folder), log) as views:
        for projection, position in zip(views.projections, standing, strict=True):
            catch_up(views, log, until=position, names={projection.name})
        yield Reader(log, views)
