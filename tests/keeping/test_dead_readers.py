"""A reader that was killed in the middle of reading keeps no space for longer than until the next round of upkeep."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tallystick
from tallystick.actors.keeping.upkeep import Upkeep
from tallystick.actors.watching.orders import Pace
from tallystick.ledger.errors import StoreError
from tallystick.ledger.store.environment import Environment
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.actors.parts import PATIENCE_S
from tests.keeping.test_keeper import WEEK_MS, ended, is_pruned

READS = """
import sys, tallystick
with tallystick.open(sys.argv[1], read_only=True) as ledger:
    readings = ledger._house.readings
    with readings.log.environment.read(), readings.views.environment.read():
        print("reading", flush=True)
        sys.stdin.read()
"""


@contextmanager
def reading(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that is in the middle of reading the log and the views."""
    words = [sys.executable, "-c", READS, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "reading\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def stores(ledger: Ledger) -> list[Environment]:
    readings = ledger._house.readings  # noqa: SLF001 - nobody is shown who reads
    assert readings.views is not None
    return [readings.log.environment, readings.views.environment]  # type: ignore[attr-defined] # a log on disk


def readers(ledger: Ledger) -> list[int | None]:
    """The processes whose read is the oldest, of the log and of the views."""
    return [store.info().oldest_reader_pid for store in stores(ledger)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with tallystick.open(tmp_path / "ledger", clock=HandClock()) as opened:
        yield opened


def test_a_round_frees_what_a_killed_process_was_reading_and_nothing_of_a_living_one(ledger: Ledger) -> None:
    folder = Path(ledger.path)
    with reading(folder) as killed, reading(folder) as alive:
        killed.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == killed.wait()
        assert [killed.pid, killed.pid] == readers(ledger), "nobody has noticed"

        ledger.sweep()

        assert [alive.pid, alive.pid] == readers(ledger)
        assert [1, 1] == [store.info().dead_readers for store in stores(ledger)]


def test_a_round_that_cannot_free_them_says_so_and_does_what_is_due(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise StoreError("the lock file is gone")

    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        task_id, house = ended(ledger), ledger._house  # noqa: SLF001 - its parts, for an upkeep of our own
        clock.advance(WEEK_MS)
        upkeep = Upkeep(
            house.readings.reader,
            house.readings.rules,
            clock,
            send=house.system.direct,
            foresee=house.system.foresee,
            tidy=fail,
            pace=Pace(by_hand=True),
        )
        upkeep.start()

        assert upkeep.ask(PATIENCE_S)

        assert upkeep.close(PATIENCE_S)
        assert is_pruned(ledger, task_id)
    assert ["readers_not_cleared"] == [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
