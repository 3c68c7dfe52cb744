"""The future: an answer that is not there yet, cheap enough for one per command."""

import queue
import sys
from _thread import LockType, allocate_lock
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias

import pykka

ExcInfo: TypeAlias = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def _raised(exc_info: ExcInfo) -> BaseException:
    _kind, error, trace = exc_info
    assert error is not None, "an exception was set"
    return error.with_traceback(trace)


class LightFuture(pykka.Future[Any]):
    """A `pykka.Future` that makes a lock only when somebody really waits.

    Pykka's own future builds a condition at birth, which costs ten times as much as the whole of this one.
    `set` and `set_exception` may be called once, from any thread; `get` from any number of threads.
    """

    _get_hook: Callable[[float | None], Any] | None = None
    _done = False
    _value: Any = None
    _exc_info: ExcInfo | None = None
    _waiters: list[LockType] | None = None
    _callbacks: list[Callable[["LightFuture"], None]] | None = None

    def __init__(self) -> None:  # the attributes above are the initial state
        pass

    def is_done(self) -> bool:
        """Whether the answer is there."""
        return self._done

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer, or raise what was answered; wait at most `timeout` seconds.

        Raises `pykka.Timeout` when the answer is not there in time.
        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._done:
            self._wait(timeout)
        if self._exc_info is not None:
            raise _raised(self._exc_info)
        return self._value

    def _wait(self, timeout: float | None) -> None:
        lock = allocate_lock()
        lock.acquire()
        # setdefault is one step under the interpreter lock: every waiter sees the same list.
        waiters = self.__dict__.setdefault("_waiters", [])
        waiters.append(lock)
        if not self._done and not lock.acquire(timeout=-1 if timeout is None else max(timeout, 0)) and not self._done:
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
        for lock in self._waiters or ():
            lock.release()
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:
                break  # the thread that added it took it back, and calls it itself
            callback(self)

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        """Compute the answer when it is asked for. Raises `queue.Full` when there is an answer already."""
        if self._done:
            raise queue.Full
        super().set_get_hook(func)

    def when_done(self, callback: Callable[["LightFuture"], None]) -> None:
        """Call `callback(self)` once, on the thread that answers; at once when the answer is there."""
        callbacks = self.__dict__.setdefault("_callbacks", [])
        callbacks.append(callback)
        if self._done:
            try:
                callbacks.remove(callback)
            except ValueError:
                return  # the answering thread took it
            callback(self)
