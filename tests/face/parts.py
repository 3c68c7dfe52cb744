"""Parts for the tests of the face: one voice for both faces, and processes that do as they are told."""

import asyncio
import inspect
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import tallystick
from tallystick.async_flows import AsyncFlow, AsyncFlows
from tallystick.async_task import AsyncTask
from tallystick.ledger.events import Event
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger

PATIENCE_S = 20.0
"""How long a test waits for what must come. Only a failing test waits that long."""

SPEAKER = "tester"
OWNER = "agent:main:main"
ORDINARY: dict[str, Any] = {"runtime": "subagent", "task": "Count the tallies", "owner": OWNER, "notify": "silent"}
"""A task of which nobody is told."""

T = TypeVar("T")


class Awaited:
    """A thing of asyncio as if it were one for threads: what it answers is awaited here."""

    def __init__(self, thing: Any, runner: asyncio.Runner) -> None:
        self._thing, self._runner = thing, runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._thing, name)
        if not callable(value):
            return self._wrapped(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            async def awaited() -> Any:  # called on the loop, as a coroutine would
                answer = value(*args, **kwargs)
                return await answer if inspect.isawaitable(answer) else answer

            return self._wrapped(self._runner.run(awaited()))

        return call

    def __len__(self) -> int:
        return len(self._thing)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._thing)

        try:
            return self._runner.run(following())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Any:
        async def enter() -> Any:
            return await self._thing.__aenter__()

        return self._wrapped(self._runner.run(enter()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def leave() -> None:
            await self._thing.__aexit__(kind, error, trace)

        self._runner.run(leave())

    def _wrapped(self, answer: Any) -> Any:
        is_async = isinstance(answer, AsyncTask | AsyncFlow | AsyncFlows | AsyncIterator)
        is_async = is_async or hasattr(answer, "__aenter__")
        is_async = is_async or type(answer).__name__ == "AsyncBatchTask"
        return Awaited(answer, self._runner) if is_async else answer


class open_any:  # noqa: N801 - it is used like a function
    """Open a ledger of a kind; to be used as a context manager."""

    def __init__(self, kind: str, folder: Path, clock: HandClock) -> None:
        self._runner = asyncio.Runner()
        self._owner: Ledger | None = None
        if kind == "memory":
            self._opening = memory_ledger(clock=clock, actor=SPEAKER)
        elif kind == "disk":
            self._opening = tallystick.open(folder, clock=clock, actor=SPEAKER)
        elif kind == "joined":
            self._owner = tallystick.open(folder, clock=clock, actor="owner")
            self._opening = tallystick.join(folder, clock=clock, actor=SPEAKER)
        else:
            asynchronous = tallystick.open_async(folder, clock=clock, actor=SPEAKER)
            self._opening = cast("Ledger", Awaited(asynchronous, self._runner))

    def __enter__(self) -> Ledger:
        return self._opening.__enter__()

    def __exit__(self, *_: object) -> None:
        self._opening.close()
        if self._owner is not None:
            self._owner.close()
        self._runner.close()


class Process:
    """A Python process that runs a script, says lines, and hears lines."""

    def __init__(self, script: str, *args: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", textwrap.dedent(script), *map(str, args)],  # its lines are heard at once
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._timer = threading.Timer(3 * PATIENCE_S, self._process.kill)
        self._timer.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self) -> str:
        """Return the next line that it says; empty when it says no more."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def say(self, line: str = "") -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")

    def kill(self) -> None:
        """End it as nothing else does, and wait until it is gone."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def end(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        return self._process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._process.kill()
        self._process.communicate()


def said(script: str, *args: object, prefix: Sequence[str] = ()) -> list[str]:
    """Run a script in a process of its own and return the lines that it says; it must end well."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=3 * PATIENCE_S,
    )
    return done.stdout.splitlines()


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Run `work` with the numbers from 0 on as many threads, all from one start, and return what they return."""
    start = threading.Barrier(count)

    def run(number: int) -> T:
        start.wait(PATIENCE_S)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count), timeout=3 * PATIENCE_S))


def told(events: Iterator[Event] | list[Event]) -> list[tuple[int, str]]:
    """Return the positions and types of events."""
    return [(event.position, event.type) for event in events]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for the locks: they are written by whoever looks."""
    locks = {"owner.lock", "lock.mdb"}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in locks)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until this holds; a test that waits for too long fails."""
    patience = threading.Event()
    timer = threading.Timer(PATIENCE_S, patience.set)
    timer.start()
    while not holds():
        assert not patience.is_set()
    timer.cancel()
    timer.join()
