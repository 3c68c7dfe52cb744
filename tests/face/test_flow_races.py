"""Controllers that race: of all who claim a step exactly one does it: threads, coroutines, processes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.ledger.errors import FlowRefused, Refused, WrongVersion
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER, PATIENCE_S, Process, at_once, wait_until
from tests.flow_law import check_joins, told_by

CONTROLLERS = 4
STEPS = 12
GOAL: dict[str, Any] = {"owner": OWNER, "goal": "Release 1.2", "controller": "bot"}


def won(claim: Callable[[], object]) -> bool:
    """Whether a claim was this caller's."""
    try:
        claim()
    except (FlowRefused, WrongVersion):
        return False
    return True


@pytest.mark.usefixtures("restless")
def test_of_threads_that_claim_a_step_one_gets_it(ledger: Ledger) -> None:
    flow = ledger.flows.create(**GOAL)

    def controller(number: int) -> list[str]:
        """Go through all steps, each as of the newest revision that it has seen."""
        mine, own = ledger.flows.get(flow.id), []
        for step in map(str, range(STEPS)):
            while True:
                try:
                    mine.claim(step, claimant=f"bot-{number}")
                except WrongVersion as error:
                    mine = ledger.flows.get(error.current.flow_id)
                except FlowRefused as error:
                    assert "claimed" == error.code  # noqa: PT017 - it may be, and then it is this
                    break
                else:
                    own.append(step)
                    break
        return own

    claimed = at_once(CONTROLLERS, controller)

    record = flow.refresh()
    assert sorted(map(str, range(STEPS))) == sorted(step for own in claimed for step in own)
    assert [claim.claimant for claim in record.claims] == [
        f"bot-{number}" for claim in record.claims for number, own in enumerate(claimed) if claim.step in own
    ]
    assert 1 + STEPS == record.revision


def test_of_threads_that_claim_at_one_revision_one_gets_it(ledger: Ledger) -> None:
    for step in map(str, range(STEPS)):
        flow = ledger.flows.create(**GOAL)
        handles = [ledger.flows.get(flow.id) for _ in range(CONTROLLERS)]
        wins = at_once(CONTROLLERS, lambda number, handles=handles, step=step: won(lambda: handles[number].claim(step)))  # type: ignore[misc]

        assert 1 == sum(wins)


def test_of_coroutines_that_claim_a_step_one_gets_it(folder: Path, clock: HandClock) -> None:
    async def main() -> list[bool]:
        async with tallystick.open_async(folder, clock=clock) as ledger:
            flow = await ledger.flows.create(**GOAL)
            handles = [await ledger.flows.get(flow.id) for _ in range(CONTROLLERS)]
            answers = await asyncio.gather(*(each.claim("build") for each in handles), return_exceptions=True)
            assert 2 == (await flow.refresh()).revision
            return [not isinstance(answer, Exception) for answer in answers]

    assert [True, False, False, False] == asyncio.run(main())  # in the order of the calls


CONTROLLER = """
    import sys, tallystick
    with tallystick.join(sys.argv[1], actor=sys.argv[3]) as ledger:
        flow = ledger.flows.get(sys.argv[2])
        print("ready", flush=True)
        sys.stdin.readline()
        for step in map(str, range(int(sys.argv[4]))):
            while True:
                try:
                    flow.claim(step)
                except tallystick.WrongVersion as error:
                    flow = ledger.flows.get(error.current.flow_id)
                except tallystick.FlowRefused as error:
                    assert error.code == "claimed" and error.current.flow_id == flow.id
                    break
                else:
                    print(step, flush=True)
                    break
        print("end", flush=True)
"""


def test_of_two_processes_that_claim_a_step_one_gets_it(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        flow = ledger.flows.create(**GOAL)
        words = (folder, flow.id)
        with Process(CONTROLLER, *words, "one", STEPS) as one, Process(CONTROLLER, *words, "two", STEPS) as two:
            assert ["ready", "ready"] == [one.hear(), two.hear()]
            one.say()
            two.say()
            heard = [heard_until_end(process) for process in (one, two)]
            assert [0, 0] == [one.end(), two.end()]

        claims = flow.refresh().claims
    assert sorted(map(str, range(STEPS))) == sorted(heard[0] + heard[1])
    assert {claim.step: claim.actor for claim in claims} == (
        dict.fromkeys(heard[0], "one") | dict.fromkeys(heard[1], "two")
    )


def heard_until_end(process: Process) -> list[str]:
    heard: list[str] = []
    while (line := process.hear()) != "end":
        assert line, "it said no more"
        heard.append(line)
    return heard


@pytest.mark.usefixtures("restless")
def test_one_key_under_many_threads_is_one_flow(ledger: Ledger) -> None:
    for key in map(str, range(STEPS)):
        flows = at_once(CONTROLLERS, lambda _, key=key: ledger.flows.create(**GOAL, idempotency_key=key))  # type: ignore[misc]

        assert 1 == len({flow.id for flow in flows})
    assert STEPS == ledger.flows.counts().total
    assert ledger.verify().ok


@pytest.mark.usefixtures("restless")
def test_a_task_that_two_flows_link_at_once_is_one_of_one(ledger: Ledger) -> None:
    for _ in range(STEPS):
        task = ledger.create(**ORDINARY)
        flows = [ledger.flows.create(**GOAL) for _ in range(CONTROLLERS)]
        wins = at_once(CONTROLLERS, lambda number, flows=flows, task=task: won(lambda: flows[number].link(task)))  # type: ignore[misc]

        assert 1 == sum(wins)
        [winner] = [flow for flow, has_won in zip(flows, wins, strict=True) if has_won]
        assert winner.id == ledger.get(task.id).record.parent_flow_id
        assert [[task.id] if flow is winner else [] for flow in flows] == [
            [each.task_id for each in flow.tasks()] for flow in flows
        ]


@pytest.mark.usefixtures("restless")
def test_whoever_joins_while_others_cancel_is_in_or_out_and_nothing_hangs(ledger: Ledger) -> None:
    for _ in range(STEPS):
        flow = ledger.flows.create(**GOAL)

        def work(number: int, flow: Any = flow) -> str:
            if number == 0:
                return str(flow.cancel("enough").status)
            try:
                return ledger.create(**ORDINARY, flow=flow.id).id
            except FlowRefused as error:
                return str(error.code)

        cancelled, *joined = at_once(CONTROLLERS, work)

        assert "cancelled" == cancelled == flow.refresh().status
        inside = {task.task_id: task.status for task in flow.tasks()}
        assert {"cancelled"} >= set(inside.values())
        assert set(inside) == {answer for answer in joined if answer not in ("cancel_requested", "terminal")}


@pytest.mark.usefixtures("restless")
def test_children_that_end_while_their_flow_is_cancelled_never_leave_it_open(ledger: Ledger) -> None:
    flows = [ledger.flows.create(**GOAL) for _ in range(STEPS)]
    works = [[ledger.create(**ORDINARY, flow=flow.id) for _ in range(CONTROLLERS)] for flow in flows]

    def work(number: int) -> None:
        for flow, children in zip(flows, works, strict=True):
            if number == 0:
                flow.cancel("enough", wait_ms=0)
                continue
            for child in children[number - 1 :: CONTROLLERS - 1]:
                for verb in (child.start, child.succeed):
                    with suppress(Refused):
                        verb()

    at_once(CONTROLLERS, work)
    ledger.settled()

    events = list(ledger.events())
    told, _, _ = told_by(events)
    check_joins(events)
    assert {"cancelled"} == {flow.refresh().status for flow in flows} == {flow.status for flow in told.values()}


# Other processes.

DRIVER = """
    import sys, tallystick
    with tallystick.join(sys.argv[1], actor="driver") as ledger:
        flow = ledger.flows.create(owner="o", goal="g", controller="c", idempotency_key="k")
        child = ledger.create(runtime="cli", task="x", owner="o", flow=flow.id)
        child.start()
        loose = ledger.create(runtime="subagent", task="y", owner="o")
        flow.link(loose)
        print(flow.id, child.id, flow.record.revision, flush=True)
        sys.stdin.readline()
        print(flow.cancel("enough", wait_ms=20_000).status, flush=True)
"""


def test_a_process_that_joined_drives_a_flow_through_its_owner(folder: Path) -> None:
    with tallystick.open(folder) as ledger, Process(DRIVER, folder) as driver:
        flow_id, child_id, revision = driver.hear().split()
        flow = ledger.flows.get(flow_id)
        driver.say()
        wait_until(lambda: ledger.get(child_id).record.cancel_requested_at is not None)
        ledger.get(child_id).cancelled()

        assert ("2", "cancelled", 0) == (revision, driver.hear(), driver.end())
        assert "cancelled" == flow.refresh().status
        assert flow.id == ledger.flows.create(owner="o", goal="g", controller="c", idempotency_key="k").id


def test_without_an_owner_elsewhere_who_joins_brings_a_cancel_to_its_end(folder: Path) -> None:
    with tallystick.join(folder) as ledger:
        flow = ledger.flows.create(**GOAL)
        ledger.create(**ORDINARY, flow=flow.id)

        assert "cancelled" == flow.cancel("enough", wait_ms=int(PATIENCE_S * 1_000)).status


@pytest.mark.parametrize("live", [1, 3])
def test_with_few_actors_in_memory_flows_are_what_they_were(folder: Path, live: int) -> None:
    config = tallystick.Config(actors=tallystick.config.Actors(live=live))
    with tallystick.open(folder, config=config, clock=HandClock()) as ledger:
        flows = [ledger.flows.create(**GOAL) for _ in range(6)]
        for step in "abc":
            for flow in flows:
                flow.claim(step)
                flow.link(ledger.create(**ORDINARY))
        for flow in flows[:3]:
            flow.cancel()

        assert {"cancelled": 3, "running": 3} == {
            status: count for status, count in ledger.flows.counts().by_status.items() if count
        }
        assert [9] * 3 + [7] * 3 == [flow.refresh().revision for flow in flows]
