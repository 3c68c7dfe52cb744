"""A flow that mirrors tasks is kept as long as the last of them, and goes with the first."""

from typing import Any

import pytest

from tallystick import Pruned
from tallystick.config import Config
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.keeping.test_kept_so_long import OWNER, WEEK_MS, WORK, is_pruned, take_all


def test_a_blocked_mirror_goes_with_its_tasks_for_nobody_can_resume_it(ledger: Ledger, clock: HandClock) -> None:
    asked: dict[str, Any] = {"runtime": "subagent", "task": "Log in", "owner": OWNER, "notify": "done_only"}
    first = ledger.create(**asked)
    mirror = first.record.parent_flow_id
    assert mirror is not None
    first.start()
    again = ledger.create(**asked, flow=mirror)
    first.fail("no key")
    again.start()
    again.succeed("no key", outcome="blocked")
    for task in (first, again):
        ledger.dismiss(task.id)
    assert "blocked" == ledger.flows.get(mirror).status
    clock.advance(WEEK_MS)

    ledger.sweep()

    assert [True, True] == [is_pruned(ledger, task.id) for task in (first, again)]
    with pytest.raises(Pruned):
        ledger.flows.get(mirror)
    assert [] == ledger.flows.list().flows


def test_a_mirror_with_events_of_its_own_goes_with_its_first_task(ledger: Ledger, clock: HandClock) -> None:
    detached = {**WORK, "runtime": "subagent", "notify": "done_only"}
    first = ledger.create(**detached)
    mirror = first.record.parent_flow_id
    assert mirror is not None
    second = ledger.create(**detached, flow=mirror)
    for task in (first, second):
        task.start()
        task.succeed("done")
    take_all(ledger)
    clock.advance(WEEK_MS)

    ledger.sweep()

    assert is_pruned(ledger, first.id)
    assert is_pruned(ledger, second.id)
    with pytest.raises(Pruned):
        ledger.flows.get(mirror)
    assert ["keeper"] == [event.actor for event in ledger.events() if isinstance(event.data, FlowPruned)]


def joined_mirror(ledger: Ledger, clock: HandClock) -> tuple[str, str, str]:
    """A mirror of two tasks, the second of which failed long after the first had succeeded: their ids, and its own."""
    detached = {**WORK, "runtime": "subagent", "notify": "done_only"}
    first = ledger.create(**detached)
    mirror = first.record.parent_flow_id
    assert mirror is not None
    second = ledger.create(**detached, flow=mirror)
    for task in (first, second):
        task.start()
    first.succeed("done")
    clock.advance(2 * WEEK_MS)
    second.fail("no")
    take_all(ledger)
    return first.id, second.id, mirror


def test_a_mirror_is_kept_as_long_as_the_last_of_its_tasks_and_says_what_it_was(
    ledger: Ledger, clock: HandClock
) -> None:
    first, second, mirror = joined_mirror(ledger, clock)
    ledger.sweep()
    clock.advance(WEEK_MS - 1)
    ledger.sweep()

    assert [False, False] == [is_pruned(ledger, task_id) for task_id in (first, second)]
    assert "failed" == ledger.flows.get(mirror).status
    assert "flow" == ledger.explain(first).rule
    assert second in ledger.explain(first).reason
    clock.advance(1)
    ledger.sweep()

    assert [True, True] == [is_pruned(ledger, task_id) for task_id in (first, second)]
    with pytest.raises(Pruned) as caught:
        ledger.flows.get(mirror)
    assert "failed" == caught.value.status


def test_what_holds_the_last_task_of_a_mirror_keeps_all_of_it(ledger: Ledger, clock: HandClock) -> None:
    first, second, mirror = joined_mirror(ledger, clock)
    ledger.get(second).hold("evidence")
    clock.advance(10 * WEEK_MS)

    ledger.sweep()

    assert [False, False] == [is_pruned(ledger, task_id) for task_id in (first, second)]
    assert "failed" == ledger.flows.get(mirror).status
    told = ledger.explain(mirror)
    assert ("flow", False, None) == (told.rule, told.is_over, told.until)
    assert first in told.reason


def test_a_mirror_is_explained_by_the_task_with_which_it_goes(clock: HandClock) -> None:
    with memory_ledger(clock=clock, config=Config(retention={"subagent": 1_000})) as ledger:
        task = ledger.create(**{**WORK, "runtime": "subagent", "notify": "done_only"})
        mirror = task.record.parent_flow_id
        assert mirror is not None
        assert ("active", "it is queued") == (ledger.explain(mirror).rule, ledger.explain(mirror).reason)
        task.start()
        task.succeed("done", outcome="blocked")
        take_all(ledger)
        told = ledger.explain(mirror)
        assert ("blocked", "retention", clock() + 1_000) == (told.status, told.rule, told.until)
        assert ("retention.subagent", 1_000) == (told.policy.name, told.policy.kept_ms)
        clock.advance(1_000)
        assert ledger.explain(mirror).is_over

        ledger.sweep()

        with pytest.raises(Pruned):
            ledger.flows.get(mirror)


def test_a_cancelled_mirror_stays_as_long_as_somebody_holds_its_task(ledger: Ledger, clock: HandClock) -> None:
    task = ledger.create(**{**WORK, "runtime": "subagent", "notify": "done_only"})
    mirror = task.record.parent_flow_id
    assert mirror is not None
    ledger.flows.get(mirror).cancel("enough", wait_ms=0)
    ledger.settled()
    take_all(ledger)
    task.hold("evidence")
    clock.advance(10 * WEEK_MS)

    ledger.sweep()

    assert "cancelled" == ledger.flows.get(mirror).status
    assert "held" == ledger.explain(mirror).rule
    task.release()
    ledger.sweep()
    with pytest.raises(Pruned):
        ledger.flows.get(mirror)
