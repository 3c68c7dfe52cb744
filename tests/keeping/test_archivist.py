"""The archivist moves what is due when it is told to, step after step, and survives what keeps it from that."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.actors.keeping.archivist import Archivist
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.errors import Full
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.verify import verify
from tests.ledger.archive.shelves import LATER, SEGMENT
from tests.ledger.store.sound import history

PATIENCE_S = 20.0
SIZE = 1_400


class Seals(Sealing):
    """A sealing before each step of which something may happen."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def step(self) -> bool:
        self.before()
        return super().step()


class Desk:
    """A log, its sealing, and an archivist that says when it is done."""

    def __init__(self, log: DiskLog) -> None:
        self.log, self.sealing = log, Seals(log, segment_events=SEGMENT)
        self.done = threading.Event()
        self.failure: Exception | None = None
        self.archivist = Archivist(self.sealing, lambda: LATER, after_ms=0, told=self._told)
        self.archivist.start()

    def _told(self, error: Exception | None) -> None:
        self.failure = error
        self.done.set()

    def move(self, until: int) -> None:
        self.done.clear()
        self.archivist.move(until, self._told)
        assert self.done.wait(PATIENCE_S)

    def look(self) -> None:
        self.done.clear()
        self.archivist.look()
        self.archivist.hurry()
        assert self.done.wait(PATIENCE_S)

    def close(self) -> bool:
        self.archivist.stop()
        return self.archivist.join(PATIENCE_S)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DiskLog]:
    with DiskLog.open(tmp_path / "log") as opened:
        opened.append(*history(SIZE))
        yield opened


@pytest.fixture
def desk(log: DiskLog) -> Iterator[Desk]:
    made = Desk(log)
    yield made
    assert made.close()


def test_all_that_is_due_is_archived_when_it_looks(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    root = verify(desk.log).root_hash
    with caplog.at_level(logging.INFO, "tallystick"):
        desk.look()

    assert 2 * SEGMENT == desk.log.archived()
    assert (root, ()) == (verify(desk.log).root_hash, verify(desk.log).problems)
    told = [(each.getMessage(), vars(each)["first"], vars(each)["last"]) for each in caplog.records]
    assert [("range_archived", 1, SEGMENT), ("range_archived", SEGMENT + 1, 2 * SEGMENT)] == told


def test_it_does_nothing_that_nobody_told_it_to(desk: Desk) -> None:
    assert desk.close()

    assert 0 == desk.log.archived()


def test_a_full_disk_is_logged_and_the_next_look_goes_on(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def full() -> None:
        raise Full("the disk", bytes=0)

    desk.sealing.before = full
    desk.look()
    assert ["archiving_failed"] == [each.getMessage() for each in caplog.records]
    assert 0 == desk.log.archived()
    assert isinstance(desk.failure, Full), "and who told it to look hears that"

    desk.sealing.before = lambda: None
    desk.look()

    assert 2 * SEGMENT == desk.log.archived()
    assert desk.failure is None


def test_it_moves_as_much_as_it_is_asked_to_and_no_more(desk: Desk) -> None:
    desk.move(2 * SEGMENT - 1)
    first = desk.log.archived()
    desk.move(2 * SEGMENT)

    assert (SEGMENT, 2 * SEGMENT) == (first, desk.log.archived())


def test_an_archive_that_is_gone_is_logged_and_the_thread_lives_on(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk.look()
    folder = desk.log.archive.folder
    shutil.move(folder, tmp_path / "elsewhere")
    folder.mkdir()
    desk.look()
    assert "archiving_failed" in {each.getMessage() for each in caplog.records}

    folder.rmdir()
    shutil.move(tmp_path / "elsewhere", folder)
    desk.look()

    assert () == verify(desk.log).problems


def test_an_error_that_nobody_expected_is_logged_with_its_trace(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.sealing.before = lambda: 1 // 0  # type: ignore[assignment]
    desk.look()

    assert isinstance(desk.failure, ZeroDivisionError)
    assert ["archivist_failed"] == [each.getMessage() for each in caplog.records]
    assert caplog.records[0].exc_info is not None


def test_when_it_is_stopped_in_the_middle_it_ends_soon_and_the_next_one_finishes(desk: Desk) -> None:
    known = verify(desk.log).root_hash
    entered, gate = threading.Event(), threading.Event()
    steps = iter(range(1_000))

    def pause() -> None:
        if next(steps) == 1:
            entered.set()
            gate.wait(PATIENCE_S)

    desk.sealing.before = pause
    desk.archivist.look()
    assert entered.wait(PATIENCE_S)
    desk.archivist.stop()
    gate.set()
    assert desk.archivist.join(PATIENCE_S)
    assert 0 == desk.log.archived()

    following = Desk(desk.log)
    following.look()

    assert following.close()
    assert (2 * SEGMENT, known) == (desk.log.archived(), verify(desk.log).root_hash)
