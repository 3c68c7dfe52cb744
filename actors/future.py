"""The future: an answer that is not there yet, cheap enough for one per command."""

import queue
import sys
from _thread import LockType, allocate_lock
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pykka

from tallystick.actors.envelope import ExcInfo
from tallystick.actors.log import logger

log = logger("actors")


# Of two threads that begin to wait, one makes the list.
_GUARD = allocate_lock()


def _raised(exc_info: ExcInfo) -> BaseException:
    kind, error, trace = exc_info
    if error is None:
        assert kind is not None, "an exception was set"
        error = kind()
    return error.with_traceback(trace)


class LightFuture(pykka.Future[Any]):
    """A `pykka.Future` that makes a lock only when somebody really waits.

    Pykka's own future builds a condition at birth, which costs ten times as much as the whole of this one.
    `set` and `set_exception` may be called once, from any thread; `get` from any number of threads.
    """

    # Slots, all filled at birth: two threads store into a future. When attributes without a slot first appear after the
    # birth, CPython 3.11 builds the instance's dictionary in the middle of a store; with two threads and the garbage
    # collector at work that lost a store now and then (a thread waited for ever on an answered future) or crashed.
    __slots__ = ("_callbacks", "_done", "_exc_info", "_get_hook", "_value", "_waiters")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        self._exc_info: ExcInfo | None = None
        self._waiters: list[LockType] | None = None
        self._callbacks: list[Callable[[LightFuture], None]] | None = None
        self._get_hook: Callable[[float | None], Any] | None = None

    def is_done(self) -> bool:
        """Whether the answer is there."""
        return self._done

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer, or raise what was answered; wait at most `timeout` seconds.

        Raises `pykka.Timeout` when the answer is not there in time.
        """
        if not self._done:
            if self._get_hook is None:
                self._wait(timeout)
            else:
                self._value = self._get_hook(timeout)
                self._done = True
        if self._exc_info is not None:
            raise _raised(self._exc_info)
        return self._value

    def _wait(self, timeout: float | None) -> None:
        lock = allocate_lock()
        lock.acquire()
        with _GUARD:
            if self._waiters is None:
                self._waiters = []
        waiters = self._waiters
        waiters.append(lock)
        if self._done or lock.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            return
        with suppress(ValueError):  # the answering thread has taken it
            waiters.remove(lock)
        if not self._done:
            raise pykka.Timeout(f"no answer within {timeout} seconds")

    def set(self, value: Any | None = None) -> None:
        """Give the answer. Raises `queue.Full` when there is one already, as Pykka's own future does."""
        if self._done or self._get_hook is not None:
            raise queue.Full
        self._value = value
        self._done = True
        if self._waiters is not None or self._callbacks is not None:
            self._tell()

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Answer with an exception, by default the one that is being handled."""
        if self._done or self._get_hook is not None:
            raise queue.Full
        self._exc_info = sys.exc_info() if exc_info is None else exc_info
        self._done = True
        if self._waiters is not None or self._callbacks is not None:
            self._tell()

    def fail(self, error: BaseException) -> None:
        """Answer with this error."""
        self.set_exception((type(error), error, None))

    def _tell(self) -> None:
        # Each is taken out before it is told, because others take theirs out meanwhile: who gave up waiting, and
        # who came with a callback and found the answer there.
        while self._waiters:
            with suppress(IndexError):
                self._waiters.pop().release()
        while self._callbacks:
            with suppress(IndexError):
                self._call(self._callbacks.pop(0))

    def _call(self, callback: Callable[["LightFuture"], None]) -> None:
        try:
            callback(self)
        except BaseException:  # the thread that answers has others to answer
            log.exception("callback_failed")

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        """Compute the answer when it is asked for. Raises `queue.Full` when there is an answer already."""
        if self._done:
            raise queue.Full
        super().set_get_hook(func)

    def when_done(self, callback: Callable[["LightFuture"], None]) -> None:
        """Call `callback(self)` once, on the thread that answers; at once when the answer is there.

        What it raises is logged: it is nobody else's.
        """
        with _GUARD:
            if self._callbacks is None:
                self._callbacks = []
        callbacks = self._callbacks
        callbacks.append(callback)
        if self._done:
            try:
                callbacks.remove(callback)
            except ValueError:
                return  # the answering thread took it
            self._call(callback)
