"""The gang: the calls of one kind, and the threads that take them up. Owned by a crew, and used under its lock."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

HEED_S = 1.0  # how long a coroutine that is cancelled may take to end

Done = Callable[[Any], None]
"""What is called with the answer of a call, or with the exception that took its place."""


class Call:
    """A function that is to be called with an argument, once. Its limit runs from the moment in which it begins."""

    __slots__ = ("argument", "done", "function", "is_awaited", "is_over", "key", "limit_s", "look_at", "until")

    def __init__(
        self, key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        self.key, self.function, self.argument = key, function, argument
        self.limit_s, self.done, self.is_over = limit_s, done, False
        self.is_awaited, self.until, self.look_at = False, 0.0, 0.0

    def begin(self, now: float) -> None:
        """Its time runs from now on."""
        self.until = self.look_at = now + self.limit_s

    def is_late(self, now: float) -> bool:
        """Whether to give it up; a coroutine is cancelled at its limit, and has a moment longer to heed that."""
        if self.is_awaited and self.look_at == self.until <= now:
            self.look_at += HEED_S
        return self.look_at <= now


class Gang:
    """The calls of one kind: who waits, who is called, and who hangs; and the threads that take them up."""

    def __init__(self, kind: str, at_once: int) -> None:
        self.kind, self._at_once = kind, at_once
        self.waiting: deque[Call] = deque()
        self.called: set[Call] = set()
        self.keys: set[bytes] = set()
        self.threads = self.hanging = 0
        self.idle: list[threading.Lock] = []
        """What threads wait for that have no call."""
        self.taken_at = 0.0

    def is_busy(self) -> bool:
        """Whether a thread has a call, or is about to take one."""
        return self.threads > len(self.idle)

    def may_grow(self) -> bool:
        """Whether another thread could take up a call."""
        return bool(self.idle) or self.threads < self._at_once

    def linger(self) -> threading.Lock:
        """Return what a thread waits for that has no call: it is released when there is one."""
        turn = threading.Lock()
        turn.acquire()
        self.idle.append(turn)
        return turn

    def rouse(self) -> None:
        """Let a thread that lingers look for a call: the one that came last, so that the others may go."""
        self.idle.pop().release()

    def linger_no_more(self, turn: threading.Lock) -> bool:
        """Let a thread linger no more; whether it has lingered in vain."""
        if turn not in self.idle:
            return False
        self.idle.remove(turn)
        return True

    def take(self) -> Call | None:
        """Begin the next call, if one waits."""
        if not self.waiting:
            return None
        call = self.waiting.popleft()
        self.taken_at = time.monotonic()
        call.begin(self.taken_at)
        self.called.add(call)
        return call

    def strand(self) -> list[Call]:
        """Return those who wait in vain, and let them wait no more."""
        stranded = list(self.waiting)
        self.waiting.clear()
        self.keys.difference_update(call.key for call in stranded)
        return stranded
