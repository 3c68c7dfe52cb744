"""The process: a command in a process group of its own, with its output passed through and its last line known."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import IO, Self

from tallystick.plain import plain
from tallystick.probes.group import ProcessGroup
from tallystick.probes.process import backing_of

KILL_AFTER_S = 5.0
TICK_S = 0.5  # how soon a silent stream notices that the command has ended
DRAIN_S = 0.5  # how long a stream may be silent after the end: what the command has left behind may hold it open
CHUNK_BYTES = 65_536
LINE_BYTES_MAX = 4_096
LINE_CHARACTERS_MAX = 200
MS_PER_S = 1_000


class Process:
    """A running command. What it writes goes to `out` and `err` as it comes, or nowhere.

    When one of these takes no more, the command's own pipe is closed: it is told as if it had written there itself.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", out: IO[bytes] | None, err: IO[bytes] | None) -> None:
        assert popen.stdout is not None
        assert popen.stderr is not None
        self.last_line = ""
        """The newest line on either stream that said something."""
        self.ended = threading.Event()
        self._popen = popen
        self._group = ProcessGroup(popen.pid)
        self._backing = _backing(popen.pid)  # now nobody has asked yet how it ended: it is there even if it has
        self._streams = (_Stream(self, popen.stdout, out), _Stream(self, popen.stderr, err))
        threading.Thread(target=self._wait, name="tallystick-process", daemon=True).start()

    @classmethod
    def start(cls, words: Sequence[str], out: IO[bytes] | None, err: IO[bytes] | None) -> Self:
        """Start a command. It reads what this process would read, but no terminal. Raises `OSError`.

        Hold back what interrupts this process meanwhile: else the command could run and nobody know it.
        """
        no_input = sys.stdin is None or sys.stdin.closed or sys.stdin.isatty()
        popen = subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.DEVNULL if no_input else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        return cls(popen, out, err)

    @property
    def pid(self) -> int:
        """The command's process id, which is that of its group."""
        return self._popen.pid

    @property
    def code(self) -> int:
        """How the command ended: its exit code, or the number of the signal that ended it, negative."""
        code = self._popen.returncode
        assert code is not None, "it runs"
        return code

    @property
    def last_error(self) -> str:
        """The last line that it wrote to its standard error, else the last line at all."""
        return self._streams[1].last_line or self.last_line

    def backing(self) -> dict[str, object]:
        """Return what can be probed: process and group, when and where it started, and this process as its runner.

        The runner reports the end, so the task is not lost between the end and the report.
        """
        return dict(self._backing)

    def stop(self, first: signal.Signals) -> str:
        """Stop the whole group: `first`, then SIGKILL for what is left after KILL_AFTER_S. Returns what was done."""
        return self._stopped(lambda: self._group.stop(first, kill_after_s=KILL_AFTER_S))

    def kill(self) -> str:
        """Kill the whole group. Returns what was done."""
        return self._stopped(self._group.kill)

    def _stopped(self, stop: Callable[[], str | None]) -> str:
        """Stop the group and wait until the command has ended; what may not be signalled is waited for."""
        try:
            how = stop() or f"{self._group}, by SIGKILL, which not all of it obeys"
        except PermissionError:
            how = f"{self._group}, by itself: it may not be signalled"
        self.ended.wait()
        return how

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait until all that the command wrote has been passed on."""
        for stream in self._streams:
            stream.done.wait(timeout_s)

    def _wait(self) -> None:
        self._popen.wait()
        self.ended.set()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back the signals that end this process until the block is over: nothing in it is left half done.

    What came meanwhile is handled at the end of the block. Only the main thread is ever interrupted, so only there.
    """
    came: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda *signalled: came.append(signalled))
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for signalled in came:
            handlers[signalled[0]](*signalled)


def _backing(pid: int) -> dict[str, object]:
    try:
        backing = backing_of(pid, group=pid, runner=True)
    except OSError:  # the system hides it from this process, or asks nobody how a process ended
        own = backing_of(os.getpid(), group=pid, runner=True)
        backing = {name: value for name, value in own.items() if name not in {"started", "ticks"}} | {"pid": pid}
    return {**backing, "probe": "process"}


class _Stream:
    """Passes one stream of a process on, and notes its last line."""

    def __init__(self, process: Process, source: IO[bytes], sink: IO[bytes] | None) -> None:
        self._process, self._source, self._sink = process, source, sink
        self._tail = b""
        self.last_line = ""
        self.done = threading.Event()
        threading.Thread(target=self._run, name="tallystick-output", daemon=True).start()

    def _run(self) -> None:
        try:
            self._copy()
        finally:
            self.done.set()

    def _copy(self) -> None:
        with self._source:
            file = self._source.fileno()
            readable = select.poll()
            readable.register(file, select.POLLIN)
            while True:
                ended = self._process.ended.is_set()
                if not readable.poll((DRAIN_S if ended else TICK_S) * MS_PER_S):
                    if ended:
                        return
                    continue
                chunk = os.read(file, CHUNK_BYTES)
                if not chunk or not self._passed_on(chunk):
                    return
                self._note(chunk)

    def _passed_on(self, chunk: bytes) -> bool:
        if self._sink is None:
            return True
        try:
            self._sink.write(chunk)
            self._sink.flush()
        except (OSError, ValueError):
            return False
        return True

    def _note(self, chunk: bytes) -> None:
        """Remember the last line that says something; a line may come in parts."""
        told = (self._tail + chunk)[-LINE_BYTES_MAX:]
        lines = told.splitlines()
        self._tail = b"" if told.endswith((b"\n", b"\r")) else lines[-1]
        for line in reversed(lines):
            text = plain(line.decode(errors="replace")).strip()
            if text:
                self.last_line = self._process.last_line = text[:LINE_CHARACTERS_MAX]
                return
