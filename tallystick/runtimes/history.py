"""The run history: how runs ended, in a small file beside the ledger, known before the ledger has it."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE, InvalidInput
from tallystick.ledger.verdict import Verdict

FILE_NAME = "runs.ndjson"
OLDER_NAME = "runs.older.ndjson"
HISTORY_BYTES_MAX = 4 << 20
HISTORY_BYTES_MIN = 4_096
RUNS_KNOWN_MAX = 20_000  # in memory, of a file that cannot be written and is never turned over

_encode = msgspec.json.Encoder().encode


class RunEnd(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How one run ended: as what, when (ms), and what it said."""

    run_id: str
    status: Literal["succeeded", "failed", "cancelled"]
    ended_at: int
    summary: str | None = None
    error: str | None = None

    def verdict(self, evidence: dict[str, object]) -> Verdict:
        """Return it as a probe's answer."""
        return Verdict.ended(self.status, evidence, summary=self.summary, error=self.error, ended_at=self.ended_at)


class RunHistory:
    """The newest ends in a folder: a line of JSON each, in two files, of which the older one is dropped in time.

    What was written survives the death of the process, not that of the machine: it is not synced, for the ledger has
    most ends a moment later. A line that cannot be read, the last one of a process that was killed, say, is left out.
    One process at a time writes; any thread may.
    """

    def __init__(self, folder: Path, *, bytes_max: int = HISTORY_BYTES_MAX) -> None:
        self._path, self._older = folder / FILE_NAME, folder / OLDER_NAME
        self._bytes_max = bytes_max // 2
        self._using = threading.Lock()
        self._known_older = _read(self._older)
        self._known = _read(self._path)
        self._file: int | None = None
        self._open()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, bytes_max: int = HISTORY_BYTES_MAX) -> Self:
        """Open the history in a folder, which is made for this user only. Raises `InvalidInput`."""
        if type(bytes_max) is not int or bytes_max < HISTORY_BYTES_MIN:
            raise InvalidInput("bytes_max", bytes_max, f"a whole number of bytes, {HISTORY_BYTES_MIN} or more")
        path = Path(folder)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(path, bytes_max=bytes_max)
        except OSError as error:
            raise InvalidInput("history", str(path), f"a folder that can be written ({error})") from error

    def __len__(self) -> int:
        with self._using:
            return len(self._known.keys() | self._known_older.keys())

    def get(self, run_id: str) -> RunEnd | None:
        """Return how a run ended, or None if that is not known."""
        with self._using:
            return self._known.get(run_id) or self._known_older.get(run_id)

    def write(self, ends: Iterable[RunEnd]) -> None:
        """Write down how runs ended, in one go. Raises `OSError`, and knows them all the same."""
        known = list(ends)
        lines = b"".join(_encode(end) + b"\n" for end in known)
        with self._using:
            try:
                if self._file is None:
                    self._open()
                if self._size and self._size + len(lines) > self._bytes_max:
                    self._turn_over()
                self._append(lines)
            except OSError:
                self._let_go()  # opening it again finds out whether a line was left half written
                raise
            finally:
                self._known.update((end.run_id, end) for end in known)
                while len(self._known) > RUNS_KNOWN_MAX:
                    del self._known[next(iter(self._known))]

    def close(self) -> None:
        """Let go of the file. What is known stays known."""
        with self._using:
            self._let_go()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _append(self, lines: bytes) -> None:
        assert self._file is not None, "it is open"
        while lines:
            written = os.write(self._file, lines)
            self._size += written
            lines = lines[written:]

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._append(b"\n")  # else the next line would become a part of one that was never finished

    def _turn_over(self) -> None:
        """Begin a new file; what was the older one is forgotten."""
        self._path.replace(self._older)
        self._let_go()
        self._known_older, self._known = self._known, {}
        self._open()


def _read(path: Path) -> dict[str, RunEnd]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, RunEnd] = {}
    decoder = msgspec.json.Decoder(RunEnd)
    for line in lines:
        try:
            end = decoder.decode(line)
        except UNREADABLE:
            continue
        found[end.run_id] = end
    return found
