"""By itself the owner prunes what retention says is over: not a millisecond earlier, and nothing that is needed."""

from collections.abc import Callable
from typing import Any

import pytest

import tallystick
from tallystick import Pruned
from tallystick.config import Config
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.limits import CANCEL_STUCK_MS, FUTURE_END_MS
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
OWNER = "agent:main:main"
WORK: dict[str, Any] = {"runtime": "cli", "task": "Count the tallies", "owner": OWNER, "notify": "silent"}
ENDS: dict[str, Callable[[Any], Any]] = {
    "succeeded": lambda task: task.succeed("done"),
    "failed": lambda task: task.fail("no"),
    "timed_out": lambda task: task.time_out(),
    "cancelled": lambda task: task.cancelled("by hand"),
    "lost": lambda task: task.settle("lost", "by hand"),
}


def is_pruned(ledger: Ledger, task_id: str) -> bool:
    try:
        ledger.get(task_id)
    except Pruned:
        return True
    return False


def ended(ledger: Ledger, **said: Any) -> tallystick.Task:
    task = ledger.create(**{**WORK, **said})
    task.start()
    task.succeed("done")
    return task


def take_all(ledger: Ledger) -> None:
    """Take the messages that wait in the session, as whoever asked would."""
    session = ledger.session(OWNER)
    session.ack(session.take()[-1].position)


@pytest.mark.parametrize(("status", "kept_ms"), [(each, DAY_MS if each == "lost" else WEEK_MS) for each in ENDS])
def test_a_task_is_pruned_at_the_moment_its_retention_ends_and_not_before(
    ledger: Ledger, clock: HandClock, status: str, kept_ms: int
) -> None:
    task = ledger.create(**WORK)
    task.start()
    ENDS[status](task)
    assert status == task.status

    clock.advance(kept_ms - 1)
    ledger.sweep()
    assert not is_pruned(ledger, task.id)
    clock.advance(1)
    ledger.sweep()

    assert is_pruned(ledger, task.id)
    last = ledger.timeline(task.id)[-1]
    assert isinstance(last.data, TaskPruned)
    assert ("keeper", status, clock()) == (last.actor, last.data.status, last.occurred_at)
    assert "after its end" in (last.data.reason or "")


def test_it_is_kept_as_long_as_the_configuration_says_for_its_runtime_and_its_status(clock: HandClock) -> None:
    config = Config(retention={"cron": 1_000, "failed": 2_000, "terminal": 3_000})
    with memory_ledger(clock=clock, config=config) as ledger:
        cron = ledger.create(**{**WORK, "runtime": "cron"})
        failed, other = ledger.create(**WORK), ledger.create(**WORK)
        for task in (cron, failed, other):
            task.start()
        cron.succeed("done")
        failed.fail("no")
        other.succeed("done")
        gone = []
        for _ in range(4):
            ledger.sweep()
            gone.append(sum(is_pruned(ledger, task.id) for task in (cron, failed, other)))
            clock.advance(1_000)

    assert [0, 1, 2, 3] == gone


def test_what_somebody_holds_is_kept_until_it_is_released(ledger: Ledger, clock: HandClock) -> None:
    task = ended(ledger)
    task.hold("evidence")
    clock.advance(10 * WEEK_MS)
    ledger.sweep()
    assert not is_pruned(ledger, task.id)

    task.release()
    ledger.sweep()

    assert is_pruned(ledger, task.id)


def test_what_is_at_work_or_waits_is_never_pruned_however_old_it_is(ledger: Ledger, clock: HandClock) -> None:
    queued = ledger.create(**WORK)
    running = ledger.create(**WORK)
    running.start()
    waiting = ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    waiting.set_waiting({"for": "approval"})
    of_it = ended(ledger, flow=waiting.id)
    blocked = ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    blocking = ended(ledger)
    blocked.set_waiting({"for": "help"}, blocked=blocking.id)
    clock.advance(50 * WEEK_MS)

    ledger.sweep()

    kept = [queued.id, running.id, of_it.id, blocking.id]
    assert kept == [task_id for task_id in kept if not is_pruned(ledger, task_id)]
    assert {"waiting", "blocked"} == {ledger.flows.get(flow.id).status for flow in (waiting, blocked)}


def test_a_flow_that_has_ended_stays_while_a_task_of_it_is_at_work(ledger: Ledger, clock: HandClock) -> None:
    flow = ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    task = ledger.create(**WORK, flow=flow.id)
    task.start()
    flow.finish("done", expected_revision=1)
    clock.advance(2 * WEEK_MS)
    ledger.sweep()
    assert "succeeded" == ledger.flows.get(flow.id).status
    assert "below" == ledger.explain(flow.id).rule

    task.succeed("done")
    ledger.sweep()

    with pytest.raises(Pruned):
        ledger.flows.get(flow.id)


def test_a_root_stays_while_a_task_far_below_it_is_at_work(ledger: Ledger, clock: HandClock) -> None:
    root = ledger.create(**WORK)
    middle = ledger.create(**WORK, parent=root.id)
    leaf = ledger.create(**WORK, parent=middle.id)
    leaf.start()
    for task in (root, middle):
        task.start()
        task.succeed("delegated")
    clock.advance(2 * WEEK_MS)
    ledger.sweep()
    assert [False] * 3 == [is_pruned(ledger, task.id) for task in (root, middle, leaf)]

    leaf.succeed("done")
    ledger.sweep()

    assert [True, True, False] == [is_pruned(ledger, task.id) for task in (root, middle, leaf)]


def test_a_parent_stays_while_a_task_below_it_is_at_work(ledger: Ledger, clock: HandClock) -> None:
    parent = ledger.create(**WORK)
    child = ledger.create(**WORK, parent=parent.id)
    parent.start()
    parent.succeed("delegated")
    clock.advance(2 * WEEK_MS)
    ledger.sweep()
    assert not is_pruned(ledger, parent.id)

    child.start()
    child.succeed("done")
    ledger.sweep()

    assert (True, False) == (is_pruned(ledger, parent.id), is_pruned(ledger, child.id))


def test_a_task_whose_message_waits_to_be_taken_stays_until_it_was(ledger: Ledger, clock: HandClock) -> None:
    task = ended(ledger, notify="done_only")
    clock.advance(2 * WEEK_MS)
    ledger.sweep()
    assert not is_pruned(ledger, task.id)

    take_all(ledger)
    ledger.sweep()

    assert is_pruned(ledger, task.id)


def test_flows_are_pruned_as_tasks_are_and_answer_what_they_were(ledger: Ledger, clock: HandClock) -> None:
    flow = ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    task = ended(ledger, flow=flow.id)
    clock.advance(2 * WEEK_MS)
    flow.finish("released")
    ledger.sweep()
    assert is_pruned(ledger, task.id)  # its own retention was over, and its flow has ended
    assert "succeeded" == ledger.flows.get(flow.id).status

    clock.advance(WEEK_MS)
    ledger.sweep()

    with pytest.raises(Pruned) as caught:
        ledger.flows.get(flow.id)
    assert "succeeded" == caught.value.status


def test_an_end_in_the_future_gets_a_cleanup_time_and_is_pruned_then(ledger: Ledger, clock: HandClock) -> None:
    task = ledger.create(**WORK)
    task.start()
    task.succeed("done", occurred_at=clock() + FUTURE_END_MS + 1)
    ledger.sweep()
    assert clock() + WEEK_MS == ledger.get(task.id).record.cleanup_after

    clock.advance(WEEK_MS - 1)
    ledger.sweep()
    assert not is_pruned(ledger, task.id)
    clock.advance(1)
    ledger.sweep()

    assert is_pruned(ledger, task.id)


def test_a_sweep_that_finds_nothing_due_writes_nothing(ledger: Ledger, clock: HandClock) -> None:
    ended(ledger)
    ledger.sweep()
    head = ledger.status().head
    clock.advance(WEEK_MS - 1)

    ledger.sweep()

    assert head == ledger.status().head


def test_what_is_kept_for_ever_is_never_pruned_nor_stamped(clock: HandClock) -> None:
    with memory_ledger(clock=clock, config=Config(retention={"terminal": None})) as ledger:
        old, ahead = ended(ledger), ledger.create(**WORK)
        ahead.succeed("done", occurred_at=clock() + DAY_MS)
        clock.advance(100 * WEEK_MS)
        ledger.sweep()

        assert (False, None) == (is_pruned(ledger, old.id), ledger.get(ahead.id).record.cleanup_after)


def test_a_cancel_that_the_steward_finished_is_not_finished_twice(ledger: Ledger, clock: HandClock) -> None:
    flow = ledger.flows.create(owner=OWNER, goal="Release", controller="bot")
    flow.cancel(wait_ms=0)
    clock.advance(CANCEL_STUCK_MS)
    ledger.sweep()

    assert "cancelled" == ledger.flows.get(flow.id).status
    assert ["steward"] == [event.actor for event in ledger.events() if "Cancelled" in type(event.data).__name__]
