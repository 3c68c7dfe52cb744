"""The keeper in bad weather: a disk that is full, a damaged task, views that are behind, the end; and when it acts."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Pruned
from tallystick.building import assemble
from tallystick.config import Config
from tallystick.ledger.clock import system_clock
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.readings import Readings, due_rules
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.actors.parts import FullLog, full

WEEK_MS = 7 * 86_400_000
PATIENCE_S = 20.0
WORK: dict[str, Any] = {"runtime": "cli", "task": "Count the tallies", "owner": "agent:main:main", "notify": "silent"}
AT_ONCE = Config(sweep={"first": 10, "interval": 10})


def ended(ledger: Ledger) -> str:
    task = ledger.create(**WORK)
    task.start()
    task.succeed("done")
    return task.id


def is_pruned(ledger: Ledger, task_id: str) -> bool:
    try:
        ledger.get(task_id)
    except Pruned:
        return True
    return False


def open_with(log: FullLog, clock: HandClock, *, judges: bool = True) -> Ledger:
    readings = Readings(log, None, rules=due_rules(Config()))
    return Ledger(assemble(readings, [], Config(), clock=clock, actor="test", judges=judges))


def test_a_full_disk_ends_the_round_and_the_next_one_does_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        tasks = [ended(ledger) for _ in range(200)]
        clock.advance(WEEK_MS)
        log.failures.append(full())
        ledger.sweep()
        left = [task_id for task_id in tasks if not is_pruned(ledger, task_id)]
        assert left, "what could not be written is not gone"
        assert "upkeep_not_written" in {each.getMessage() for each in caplog.records}

        ledger.sweep()

        assert all(is_pruned(ledger, task_id) for task_id in tasks)
        pruned = [event.stream for event in ledger.events() if isinstance(event.data, TaskPruned)]
        assert len(tasks) == len(set(pruned)) == len(pruned)


def test_an_owner_that_does_not_judge_keeps_nothing_up() -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock, judges=False) as ledger:
        task_id = ended(ledger)
        clock.advance(10 * WEEK_MS)
        ledger.sweep()

        assert not is_pruned(ledger, task_id)


def test_it_happens_by_itself_and_says_so_in_the_log_of_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tallystick.open(tmp_path / "ledger", clock=lambda: system_clock() - 2 * WEEK_MS) as ledger:
        tasks = {ended(ledger) for _ in range(50)}
        before = ledger.status().head
    with (
        caplog.at_level(logging.INFO, "tallystick"),
        tallystick.open(tmp_path / "ledger", config=AT_ONCE) as ledger,
        ledger.subscribe(after=before) as events,
    ):
        pruned = set()
        for event in events:
            assert ("keeper", TaskPruned) == (event.actor, type(event.data))
            pruned.add(event.task_id)
            if len(pruned) == len(tasks):
                break
        ledger.sweep()  # so that the round has ended
    assert tasks == pruned
    told = [vars(each) for each in caplog.records if each.getMessage() == "upkeep_done"]
    assert len(tasks) == sum(each["tasks_pruned"] for each in told)


def test_it_goes_on_at_the_next_interval_without_being_asked(tmp_path: Path) -> None:
    past = [2 * WEEK_MS]
    with tallystick.open(tmp_path / "ledger", config=AT_ONCE, clock=lambda: system_clock() - past[0]) as ledger:
        task_id = ended(ledger)
        with ledger.subscribe(after=ledger.status().head) as events:
            past[0] = 0  # what was yesterday is two weeks ago
            assert (task_id, TaskPruned) == next((event.task_id, type(event.data)) for event in events)


def test_a_task_that_goes_on_between_the_look_and_the_step_is_left_alone() -> None:
    """A task is held by another thread while the keeper prunes: it is held or pruned, never both."""
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        tasks = [ended(ledger) for _ in range(300)]
        clock.advance(WEEK_MS)
        held: list[str] = []

        def hold() -> None:
            for task_id in reversed(tasks):
                try:
                    ledger.get(task_id).hold("evidence")
                    held.append(task_id)
                except Pruned:
                    pass

        thread = threading.Thread(target=hold)
        thread.start()
        ledger.sweep()
        thread.join(PATIENCE_S)

        for task_id in tasks:
            assert is_pruned(ledger, task_id) is (task_id not in held)


def test_closing_in_the_middle_of_a_round_leaves_the_rest_to_the_next_owner(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", clock=lambda: system_clock() - 2 * WEEK_MS) as ledger:
        with ledger.batch() as batch:
            for _ in range(500):
                batch.create(**WORK).succeed("done")
        before = ledger.status().head
    with tallystick.open(tmp_path / "ledger", config=AT_ONCE) as ledger, ledger.subscribe(after=before) as events:
        next(events)
    with tallystick.open(tmp_path / "ledger", read_only=True) as ledger:
        assert 0 < ledger.counts().total < 500
    with tallystick.open(tmp_path / "ledger") as ledger:
        ledger.sweep()

        assert 0 == ledger.counts().total
        assert ledger.verify().ok
