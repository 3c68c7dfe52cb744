"""The keeper in bad weather: a disk that is full, a damaged task, views that are behind, the end; and when it acts."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Full, Pruned
from tallystick.actors.envelope import Reply
from tallystick.actors.keeping.upkeep import Upkeep
from tallystick.actors.watching.orders import Pace
from tallystick.building import assemble
from tallystick.config import Config
from tallystick.ledger.clock import system_clock
from tallystick.ledger.commands import Command
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.ids import id_bytes
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


def test_a_full_disk_ends_the_round_who_swept_hears_it_and_the_next_one_does_all_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        tasks = [ended(ledger) for _ in range(200)]
        clock.advance(WEEK_MS)
        log.failures.append(full())
        with pytest.raises(Full, match="Free space and try again"):
            ledger.sweep()
        left = [task_id for task_id in tasks if not is_pruned(ledger, task_id)]
        assert left, "what could not be written is not gone"
        assert "upkeep_not_written" in {each.getMessage() for each in caplog.records}

        ledger.sweep()

        assert all(is_pruned(ledger, task_id) for task_id in tasks)
        pruned = [event.stream for event in ledger.events() if isinstance(event.data, TaskPruned)]
        assert len(tasks) == len(set(pruned)) == len(pruned)


def test_what_cannot_be_written_keeps_a_sweep_from_nothing_else() -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        held = ledger.create(**WORK)
        held.start()
        held.progress("one")
        late = ledger.create(**WORK, timeout_ms=1_000)
        late.start()
        old = ended(ledger)
        clock.advance(WEEK_MS)
        held.progress("two")
        held.progress("three")
        log.failures.append(full())

        with pytest.raises(Full):
            ledger.sweep()

        assert ("running", "timed_out", True) == (
            ledger.get(held.id).status,
            ledger.get(late.id).status,
            is_pruned(ledger, old),
        )
        ledger.sweep()
        assert "three" == ledger.get(held.id).record.progress_summary


def test_whoever_swept_hears_that_an_end_could_not_be_written() -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        late = ledger.create(**WORK, timeout_ms=1_000)
        late.start()
        clock.advance(1_000)
        log.failures.append(full())

        with pytest.raises(Full):
            ledger.sweep()

        assert "running" == ledger.get(late.id).status
        ledger.sweep()
        assert "timed_out" == ledger.get(late.id).status


def test_what_goes_on_between_the_look_and_the_step_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    log, clock = FullLog(), HandClock()
    with open_with(log, clock) as ledger:
        tasks = [ended(ledger) for _ in range(2)]
        house = ledger._house  # noqa: SLF001 - its parts, for an upkeep of our own
        clock.advance(WEEK_MS)

        def send(stream: bytes, command: Command, reply: Reply) -> None:
            """Somebody holds the first task just before the step of the keeper reaches it."""
            if stream == id_bytes(tasks[0]) and command.actor == "keeper":
                ledger.get(tasks[0]).hold("evidence")
            house.system.direct(stream, command, reply)

        upkeep = Upkeep(
            house.readings.reader,
            house.readings.rules,
            clock,
            send=send,
            foresee=house.system.foresee,
            tidy=lambda: None,
            pace=Pace(by_hand=True),
        )
        upkeep.start()

        assert upkeep.ask(PATIENCE_S)

        assert upkeep.close(PATIENCE_S)
        assert [False, True] == [is_pruned(ledger, task_id) for task_id in tasks]
        assert "upkeep_not_written" not in {each.getMessage() for each in caplog.records}


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
