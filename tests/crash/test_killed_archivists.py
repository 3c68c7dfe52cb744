"""Whoever is killed while archiving, at whatever step, leaves a log that answers as before; the next one goes on.

`CRASH_KILLS=5000 pytest tests/crash` kills that many writers that archive, too; `CRASH_SEED` chooses other moments.
"""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Deleted
from tallystick.ledger.store.verify import verify
from tests.crash.archivist import SEGMENT
from tests.crash.test_killed_writers import ACKNOWLEDGED_MAX, KILLS, LIVES, SEED, SPIN_US_MAX, Lives, always
from tests.ledger.archive.shelves import seal
from tests.ledger.store.make import Author
from tests.ledger.store.sound import history

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

SIZE = 1_100
ARCHIVIST = Path(__file__).with_name("archivist.py")
SHARE = 4  # of the kills are of writers that archive


def ended(folder: Path, number: int) -> int:
    """Let an archivist end itself at an operation, and return its exit code; 0 when it came to the end."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(ARCHIVIST), str(folder), str(number)]
    return subprocess.run(command, env=environment, check=False, timeout=60, stdout=subprocess.DEVNULL).returncode


def test_an_archivist_killed_at_any_operation_on_a_file_has_lost_nothing_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    twin = MemoryLog()
    twin.append(*history(SIZE))
    with DiskLog.open(tmp_path / "before") as log:
        log.append(*history(SIZE))
        assert SEGMENT == seal(log, segments=1)
    known = verify(twin)

    for number in count():
        folder = Path(shutil.copytree(tmp_path / "before", tmp_path / "log"))
        code = ended(folder, number)
        assert code in (0, -signal.SIGKILL)
        for _ in range(2):  # as the dead one left it, and after the next one has gone on
            with DiskLog.open(folder) as log:
                found, records = verify(log), list(log.read())
                assert (known.root_hash, ()) == (found.root_hash, found.problems)
                is_gone = {isinstance(record, Deleted) for record in records[:SEGMENT]}
                assert 1 == len(is_gone), "a segment is deleted as a whole or not at all"
                assert list(twin.read())[SEGMENT * is_gone.pop() :] == records[found.deleted :]
                assert 2 * SEGMENT == seal(log)
        with DiskLog.open(folder) as log:
            log.append(Author(SIZE).write(*range(9_000, 9_000 + SEGMENT)))
            assert 3 * SEGMENT == seal(log)
            gone = {entry.file for entry in log.archive.entries() if entry.is_deleted}
        assert not [path for path in folder.glob("archive/*") if path.suffix == ".unfinished" or path.name in gone]
        shutil.rmtree(folder)
        if not code:
            assert number > 20
            return


@pytest.mark.parametrize("number", range(-(-KILLS // LIVES // SHARE)))
def test_everything_acknowledged_is_there_when_a_writer_is_killed_that_archives(tmp_path: Path, number: int) -> None:
    with Lives(tmp_path / "ledger", always("archive"), f"{SEED} archive {number}") as lives:
        for _ in range(LIVES):
            life = lives.begin()
            life.hear(acknowledged=lives.chance.randrange(1, ACKNOWLEDGED_MAX))
            if lives.chance.random() < 0.5:
                life.hear(mark="archived", times=lives.chance.randrange(1, 3))
            assert 0 < lives.end(life, after_us=SPIN_US_MAX)
        log = DiskLog.open(tmp_path / "ledger" / "log", readonly=True)
        with log:
            assert log.archived() > 0
