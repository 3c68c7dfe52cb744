"""The archivist: a thread of its own that moves sealed ranges of the log into the archive, step by step."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from msgspec import Struct

from tallystick.actors.log import logger
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import Closed, TallystickError

log = logger("actors")

REST = 4  # times as long as a step took: so long others have the disk and the interpreter for themselves
REST_S_MIN, REST_S_MAX = 0.01, 1.0


class _Look(Struct, frozen=True):
    """Somebody wants what is due archived, all of it or up to a position; and who hears when that is done."""

    done: Callable[[Exception | None], None]
    until: int | None = None


class Archivist:
    """Archives what is due when it is told to look, with a rest after every step.

    `told` hears when it is done, and what kept it from that. It begins nothing by itself and remembers nothing: what is
    half-done when it ends, the next one goes on with. What fails is logged, and tried again at the next look.
    """

    def __init__(
        self, sealing: Sealing, clock: Clock, *, after_ms: int, told: Callable[[Exception | None], None]
    ) -> None:
        self._sealing, self._clock, self._after_ms, self._told = sealing, clock, after_ms, told
        self._looks: SimpleQueue[_Look] = SimpleQueue()
        self._hurried = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="tallystick-archive", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def look(self) -> None:
        """Archive what is due. Any thread may say so."""
        self._looks.put(_Look(self._told))

    def move(self, until: int, done: Callable[[Exception | None], None]) -> None:
        """Archive what is due up to a position, without a rest; `done` hears of it. Any thread may say so.

        Nobody is told any more when it was stopped before: whoever waits looks whether it `is_there`.
        """
        self._looks.put(_Look(done, until))
        self.hurry()

    def hurry(self) -> None:
        """Rest no more until nothing is due: somebody waits for it."""
        self._hurried.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopping = True
        self._hurried.set()
        self._looks.put(_Look(self._told))

    def is_there(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait until what is under way is done; whether it was within `timeout_s` seconds."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            look = self._looks.get()
            if self._is_stopping:
                return
            error: Exception | None = None
            try:
                error = self._archive(look.until)
                if error is not None:
                    log.error("archiving_failed", error=str(error), kind=type(error).__name__)
            except Exception as unexpected:  # the next look may do better
                error = unexpected
                log.exception("archivist_failed")
            finally:
                self._sealing.close()
                if not self._is_stopping:
                    self._hurried.clear()
                look.done(error)

    def _archive(self, until: int | None) -> TallystickError | None:
        """Archive what is due; return what kept it from that. The next look goes on, and the next owner."""
        try:
            self._sealing.forget_deleted()
            while not self._is_stopping:
                wanted = self._sealing.due(self._clock(), self._after_ms)
                if wanted is None or (until is not None and wanted[-1] > until):
                    break
                began = time.monotonic()
                if self._move():
                    seconds = round(time.monotonic() - began, 3)
                    log.info("range_archived", first=wanted[0], last=wanted[-1], seconds=seconds)
        except TallystickError as error:
            return None if isinstance(error, Closed) else error
        return None

    def _move(self) -> bool:
        """Move the range that is due; whether all of it was."""
        while not self._is_stopping:
            began = time.monotonic()
            if not self._sealing.step():
                return True
            rest_s = REST * (time.monotonic() - began)
            self._hurried.wait(min(max(rest_s, REST_S_MIN), REST_S_MAX))
        return False
