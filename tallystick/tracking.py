"""Track: a block or a function of Python as a task that ends as the code ends."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar, Unpack, cast

from tallystick.aio import AsyncLedger
from tallystick.async_task import AsyncTask
from tallystick.ledger.errors import InvalidInput, Refused, TallystickError
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import MEDIA_KINDS
from tallystick.probes.process import own_backing
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.verbs import TaskVerbs

__all__ = ["own_backing", "track"]

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])

_CANCELLING = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)


class track:  # noqa: N801 - it is used like a function: `with tallystick.track(…)`
    """Create a task, start it, and settle it by how the block ends; also as a decorator of a function.

    Without an exception the task succeeds, unless the block has ended it itself. `KeyboardInterrupt`,
    `GeneratorExit` and asyncio's `CancelledError` cancel it, `TimeoutError` times it out, any other exception fails it
    with the exception's text; an exit with code 0 is a success. The exception goes on; the ledger only records it, and
    what keeps it from doing so becomes a note of the exception. A task that somebody else has ended meanwhile stays
    as it is: how the block ended is kept as a late signal.
    What backs the task is this process: pid, start time, boot and host are recorded with the start.
    A generation that the session has already is somebody else's, and is neither started nor settled by the block:
    `task.is_new` tells. One that is found by its run id or its key is this block's, as it was before a restart.

    With an `AsyncLedger` it is `async with`, or decorates a coroutine function. With a `Ledger` both ways work: in a
    coroutine its answers are awaited on a thread, so that the loop never waits for a disk.
    """

    def __init__(self, ledger: Ledger | AsyncLedger, **given: Unpack[Creation]) -> None:
        self._ledger, self._given = ledger, given
        self._tasks: list[Task] = []
        self._async_tasks: list[Task | AsyncTask] = []

    def __call__(self, func: F) -> F:
        """Decorate a function, a generator function or a coroutine function: every call is a task of its own."""
        if inspect.iscoroutinefunction(func):
            tracked = self._coroutine(func)
        elif inspect.isasyncgenfunction(func):
            raise InvalidInput("the decorated function", func, "a function, a generator or a coroutine function")
        else:
            self._threads_ledger()
            tracked = self._generator(func) if inspect.isgeneratorfunction(func) else self._function(func)
        return cast("F", functools.wraps(func)(tracked))

    def _function(self, func: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with track(self._ledger, **self._given):
                return func(*args, **kwargs)

        return tracked

    def _generator(self, func: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with track(self._ledger, **self._given):
                return (yield from func(*args, **kwargs))  # type: ignore[no-any-return]  # what it returns is its own

        return tracked

    def _coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            async with track(self._ledger, **self._given):
                return await func(*args, **kwargs)

        return tracked

    def __enter__(self) -> Task:
        task = self._threads_ledger().create(**self._given)
        if not self._is_of_others(task):
            task.start(backing=own_backing())
        self._tasks.append(task)
        return task

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._tasks.pop()
        if task.record.is_active and not self._is_of_others(task):
            try:
                _end(task, error)
            except TallystickError as refusal:
                _told(refusal, error)

    async def __aenter__(self) -> Task | AsyncTask:
        # Shielded: a task that is created while its caller is cancelled must not run for ever.
        entering = asyncio.ensure_future(self._enter())
        try:
            task = await asyncio.shield(entering)
        except asyncio.CancelledError as error:
            with suppress(TallystickError):
                await self._leave(await entering, error)
            raise
        self._async_tasks.append(task)
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._leave(self._async_tasks.pop(), error))

    async def _enter(self) -> Task | AsyncTask:
        if isinstance(self._ledger, Ledger):
            created = await asyncio.to_thread(self._ledger.create, **self._given)
            if not self._is_of_others(created):
                await asyncio.to_thread(created.start, backing=own_backing())
            return created
        task = await self._ledger.create(**self._given)
        if not self._is_of_others(task):
            await task.start(backing=own_backing())
        return task

    async def _leave(self, task: Task | AsyncTask, error: BaseException | None) -> None:
        if not task.record.is_active or self._is_of_others(task):
            return
        try:
            if isinstance(task, Task):
                await asyncio.to_thread(_end, task, error)
            else:
                await _end(task, error)
        except TallystickError as refusal:
            _told(refusal, error)

    def _is_of_others(self, task: Task | AsyncTask) -> bool:
        """Whether this is a generation that the session had already."""
        is_found = self._given.get("run_id") is not None or self._given.get("idempotency_key") is not None
        return not task.is_new and not is_found and task.record.task_kind in MEDIA_KINDS

    def _threads_ledger(self) -> Ledger:
        if not isinstance(self._ledger, Ledger):
            raise InvalidInput(
                "ledger", self._ledger, 'a Ledger; with an AsyncLedger it is "async with" or "async def"'
            )
        return self._ledger


def _end(task: TaskVerbs[A], error: BaseException | None) -> A:
    """Report how a block ended."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return task.succeed()
    if isinstance(error, _CANCELLING):
        return task.cancelled(type(error).__name__, stopped="the block was left")
    if isinstance(error, TimeoutError):
        return task.time_out(_in_words(error))
    code = error.code if isinstance(error, SystemExit) and type(error.code) is int else None
    return task.fail(_in_words(error), exit_code=code)


def _told(refusal: TallystickError, error: BaseException | None) -> None:
    """Say that the ledger did not record the end, where somebody will look; a late signal is recorded."""
    if error is not None:
        error.add_note(f"tallystick: {refusal}")
    elif not isinstance(refusal, Refused):
        raise refusal


def _in_words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
