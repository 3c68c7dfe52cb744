"""Overdue flows: each question has what a look at every flow would find; a pruned flow says what it was."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import event as happened
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.errors import NotFound, Pruned
from tallystick.ledger.events import Event, FlowFact
from tallystick.ledger.facts.flows import FlowCancelled, FlowCancelRequested, FlowFinished, FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned, TaskSucceeded
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.flows.mirror import mirror_of, mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.ledger.limits import STALE_BUCKET_MS
from tallystick.projections import overdue
from tallystick.projections.flow_list import FlowList
from tallystick.projections.flow_query import FlowQuery
from tallystick.projections.flows import is_blocked_by_task
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen
from tests.ledger.flows.tale import MIRROR, Tale
from tests.projections.flow_histories import (
    FLOWS,
    all_flows,
    flow_histories,
    own_records,
    reader_of,
    standings,
    tasks_of,
)
from tests.projections.histories import STREAMS, caught_up_views, live, logged
from tests.projections.long_histories import MINUTE_MS, moments
from tests.story import Story, created
from tests.strategies import TASK_IDS

few = settings(max_examples=40)

FlowQuestion: TypeAlias = Callable[[Seen, int, int | None], list[FlowRecord]]
FlowFilter: TypeAlias = Callable[[FlowRecord, int], bool]

OF_FLOWS: dict[str, tuple[FlowQuestion, FlowFilter, Callable[[FlowRecord], int]]] = {
    "silent_flows": (
        overdue.silent_flows,
        lambda flow, at: flow.is_managed and flow.is_active and flow.updated_at <= at,
        lambda flow: flow.updated_at // STALE_BUCKET_MS,
    ),
    "blocked_flows": (
        lambda seen, _, limit: overdue.blocked_flows(seen, limit),
        lambda flow, _: flow.is_managed and flow.status is FlowStatus.BLOCKED and flow.blocked_task_id is not None,
        lambda flow: flow.created_at,
    ),
    "cancelling_flows": (
        overdue.cancelling_flows,
        lambda flow, at: flow.is_active and flow.cancel_requested_at is not None and flow.cancel_requested_at <= at,
        lambda flow: flow.created_at,
    ),
}

slow_flows = flow_histories(most=30, pace_ms=8 * MINUTE_MS)


@pytest.mark.parametrize("question", OF_FLOWS)
@few
@given(slow_flows, standings, moments, st.integers(0, 2))
def test_a_question_about_flows_has_what_a_look_at_every_record_would_find_the_oldest_first(
    question: str, events: list[Event], standing: tuple[int, ...], at: int, limit: int
) -> None:
    ask, passes, age = OF_FLOWS[question]
    own = [flow for flow in own_records(events).values() if flow.pruned_at is None]
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        found, some = ask(seen, at, None), ask(seen, at, limit)

    assert sorted(flow.flow_id for flow in own if passes(flow, at)) == sorted(flow.flow_id for flow in found)
    assert all(flow in own for flow in found)
    assert sorted(map(age, found)) == list(map(age, found))
    assert found[:limit] == some
    happened(f"found: {len(found)}")


ENDS = (FlowStatus.SUCCEEDED, FlowStatus.FAILED, FlowStatus.CANCELLED, FlowStatus.LOST)


@few
@given(slow_flows, standings, st.dictionaries(st.sampled_from(ENDS), moments, min_size=2), st.integers(1, 2))
def test_ended_flows_come_once_in_slices_each_status_until_its_own_moment(
    events: list[Event], standing: tuple[int, ...], until: dict[FlowStatus, int], limit: int
) -> None:
    own = [flow for flow in own_records(events).values() if flow.pruned_at is None and not flow.is_active]
    firsts = {mirror_of(task.task_id) for task in live(events) if task.parent_flow_id == mirror_of(task.task_id)}
    expected = [
        flow
        for flow in own
        if flow.status in until and (flow.ended_at or 0) <= until[flow.status] and flow.flow_id not in firsts
    ]
    found: list[FlowRecord] = []
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        while some := overdue.ended_flows(seen, until, limit, found[-1] if found else None):
            found.extend(some)
            assert len(some) <= limit

    assert sorted(expected, key=lambda flow: (flow.ended_at, flow.stream)) == found
    happened(f"ended: {len(found)}")


@few
@given(slow_flows, standings)
def test_what_belongs_to_a_task_is_what_the_records_say(events: list[Event], standing: tuple[int, ...]) -> None:
    tasks = live(events)
    own, flows = own_records(events), {flow.flow_id: flow for flow in all_flows(events)}
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        for task in tasks:
            mirror = own.get(mirror_stream(task.stream))
            children = [child for child in tasks if child.parent_task_id == task.task_id and child.is_active]
            assert flows.get(task.parent_flow_id or "") == overdue.flow_of(seen, task)
            assert (None if mirror is None or mirror.pruned_at else mirror) == overdue.own_mirror(seen, task)
            assert sorted(child.task_id for child in children) == sorted(
                child.task_id for child in overdue.active_below(seen, task.task_id)
            )
            others = [] if mirror is None or mirror.pruned_at else tasks_of(events, mirror)
            others = [] if task.parent_flow_id != mirror_of(task.task_id) else others
            another = overdue.another_of_mirror(seen, task)
            assert (another is None) == (not [other for other in others if other != task])
            assert another is None or another in others
        for flow in flows.values():
            of_flow, at_work = tasks_of(events, flow), overdue.at_work_of(seen, flow)
            assert of_flow == overdue.tasks_of(seen, flow)
            assert (at_work is None) == (not any(task.is_active for task in of_flow))
            assert at_work is None or (at_work.is_active and at_work in of_flow)


@few
@given(slow_flows, standings)
def test_a_pruned_flow_answers_with_what_it_was(events: list[Event], standing: tuple[int, ...]) -> None:
    pruned = [flow for flow in own_records(events).values() if flow.pruned_at is not None]
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        for flow in pruned:
            for ask in (FlowList(seen).get, FlowList(seen).find):
                with pytest.raises(Pruned, match=f"Flow pruned: {flow.flow_id}") as caught:
                    ask(flow.flow_id)
                told = caught.value.status, caught.value.ended_at, caught.value.pruned_at
                assert (flow.status, flow.ended_at, flow.pruned_at) == told
    happened(f"pruned: {len(pruned)}")


@pytest.mark.parametrize("seen_by_views", [0, 2, 3, 100])
def test_a_flow_that_only_mirrored_a_pruned_task_is_pruned_with_it(tmp_path: Path, seen_by_views: int) -> None:
    creation = created(runtime="subagent", notify="done_only")
    story = Story(creation, TaskSucceeded(), stream=STREAMS[0])
    story.happen([TaskPruned()])
    log = logged(story.events)
    with caught_up_views(tmp_path, log, until=min(seen_by_views, len(story.events))) as views:
        reader = Reader(log, views)
        with pytest.raises(Pruned, match="was succeeded"):
            reader.answer(lambda seen: FlowList(seen).get(mirror_of(id_text(STREAMS[0]))))
        with pytest.raises(NotFound):
            reader.answer(lambda seen: FlowList(seen).get(mirror_of(id_text(STREAMS[1]))))


@pytest.mark.parametrize("seen_by_views", [0, 2, 100])
def test_a_pruned_flow_is_neither_counted_nor_listed(tmp_path: Path, seen_by_views: int) -> None:
    tale = Tale(FlowFinished(), FlowPruned(reason="old"))
    log = logged(tale.events)
    with caught_up_views(tmp_path, log, until=min(seen_by_views, len(tale.events))) as views:
        reader = Reader(log, views)
        counts = reader.answer(lambda seen: FlowList(seen).counts())

        assert (0, 0) == (counts.total, counts.by_status["succeeded"])
        assert [] == reader.answer(lambda seen: FlowList(seen).list(FlowQuery())).flows


@pytest.mark.parametrize("seen_by_views", [0, 4, 100])
def test_a_mirror_that_was_pruned_does_not_come_back_because_its_task_is_there(
    tmp_path: Path, seen_by_views: int
) -> None:
    story = Story(created(runtime="subagent", notify="done_only"), stream=STREAMS[0])
    mirror = Tale(
        FlowCancelRequested(),
        FlowCancelled(),
        FlowPruned(),
        beginning=MIRROR,
        stream=mirror_stream(STREAMS[0]),
        position=1,
    )
    log = logged([*story.events, *mirror.events])
    with caught_up_views(tmp_path, log, until=min(seen_by_views, 5)) as views:
        reader = Reader(log, views)

        assert [] == reader.answer(lambda seen: FlowList(seen).list(FlowQuery())).flows
        with pytest.raises(Pruned, match="was cancelled"):
            reader.answer(lambda seen: FlowList(seen).get(mirror_of(id_text(STREAMS[0]))))


waits_of = st.one_of(
    st.builds(lambda task_id: of_flows.waiting(None, blocked=task_id), st.sampled_from(TASK_IDS)),
    st.sampled_from([of_flows.waiting(None, blocked="a key"), of_flows.waiting({"for": "x"}), of_flows.resumed()]),
    st.sampled_from([of_flows.finished(), FlowPruned()]),
)


@few
@given(st.lists(st.lists(waits_of, max_size=4), min_size=1, max_size=6), standings)
def test_the_flows_that_a_task_blocks_are_found_by_the_task(
    moves: list[list[FlowFact]], standing: tuple[int, ...]
) -> None:
    events: list[Event] = []
    for number, told in enumerate(moves):
        tale = Tale(stream=FLOWS[0][:-1] + bytes([number]), position=len(events))
        for fact in told:
            tale.tell(fact)
        events.extend(tale.events)
    blocked = [flow for flow in own_records(events).values() if is_blocked_by_task(flow) and flow.pruned_at is None]
    with reader_of(events, tuple(min(each, len(events)) for each in standing)) as reader, reader.snapshot() as seen:
        found = overdue.Blocked(seen)
        for task_id in TASK_IDS:
            by = [flow for flow in blocked if flow.blocked_task_id == task_id]
            answer = found.by(task_id)
            assert answer in by if by else answer is None
    happened(f"blocked: {len(blocked)}")
