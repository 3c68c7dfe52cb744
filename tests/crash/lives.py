"""Lives of a ledger's owners, each ended by SIGKILL, and the witness who knows what was acknowledged."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import tallystick
from tallystick import Event, Ledger, TaskRecord
from tallystick.ledger.evolve import evolve
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.check import check
from tallystick.projections.views import Views
from tallystick.testing import HandClock

WRITER = Path(__file__).with_name("writer.py")
PATIENCE_S = 60.0
PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 16
US_PER_S = NS_PER_MS = 1_000_000


class Life:
    """One process that owns the ledger in a folder. It is there at once, and opens the ledger when it may begin."""

    program = WRITER

    def __init__(self, folder: Path, mode: str, seed: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, self.program, folder, mode, seed], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._timer = threading.Timer(PATIENCE_S, self._process.kill)
        self._timer.start()
        self._said = b""
        self.acknowledged = 0
        self.marks: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._process.kill()
        self._process.communicate()

    def go_on(self) -> None:
        """Let it do what it waits with: open, then close."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    def hear(self, *, acknowledged: int = 0, mark: str | None = None, times: int = 1) -> None:
        """Wait until it has said so many acknowledgements, or this mark so many times."""
        while self.acknowledged < acknowledged or (mark is not None and self.marks[mark] < times):
            assert self._read(), f"the writer ended by itself, with code {self._process.wait()}"

    def kill(self, *, after_us: int) -> list[str]:
        """Kill it so many microseconds from now; return all that it has said."""
        until = time.perf_counter() + after_us / US_PER_S
        while time.perf_counter() < until:
            pass
        self._process.kill()
        while self._read():
            pass
        code = self._process.wait(PATIENCE_S)
        assert -signal.SIGKILL == code, f"the writer ended by itself, with code {code}"
        return self._said.decode().splitlines()

    def _read(self) -> bool:
        said = os.read(self._output, READ_BYTES)
        self._said += said
        self.acknowledged += said.count(b"\na ") + said.startswith(b"a ")
        for mark in ("open", "grow", "archived", "rebuild", "close", "closed"):
            self.marks[mark] = self._said.count(f"m {mark}\n".encode())
        return bool(said)


class Witness:
    """Knows every acknowledgement of every life of one ledger, and holds the ledger to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head = 0
        self._at: dict[int, tuple[str, int, str]] = {}
        self._reached: dict[str, dict[int, str]] = {}

    def hear(self, said: list[str]) -> int:
        """Take note of what a life said; return how much of it was acknowledged."""
        count = 0
        for line in said:
            word, *told = line.split(" ")
            if word == "a":
                task_id, version, position, status = told[0], int(told[1]), int(told[2]), told[3]
                self._reached.setdefault(task_id, {})[version] = status
                if position:
                    self._at[position] = (task_id, version, status)
                count += 1
        return count

    def check(self) -> None:
        """Open the ledger again and hold it to everything that was ever acknowledged."""
        now = HandClock(time.time_ns() // NS_PER_MS)  # nothing is inferred while it is looked at
        with tallystick.open(self.folder, clock=now) as ledger:
            self._check_readers(ledger)
            events = list(ledger.events())
            assert list(range(1, len(events) + 1)) == [event.position for event in events]
            assert len(events) >= self.head, "the log is shorter than it was"
            self.head = len(events)
            records = self._check_histories(events)
            self._check_claims(records)
            found = ledger.verify()
            assert (True, []) == (found.ok, list(found.problems))
            self._check_views(ledger, records)

    def _check_histories(self, events: list[Event]) -> dict[str, TaskRecord]:
        """Fold every task, which raises where a version is missing, and look for what was acknowledged."""
        records: dict[str, TaskRecord] = {}
        for event in events:
            task_id = event.task_id
            record = records[task_id] = evolve(records.get(task_id), event)
            acknowledged = self._at.get(event.position)
            if acknowledged is not None:
                assert acknowledged == (task_id, record.version, record.status.value), event.position
            status = self._reached.get(task_id, {}).get(record.version)
            assert status in (None, record.status.value), (task_id, record.version)
        for task_id, reached in self._reached.items():
            assert max(reached) <= records[task_id].version, f"an acknowledged event of {task_id} is not there"
        assert max(self._at, default=0) <= len(events)
        return records

    def _check_claims(self, records: dict[str, TaskRecord]) -> None:
        runs = [record.run_id for record in records.values() if record.run_id is not None]
        identities = [record.idempotency_key for record in records.values() if record.idempotency_key is not None]
        assert len(set(runs)) == len(runs), "one run became two tasks"
        assert len(set(identities)) == len(identities), "one key became two tasks"

    def _check_views(self, ledger: Ledger, records: dict[str, TaskRecord]) -> None:
        ledger.settled()
        readings = ledger._house.readings  # noqa: SLF001 - what is checked lies behind the face
        views, log = readings.views, readings.log
        assert views is not None
        for projection in views.projections:
            checked = check(views, log, projection.name)
            assert (self.head, ()) == (checked.position, checked.differences), projection.name
        assert Counter(record.status.value for record in records.values()) == +Counter(ledger.counts().by_status)
        for record in ledger.list(limit=100).tasks:
            assert records[record.task_id] == record

    def _check_readers(self, ledger: Ledger) -> None:
        """The slots of the dead were cleared by opening, and nobody reads now."""
        ledger.settled()
        for environment in (log_of(ledger).environment, views_of(ledger).environment):
            assert 0 == environment.clear_dead_readers()
            assert 0 == environment.info().readers


def log_of(ledger: Ledger) -> DiskLog:
    log = ledger._house.readings.log  # noqa: SLF001 - as above
    assert isinstance(log, DiskLog)
    return log


def views_of(ledger: Ledger) -> Views:
    views = ledger._house.readings.views  # noqa: SLF001 - as above
    assert views is not None
    return views
