"""The history of flows, on every kind of ledger: their timelines, and what they were at some time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import FlowRecord, Ledger, NotFound, TaskRecord
from tallystick.testing import HandClock, memory_ledger
from tests.face.parts import OWNER, told

DETACHED: dict[str, Any] = {"runtime": "acp", "task": "Read the inbox", "owner": OWNER}
"""A task that a flow mirrors."""


def mirror_of(task: object) -> str:
    record = getattr(task, "record", None)
    assert isinstance(record, TaskRecord)
    assert record.parent_flow_id is not None
    return record.parent_flow_id


def flow_at(ledger: Ledger, flow_id: str, position: int) -> FlowRecord:
    record = ledger.state_at(flow_id, position=position)
    assert isinstance(record, FlowRecord)
    return record


def test_the_timeline_of_a_managed_flow_has_its_own_events_in_order(any_ledger: Ledger) -> None:
    flow = any_ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
    any_ledger.create(runtime="cli", task="make", owner=OWNER, flow=flow.id).start()
    flow.claim("build")
    flow.finish("2 files")

    events = any_ledger.timeline(flow.id)

    assert [(1, "flow-created.1"), (4, "flow-step-claimed.1"), (5, "flow-finished.1")] == told(events)
    assert {flow.id} == {event.task_id for event in events}
    assert all(event.is_of_flow for event in events)


def test_the_timeline_of_a_flow_that_mirrors_a_task_is_that_of_the_task(any_ledger: Ledger) -> None:
    task = any_ledger.create(**DETACHED)
    other = any_ledger.create(runtime="cli", task="make", owner=OWNER)
    task.start()

    assert any_ledger.timeline(task.id) == any_ledger.timeline(mirror_of(task))
    assert [(2, "task-created.1")] == told(any_ledger.timeline(other.id))


def test_the_timeline_of_a_mirror_that_was_joined_has_all_of_its_tasks_and_its_own_events(any_ledger: Ledger) -> None:
    first = any_ledger.create(**DETACHED)
    second = any_ledger.create(**DETACHED, flow=mirror_of(first))
    second.start()
    first.start()

    events = any_ledger.timeline(mirror_of(first))

    assert list(any_ledger.events()) == events
    assert {first.id, second.id, mirror_of(first)} == {event.task_id for event in events}
    assert {mirror_of(first)} == {event.task_id for event in events if event.is_of_flow}


def test_a_flow_is_known_as_of_every_position(any_ledger: Ledger) -> None:
    flow = any_ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
    records = [flow.record]
    records += [flow.claim("build"), flow.set_waiting({"kind": "approval"}), flow.resume(), flow.fail("it broke")]

    assert records == [flow_at(any_ledger, flow.id, position) for position in range(1, 6)]
    assert flow.record == any_ledger.state_at(flow.id) == flow_at(any_ledger, flow.id, 99)
    with pytest.raises(NotFound, match=r"Flow not found: .*It had not been created then"):
        any_ledger.state_at(flow.id, position=0)


def test_a_flow_is_known_as_of_a_moment(any_ledger: Ledger, clock: HandClock) -> None:
    begin = clock()
    flow = any_ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
    clock.advance(1_000)
    flow.claim("build")

    assert ["queued", "running"] == [any_ledger.state_at(flow.id, at=begin + ms).status for ms in (999, 1_000)]
    with pytest.raises(NotFound):
        any_ledger.state_at(flow.id, at=begin - 1)


def test_a_flow_that_mirrors_a_task_was_what_the_task_was(any_ledger: Ledger) -> None:
    task = any_ledger.create(**DETACHED)
    task.start()
    second = any_ledger.create(**DETACHED, flow=mirror_of(task))
    second.succeed(outcome="blocked")

    states = [flow_at(any_ledger, mirror_of(task), position) for position in range(1, any_ledger.status().head + 1)]

    # created, started, the second created; the flow begins, and follows the second; which started, ended, and is told
    assert ["queued", "running", "running", "running", "queued", "running", "blocked", "blocked"] == [
        state.status for state in states
    ]
    assert [second.id] * 4 == [state.followed_task_id for state in states[-4:]]
    assert any_ledger.flows.get(mirror_of(task)).record == states[-1]
    with pytest.raises(NotFound, match="It had not been created then"):
        any_ledger.state_at(mirror_of(task), position=0)


def test_a_mirror_whose_task_went_to_another_flow_is_still_told(any_ledger: Ledger) -> None:
    task = any_ledger.create(**DETACHED)
    mirror = mirror_of(task)
    flow = any_ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
    flow.link(task.id)

    assert "queued" == any_ledger.state_at(mirror, position=2).status
    with pytest.raises(NotFound, match=f"Its task was one of flow {flow.id} then"):
        any_ledger.state_at(mirror)
    assert any_ledger.timeline(task.id) == any_ledger.timeline(mirror)


def test_what_no_flow_has_ever_had_is_no_flows_id(any_ledger: Ledger) -> None:
    other = any_ledger.create(runtime="cli", task="make", owner=OWNER).id
    for token in (f"{other[:14]}8{other[15:]}", "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"):
        for ask in (any_ledger.timeline, any_ledger.state_at):
            with pytest.raises(NotFound, match="Task not found"):
                ask(token)


def test_a_status_counts_managed_flows_and_no_mirrors(any_ledger: Ledger) -> None:
    any_ledger.create(**DETACHED)
    waiting, done = (any_ledger.flows.create(owner=OWNER, goal=goal, controller="bot") for goal in ("one", "two"))
    waiting.set_waiting("somebody")
    done.finish()
    stopped = any_ledger.flows.create(owner=OWNER, goal="three", controller="bot")
    any_ledger.create(runtime="cli", task="make", owner=OWNER, flow=stopped.id).start()
    stopped.cancel(wait_ms=0)

    counts = any_ledger.status().flows

    assert (3, 2, 1) == (counts.total, counts.active, counts.cancelling)
    assert {"queued": 1, "waiting": 1, "succeeded": 1} == {name: n for name, n in counts.by_status.items() if n}
    assert any_ledger.flows.counts() == counts


def test_who_only_reads_knows_flows_and_their_past_beside_the_owner(ledger: Ledger, folder: Path) -> None:
    with tallystick.open(folder, read_only=True) as reader:
        flow = ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
        flow.claim("build")
        mirror = mirror_of(ledger.create(**DETACHED))

        assert flow.record == reader.flows.get(flow.id).record == reader.flows.find(flow.id).record
        assert "queued" == reader.state_at(flow.id, position=1).status
        assert [1, 2] == [event.position for event in reader.timeline(flow.id)]
        assert [3] == [event.position for event in reader.timeline(mirror)]
        assert 1 == reader.status().flows.total


def test_histories_of_flows_are_awaited_beside_each_other(folder: Path, clock: HandClock) -> None:
    async def main() -> list[str]:
        async with tallystick.open_async(folder, clock=clock) as ledger:
            flow = await ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
            await asyncio.gather(flow.claim("build"), ledger.create(**DETACHED))
            states = await asyncio.gather(*(ledger.state_at(flow.id, position=place) for place in (1, 99)))
            return [state.status.value for state in states]

    assert ["queued", "running"] == asyncio.run(main())


steps = st.lists(st.sampled_from(["start", "succeed", "join", "cancel", "end the joined"]), max_size=6)
"""What happens to a task that a flow mirrors, and to that flow."""


@given(steps)
def test_what_a_mirror_was_then_is_what_it_was_said_to_be_then(moves: list[str]) -> None:
    with memory_ledger() as ledger:
        task = ledger.create(**DETACHED)
        flow_id = mirror_of(task)
        joined: list[tallystick.Task] = []
        said: dict[int, FlowRecord] = {}
        for move in moves:
            said[ledger.status().head] = ledger.flows.get(flow_id).record
            try:
                if move == "start":
                    task.start()
                elif move == "succeed":
                    task.succeed(outcome="blocked")
                elif move == "join":
                    joined.append(ledger.create(**DETACHED, flow=flow_id))
                elif move == "cancel":
                    ledger.flows.get(flow_id).cancel(wait_ms=0)
                else:
                    [each.fail("it broke") for each in joined]
            except tallystick.Refused:
                pass
            ledger.settled()

        assert said == {position: flow_at(ledger, flow_id, position) for position in said}
        whose = {task.id, flow_id, *(each.id for each in joined)}
        assert ledger.timeline(flow_id) == [event for event in ledger.events() if event.task_id in whose]
