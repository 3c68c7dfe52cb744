"""Track: a block or a function of Python as a task that ends as the code ends."""

import asyncio
import functools
import inspect
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, Unpack, cast

import psutil

from tallystick.ledger.intake import Creation
from tallystick.sync import Ledger, Task

F = TypeVar("F", bound=Callable[..., Any])


class track:  # noqa: N801 - it is used like a function: `with tallystick.track(…)`
    """Create a task, start it, and settle it by how the block ends; also as a decorator of a function.

    Without an exception the task succeeds, unless the block has ended it itself. `KeyboardInterrupt`,
    `GeneratorExit` and asyncio's `CancelledError` cancel it, `TimeoutError` times it out, any other exception fails it
    with the exception's last line. The exception goes on; the ledger only records it.
    What backs the task is this process: pid and start time are recorded with the start.
    """

    def __init__(self, ledger: Ledger, **given: Unpack[Creation]) -> None:
        self._ledger, self._given = ledger, given
        self._tasks: list[Task] = []

    def __call__(self, func: F) -> F:
        """Decorate a function or a coroutine function: every call is a task of its own."""
        tracked = self._async(func) if inspect.iscoroutinefunction(func) else self._sync(func)
        return cast("F", functools.wraps(func)(tracked))

    def _sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with track(self._ledger, **self._given):
                return func(*args, **kwargs)

        return tracked

    def _async(self, func: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            block = track(self._ledger, **self._given)
            # The ledger's answers are awaited on a thread: the loop never waits for a disk.
            await asyncio.to_thread(block.__enter__)
            try:
                result = await func(*args, **kwargs)
            except BaseException as error:
                await asyncio.shield(asyncio.to_thread(block.__exit__, type(error), error, error.__traceback__))
                raise
            await asyncio.to_thread(block.__exit__, None, None, None)
            return result

        return tracked

    def __enter__(self) -> Task:
        task = self._ledger.create(**self._given)
        task.start(backing=own_backing())
        self._tasks.append(task)
        return task

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._tasks.pop()
        if not task.record.is_active:
            return
        if error is None:
            task.succeed()
        elif isinstance(error, (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)):
            task.cancelled(type(error).__name__, stopped="the block was left")
        elif isinstance(error, TimeoutError):
            task.time_out(_last_line(error))
        else:
            task.fail(_last_line(error))


def own_backing() -> dict[str, object]:
    """Return what identifies this process: its pid and when it started (ms), so that a reused pid is told apart."""
    return {"pid": os.getpid(), "started": process_started_ms(os.getpid())}


@functools.lru_cache(maxsize=8)
def process_started_ms(pid: int) -> int:
    """Return when a process of this machine started, UTC ms. Raises `psutil.NoSuchProcess`."""
    return round(psutil.Process(pid).create_time() * 1_000)


def _last_line(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
