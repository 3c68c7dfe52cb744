"""What was seen of tasks without an event is a note beside the events, which every process reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick import Config, Verdict
from tallystick.ledger.limits import WATCHED_SILENCE_MS
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.watched import Unknown, Watched, watched
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER, Told


def running(ledger: Ledger, runtime: str = "subagent") -> Task:
    task = ledger.create(runtime=runtime, task="work", owner=OWNER, notify="silent")
    task.start()
    return task


@pytest.fixture
def elsewhere(ledger: Ledger) -> Iterator[DiskLog]:
    """The log as another process reads it, while its owner writes."""
    with DiskLog.open(Path(ledger.path) / "log", readonly=True) as log:
        yield log


def stream(task: Task) -> bytes:
    return task.record.stream


@pytest.mark.usefixtures("told")
def test_a_task_that_is_silent_and_alive_is_told_with_when_it_was_seen(
    ledger: Ledger, clock: HandClock, elsewhere: DiskLog
) -> None:
    silent, talking = running(ledger), running(ledger)
    clock.advance(WATCHED_SILENCE_MS - 1)
    talking.progress("still at it")
    ledger.sweep()
    before = watched(elsewhere)
    clock.advance(1)

    ledger.sweep()

    assert Watched() == before
    assert Watched(alive={stream(silent): clock()}) == watched(elsewhere)


@pytest.mark.usefixtures("told")
def test_a_task_that_is_heard_of_again_or_ends_is_not_told_of_any_more(
    ledger: Ledger, clock: HandClock, elsewhere: DiskLog
) -> None:
    talks, ends = running(ledger), running(ledger)
    clock.advance(WATCHED_SILENCE_MS)
    ledger.sweep()
    silent = watched(elsewhere)
    talks.progress("here I am")
    ends.succeed()

    ledger.sweep()

    assert {stream(talks), stream(ends)} == silent.alive.keys()
    assert Watched() == watched(elsewhere)


def test_a_probe_that_cannot_tell_is_told_with_its_name_its_words_and_since_when(
    ledger: Ledger, told: Told, clock: HandClock, elsewhere: DiskLog
) -> None:
    task, other = running(ledger), running(ledger)
    told.of[task.id] = Verdict.unknown("the session store is locked")
    ledger.sweep()
    since = clock()
    clock.advance(60_000)
    told.of[other.id] = OSError("no such store")

    ledger.sweep()

    unknown = Unknown(since, "subagent", "the session store is locked")
    failed = Unknown(clock(), "subagent", "the probe failed: OSError: no such store")
    assert Watched(unknown={stream(task): unknown, stream(other): failed}) == watched(elsewhere)


@pytest.mark.parametrize("answer", [Verdict.alive(), Verdict.missing("gone"), Verdict.dead("deleted")], ids=repr)
def test_a_probe_that_can_tell_again_is_not_told_of_any_more(
    ledger: Ledger, told: Told, clock: HandClock, elsewhere: DiskLog, answer: Verdict
) -> None:
    task = running(ledger)
    told.answer = Verdict.unknown("locked")
    ledger.sweep()
    before = watched(elsewhere)
    told.answer = answer
    clock.advance(1_000)

    ledger.sweep()
    told.answer = Verdict.unknown("locked again")
    clock.advance(1_000)
    ledger.sweep()

    assert [stream(task)] == list(before.unknown)
    again = {stream(task): Unknown(clock(), "subagent", "locked again")} if ledger.get(task.id).record.is_active else {}
    assert again == watched(elsewhere).unknown, "from then on, not from the first time"


def test_words_that_do_not_end_are_cut(ledger: Ledger, told: Told, elsewhere: DiskLog) -> None:
    task = running(ledger)
    told.answer = Verdict.unknown("no " * 1_000)

    ledger.sweep()

    detail = watched(elsewhere).unknown[stream(task)].detail
    assert detail is not None
    assert len(detail.encode()) <= 400
    assert detail.endswith("…")


def test_a_restart_does_not_make_an_old_puzzle_a_new_one(folder: Path, clock: HandClock) -> None:
    probe = Told()
    probe.answer = Verdict.unknown("locked")
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        task = running(ledger)
        ledger.sweep()
        since = clock()
    clock.advance(60_000)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        clock.advance(60_000)
        ledger.sweep()
        with DiskLog.open(folder / "log", readonly=True) as log:
            assert {stream(task): Unknown(since, "subagent", "locked")} == watched(log).unknown


def test_a_probe_that_nobody_asks_after_a_restart_is_not_told_of_for_ever(folder: Path, clock: HandClock) -> None:
    probe = Told()
    probe.answer = Verdict.unknown("locked")
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        running(ledger)
        ledger.sweep()

    with tallystick.open(folder, clock=clock) as ledger, DiskLog.open(folder / "log", readonly=True) as log:
        clock.advance(60_000)
        ledger.sweep()
        soon = watched(log).unknown
        clock.advance(10 * 60_000)
        ledger.sweep()

        assert (1, 0) == (len(soon), len(watched(log).unknown))


def test_who_promises_to_live_is_alive_for_as_long_as_that(
    ledger: Ledger, clock: HandClock, elsewhere: DiskLog
) -> None:
    task = running(ledger)
    task.keep_alive(4 * 3_600_000)
    clock.advance(3 * 3_600_000)

    ledger.sweep()

    assert {stream(task): clock()} == watched(elsewhere).alive


def test_that_the_owner_lives_is_no_sign_of_the_work(ledger: Ledger, clock: HandClock, elsewhere: DiskLog) -> None:
    running(ledger, "cli")
    clock.advance(2 * WATCHED_SILENCE_MS)

    ledger.sweep()

    assert Watched() == watched(elsewhere)


def test_by_the_clock_it_is_written_once_in_each_interval(folder: Path) -> None:
    probe = Told()
    probe.answer = Verdict.unknown("locked")
    config = Config(sweep={"first": 10, "interval": 20})
    with tallystick.open(folder, config=config) as ledger, DiskLog.open(folder / "log", readonly=True) as log:
        ledger.probe("subagent", probe)
        task = running(ledger)
        while not watched(log).unknown:
            ledger.settled(10)

        assert "locked" == watched(log).unknown[stream(task)].detail
