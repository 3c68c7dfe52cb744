"""Courtesy: how a thread with much to do lets the interpreter go before another one has to ask for it."""

import time

HOLD_S = 0.001
PAUSE_S = 0.00005


class Courtesy:
    """Pauses for a moment once in a millisecond. A thread that waits gets the interpreter then.

    Otherwise it has to wait for the switch interval, 5 ms for each thread that computes, and an embedder's loop would
    be late by that. One for each thread.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.monotonic()

    def pause(self) -> None:
        """Let others go first, if this thread has had the interpreter for long."""
        if time.monotonic() - self._since > HOLD_S:
            time.sleep(PAUSE_S)
            self._since = time.monotonic()
