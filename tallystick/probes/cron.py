"""The runs of a cron runtime: what it has under way now, and what its own history says of the rest."""

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import ACTIVE
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict

ACTIVE_MS = 250  # how long one answer about what is under way serves all tasks
NS_PER_MS = 1_000_000

Ids = Iterable[str]


class RunEnd(Struct, frozen=True):
    """How a run ended, as a history has it: succeeded, failed, timed_out or cancelled, since `ended_at` (ms)."""

    status: str
    summary: str | None = None
    error: str | None = None
    ended_at: int | None = None


Told = Verdict | RunEnd | Mapping[str, Any] | None
"""What a history says of one run; None when it has no record of it."""


class CronRuns:
    """A probe that asks whether the runtime has a task's run under way, and if not, what became of it.

    `active()` returns the ids of what is under way: of runs, or of their sources where runs have no ids. A task is
    ALIVE when its `run_id` or its `source_id` is among them. Else `history(task)` is asked: what it knows ended the
    task, or recovers it when it is already lost. It returns a `Verdict`, or a `RunEnd`, or a mapping with the same
    names; None, or a run that it believes under way, is MISSING.

    Each may be a coroutine function, or return what is to be awaited; then the probe's answer is awaited. One answer
    of `active()` serves all tasks for a quarter of a second, and those that ask meanwhile wait for the same one. What
    either raises is raised. May be called from many threads.
    """

    recovers = True

    def __init__(
        self,
        active: Callable[[], Ids | Awaitable[Ids]],
        history: Callable[[TaskRecord], Told | Awaitable[Told]],
        *,
        active_ms: float = ACTIVE_MS,
        clock: Callable[[], float] = lambda: time.monotonic_ns() / NS_PER_MS,
    ) -> None:
        self._active, self._history = active, history
        self._active_ms, self._clock = active_ms, clock
        self._lock = threading.Lock()
        self._known: tuple[float, frozenset[str]] | None = None
        self._asking: asyncio.Future[frozenset[str]] | None = None
        self._waiting = 0
        self._is_async = inspect.iscoroutinefunction(active)

    def __call__(self, task: TaskRecord) -> Verdict | Awaitable[Verdict]:
        ids = [key for key in (task.run_id, task.source_id) if key is not None]
        if not ids:
            return Verdict.unknown("the task names neither a run nor a source")
        if self._is_async:
            return self._judge_later(task, ids)
        with self._lock:  # whoever comes meanwhile needs the same answer
            at = self._clock()
            known = self._known_at(at)
            if known is None:
                answer = self._active()
                if inspect.isawaitable(answer):
                    self._is_async = True
                    return self._judge_later(task, ids, answer)
                known = _ids(answer)
                self._known = (at, known)
        return self._judge(task, ids, known)

    def _judge(self, task: TaskRecord, ids: list[str], known: frozenset[str]) -> Verdict | Awaitable[Verdict]:
        for key in ids:
            if key in known:
                return Verdict.alive({"active": key})
        told = self._history(task)
        return _awaited(told, ids[0]) if inspect.isawaitable(told) else _verdict(told, ids[0])

    async def _judge_later(self, task: TaskRecord, ids: list[str], answer: Awaitable[Ids] | None = None) -> Verdict:
        known = None if answer is not None else self._known_at(self._clock())
        if known is None:
            known = await (self._ask_once() if answer is None else self._ask(answer))
        verdict = self._judge(task, ids, known)
        return verdict if isinstance(verdict, Verdict) else await verdict

    async def _ask_once(self) -> frozenset[str]:
        """Ask what is under way, or wait with those who already do; when nobody waits any more nobody asks."""
        asking = self._asking
        if asking is None or asking.done() or asking.get_loop() is not asyncio.get_running_loop():
            asking = self._asking = asyncio.ensure_future(self._ask())
            self._waiting = 0
        self._waiting += 1
        try:
            return await asyncio.shield(asking)
        finally:
            if asking is self._asking:
                self._waiting -= 1
                if not self._waiting:
                    asking.cancel()

    async def _ask(self, answer: Awaitable[Ids] | None = None) -> frozenset[str]:
        at = self._clock()
        known = _ids(await (cast("Awaitable[Ids]", self._active()) if answer is None else answer))
        self._known = (at, known)
        return known

    def _known_at(self, now: float) -> frozenset[str] | None:
        known = self._known
        return known[1] if known is not None and now - known[0] < self._active_ms else None


async def _awaited(told: Awaitable[Told], asked: str) -> Verdict:
    return _verdict(await told, asked)


def _ids(active: Ids | Awaitable[Ids]) -> frozenset[str]:
    if isinstance(active, str) or not isinstance(active, Iterable):
        raise InvalidInput("active()", active, "the ids of what is under way")
    return frozenset(active)


def _verdict(told: Told, asked: str) -> Verdict:
    """Return what a history's answer comes to."""
    if isinstance(told, Verdict):
        return told
    if isinstance(told, Mapping):
        told = RunEnd(**told)
    if told is None:
        return Verdict.missing({"asked": asked, "detail": "it is neither under way nor in the history"})
    if told.status in ACTIVE:
        return Verdict.missing({"asked": asked, "detail": f"it is not under way, and {told.status} in the history"})
    return Verdict.ended(told.status, {"asked": asked}, summary=told.summary, error=told.error, ended_at=told.ended_at)
