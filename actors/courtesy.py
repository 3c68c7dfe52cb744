"""Courtesy: how a thread with much to do lets the interpreter go before another one has to ask for it."""

import time

HOLD_S = 0.001
PAUSE_S = 0.00005


class Courtesy:
    """Pauses for a moment after each millisecond of work. A thread that waits gets the interpreter then.

    Otherwise it has to wait for the switch interval, 5 ms for each thread that computes, and an embedder's loop would
    be late by that. What counts is the thread's own processor time: one that waits for others has let them go already,
    and would only come later to what it does. One for each thread.
    """

    __slots__ = ("_look_at", "_until")

    def __init__(self) -> None:
        self._until = self._look_at = 0.0  # the thread's own clock, and that of all: the first is asked for rarely

    def pause(self) -> None:
        """Let others go first, if this thread has had the interpreter for long."""
        now = time.monotonic()
        if now < self._look_at:
            return
        left = self._until - time.thread_time()
        if left <= 0:
            time.sleep(PAUSE_S)
            now, left = time.monotonic(), HOLD_S
            self._until = time.thread_time() + HOLD_S
        self._look_at = now + left  # it cannot have worked for longer than it took
