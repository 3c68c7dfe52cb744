"""The scribe: a thread that writes ends into a run history, then passes them on; nobody else waits for the file."""

import queue
import threading
from collections.abc import Callable

from msgspec.structs import replace

from tallystick.ledger.redaction import Strip
from tallystick.runtimes.history import RunEnd, RunHistory

ENDS_WAITING_MAX = 10_000
ENDS_AT_ONCE = 256


class Scribe:
    """Takes ends from any thread and never lets one wait: writes them into the history, then hands them on.

    `words` takes out of what is written what may not be kept.
    """

    def __init__(
        self,
        history: RunHistory,
        pass_on: Callable[[RunEnd], None],
        failed: Callable[[int, OSError | None], None],
        words: Strip,
    ) -> None:
        self._history, self._pass_on, self._failed, self._words = history, pass_on, failed, words
        self._is_closed = False
        self._waiting: queue.Queue[RunEnd | None] = queue.Queue(ENDS_WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="tallystick-scribe", daemon=True)
        self._thread.start()

    def put(self, end: RunEnd) -> None:
        """Take an end. When too many wait already, it is passed on at once and stays out of the history.

        So is one that comes after `close`: a scheduler may be telling it on another thread just then.
        """
        try:
            if self._is_closed:
                raise queue.Full
            self._waiting.put_nowait(end)
        except queue.Full:
            self._failed(1, None)
            self._pass_on(end)

    def close(self, timeout_s: float) -> None:
        """Write down and pass on what was taken, then let go of the history; wait for that at most `timeout_s`."""
        self._is_closed = True
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            return  # the disk hangs; the thread does not keep the process from ending
        self._thread.join(timeout_s)

    def _run(self) -> None:
        goes_on = True
        while goes_on or not self._waiting.empty():
            taken = [self._waiting.get()]
            while len(taken) < ENDS_AT_ONCE and not self._waiting.empty():
                taken.append(self._waiting.get())
            goes_on &= None not in taken
            if ends := [end for end in taken if end is not None]:
                self._write(ends)
        self._history.close()

    def _write(self, ends: list[RunEnd]) -> None:
        try:
            self._history.write(map(self._as_kept, ends))
        except OSError as error:
            self._failed(len(ends), error)
        for end in ends:
            self._pass_on(end)

    def _as_kept(self, end: RunEnd) -> RunEnd:
        return replace(
            end, summary=end.summary and self._words(end.summary), error=end.error and self._words(end.error)
        )
