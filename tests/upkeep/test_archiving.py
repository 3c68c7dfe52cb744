"""A range of the log that is old enough is archived by whoever applies maintenance as the owner, or without one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.limits import ARCHIVE_AFTER_MS, ARCHIVE_SEGMENT_EVENTS
from tallystick.ledger.store.disk import DiskLog
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.story import BEGIN_MS, STREAM, created

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A ledger with one whole segment of events, and the moment of the newest."""
    folder = tmp_path_factory.mktemp("long") / "ledger"
    folder.mkdir(mode=0o700)
    steps = [TaskProgressed(step=number) for number in range(ARCHIVE_SEGMENT_EVENTS)]
    facts: list[AnyFact] = [created(), TaskStarted(), *steps, TaskSucceeded(summary="42")]
    events = [
        Event(number, STREAM, number, BEGIN_MS + number, BEGIN_MS + number, "agent", fact)
        for number, fact in enumerate(facts, 1)
    ]
    with DiskLog.open(folder / "log") as log:
        log.append(events)
    return folder, events[-1].recorded_at


@contextmanager
def opened(kind: str, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    with (tallystick.open if kind == "owner" else tallystick.join)(folder, clock=clock) as ledger:
        yield ledger


@pytest.mark.parametrize("kind", ["owner", "joined"])
def test_the_range_that_is_old_enough_is_listed_and_moved(kind: str, long_log: tuple[Path, int]) -> None:
    source, newest = long_log
    folder = source.with_name(kind)
    shutil.copytree(source, folder)
    clock = HandClock(newest + ARCHIVE_AFTER_MS - 1_000_000)
    with opened(kind, folder, clock) as ledger:
        early = [step for step in ledger.maintenance().actions if step.action == "archive"]
        clock.advance(1_000_000)
        preview = [step for step in ledger.maintenance().actions if step.action == "archive"]
        applied = [step for step in ledger.maintenance(apply=True).actions if step.action == "archive"]
        with tallystick.open(folder, read_only=True, clock=clock) as reader:
            from_beside = [step for step in reader.maintenance().actions if step.action == "archive"]

        assert [] == early == from_beside
        assert [f"1-{ARCHIVE_SEGMENT_EVENTS}"] == [step.token for step in preview] == [step.token for step in applied]
        assert ["done"] == [step.outcome for step in applied]
        assert [] == [step for step in ledger.maintenance().actions if step.action == "archive"]
        assert ledger.verify().ok
