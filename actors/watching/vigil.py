"""The vigil: since when somebody has been watching without a break."""

import time
from collections.abc import Callable

from tallystick.ledger.clock import Clock, system_clock
from tallystick.ledger.limits import SWEEP_INTERVAL_MS

GAP_MS = 30_000  # a machine that slept, or a clock that was set: more than two threads ever wait for each other
SILENCE_MS = 3 * SWEEP_INTERVAL_MS
MS_PER_S = 1_000


class Vigil:
    """Watches the clock itself: only time in which somebody was watching counts for a grace.

    A clock that moves otherwise than time passes tells that the machine slept or that somebody set it; a look that
    comes later than `silence_ms` after the last, that this process was stopped. What was seen before says nothing about
    the time in between then, so the vigil begins anew. A clock that is not the system's is taken at its word: nobody
    but its maker knows how its time passes.
    """

    def __init__(
        self, clock: Clock, passed_s: Callable[[], float] | None = None, *, silence_ms: int = SILENCE_MS
    ) -> None:
        if passed_s is None and clock is system_clock:
            passed_s = time.monotonic
        self._clock, self._passed_s, self._silence_ms = clock, passed_s, silence_ms
        self.since = clock()
        self._last = self._reading()

    def look(self) -> int:
        """Take note that somebody watches now, and return the time (ms)."""
        now, passed = reading = self._reading()
        since_last = passed - self._last[1]
        was_away = self._passed_s is not None and since_last > self._silence_ms
        if was_away or abs((now - self._last[0]) - since_last) > GAP_MS:
            self.since = now
        self._last = reading
        return now

    def _reading(self) -> tuple[int, int]:
        now = self._clock()
        return now, now if self._passed_s is None else round(self._passed_s() * MS_PER_S)
