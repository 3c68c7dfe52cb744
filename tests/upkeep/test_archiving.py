"""Ranges of the log that are old enough are archived by whoever applies maintenance as the owner, or without one."""

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

SEGMENTS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A ledger with three whole segments of events, and the moment of the last of the second."""
    folder = tmp_path_factory.mktemp("long") / "ledger"
    folder.mkdir(mode=0o700)
    steps = [TaskProgressed(step=number) for number in range(SEGMENTS * ARCHIVE_SEGMENT_EVENTS)]
    facts: list[AnyFact] = [created(), TaskStarted(), *steps, TaskSucceeded(summary="42")]
    events = [
        Event(number, STREAM, number, BEGIN_MS + number, BEGIN_MS + number, "agent", fact)
        for number, fact in enumerate(facts, 1)
    ]
    with DiskLog.open(folder / "log") as log:
        log.append(events)
    return folder, events[2 * ARCHIVE_SEGMENT_EVENTS - 1].recorded_at


@contextmanager
def opened(kind: str, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    with (tallystick.open if kind == "owner" else tallystick.join)(folder, clock=clock) as ledger:
        yield ledger


@pytest.mark.parametrize("kind", ["owner", "joined"])
def test_all_that_is_old_enough_is_listed_and_moved_and_nothing_else_is_done(
    kind: str, long_log: tuple[Path, int]
) -> None:
    source, newest = long_log
    folder = source.with_name(kind)
    shutil.copytree(source, folder)
    clock = HandClock(newest + ARCHIVE_AFTER_MS - ARCHIVE_SEGMENT_EVENTS - 1)
    with opened(kind, folder, clock) as ledger:
        early = [step for step in ledger.maintenance().actions if step.action == "archive"]
        clock.advance(ARCHIVE_SEGMENT_EVENTS + 1)
        preview = [step for step in ledger.maintenance().actions if step.action == "archive"]
        head = ledger.status().head
        applied = [step for step in ledger.maintenance(apply=True).actions if step.action == "archive"]
        with tallystick.open(folder, read_only=True, clock=clock) as reader:
            from_beside = [step for step in reader.maintenance().actions if step.action == "archive"]

        assert [] == early == from_beside
        ranges = [f"{first + 1}-{first + ARCHIVE_SEGMENT_EVENTS}" for first in (0, ARCHIVE_SEGMENT_EVENTS)]
        assert ranges == [step.token for step in preview] == [step.token for step in applied]
        assert ["done", "done"] == [step.outcome for step in applied]
        assert 2 * ARCHIVE_SEGMENT_EVENTS == ledger.archives()[-1].last, "the third is younger"
        assert head == ledger.status().head
        assert [] == [step for step in ledger.maintenance().actions if step.action == "archive"]
        assert ledger.verify().ok
