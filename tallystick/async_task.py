"""The task for asyncio: its verbs, to be awaited."""

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tallystick.actors.stream import AwaitEnd
from tallystick.cascade import active_descendants, reason_below
from tallystick.erasing import let_go
from tallystick.facts import Addressee
from tallystick.ledger import fields, intake
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Refused
from tallystick.ledger.folding import Record
from tallystick.ledger.limits import CANCEL_WAIT_MS, LEASE_MS, TIMEOUT_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.task import MS_PER_S
from tallystick.verbs import TaskVerbs

if TYPE_CHECKING:
    from tallystick.aio import AsyncLedger
    from tallystick.bridge import LoopFuture

T = TypeVar("T")
R = TypeVar("R", bound=Record)


class AsyncTask(TaskVerbs[Awaitable[TaskRecord]]):
    """One task: its newest known record, and what can be reported of it. Every verb is to be awaited.

    The command is on its way when the verb returns: tasks' commands are decided in the order of the calls.
    """

    def __init__(
        self, ledger: "AsyncLedger", record: TaskRecord, actor: Addressee | None = None, *, is_new: bool = False
    ) -> None:
        self._ledger, self._record, self._actor, self._is_new = ledger, record, actor, is_new

    @property
    def id(self) -> str:
        """The task's id."""
        return self._record.task_id

    @property
    def status(self) -> str:
        """The status as of the newest record that this handle has seen."""
        return self._record.status.value

    @property
    def record(self) -> TaskRecord:
        """The newest record that this handle has seen: the answer to its last verb."""
        return self._record

    @property
    def is_new(self) -> bool:
        """Whether the call that gave this handle created the task; False when it gave back one that was there."""
        return self._is_new

    def __repr__(self) -> str:
        return f"<AsyncTask {self.id} {self.status}>"

    async def cancel(
        self,
        reason: str | None = None,
        *,
        cascade: bool = False,
        wait_ms: int = CANCEL_WAIT_MS,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> TaskRecord:
        """As `Task.cancel`."""
        wait_ms = fields.whole("wait_ms", wait_ms, most=TIMEOUT_MS_MAX)
        cascade = fields.flag("cascade", cascade)
        record = await self._request_cancel(reason, occurred_at, expected_version)
        if cascade:
            await self._cancel_below(reason)
        if record.is_active and wait_ms:
            ended = self._ledger.put(self._speak(), AwaitEnd())
            with suppress(TimeoutError):
                record = self.see(await asyncio.wait_for(ended.waiting, wait_ms / MS_PER_S))
        return record

    async def _cancel_below(self, reason: str | None) -> None:
        ledger = self._ledger
        below = await ledger.ask(active_descendants, ledger.house.readings.reader, self.id)
        fact = intake.cancel_requested(reason_below(reason, self.id))
        command = Command(fact, self._actor_name(), inferred=True)
        asked = [ledger.put(ledger.house.facts().actor(child.stream), command).waiting for child in below]
        for answer in asked:
            with suppress(Refused):  # it ended in between
                await answer

    def keep_alive(self, ttl_ms: int = LEASE_MS) -> Awaitable[TaskRecord]:
        """As `Task.keep_alive`."""
        fact = intake.leased(ttl_ms)
        if self._ledger.house.keep_alive(self._record.stream, fact.ttl_ms):
            return Known(self._record)
        return _Promise(self, self._report(fact, None, None))

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        self._ledger.house.promised(record)

    def erase(self, reason: str, *, expected_version: int | None = None) -> Awaitable[TaskRecord]:
        """As `Task.erase`."""
        return LettingGo(self._ledger, super().erase(reason, expected_version=expected_version))

    def _actor_name(self) -> str:
        return self._ledger.house.actor

    def _speak(self) -> Addressee:
        if self._actor is None:
            self._actor = self._ledger.house.facts().actor(self._record.stream)
        return self._actor

    def _send(self, command: Command) -> Awaitable[TaskRecord]:
        return _Answer(self, self._ledger.put(self._speak(), command))

    def see(self, record: TaskRecord) -> TaskRecord:
        """Take note of a newer record."""
        if record.version >= self._record.version:
            self._record = record
        return record


class _Answer(Awaitable[TaskRecord]):
    """The answer to a verb: awaiting it also brings the task's handle up to date."""

    __slots__ = ("_future", "_task")

    def __init__(self, task: AsyncTask, future: "LoopFuture") -> None:
        self._task, self._future = task, future

    def __await__(self) -> Generator[Any, None, TaskRecord]:
        record = yield from self._future.waiting
        return self._task.see(record)


class _Promise(Awaitable[TaskRecord]):
    """The answer to the first sign of life."""

    __slots__ = ("_answer", "_task")

    def __init__(self, task: AsyncTask, answer: Awaitable[TaskRecord]) -> None:
        self._task, self._answer = task, answer

    def __await__(self) -> Generator[Any, None, TaskRecord]:
        record = yield from self._answer.__await__()
        self._task.promised(record)
        return record


class LettingGo(Awaitable[R]):
    """The answer to an erasure: awaiting it also awaits that nothing beside the log has what was erased."""

    __slots__ = ("_answer", "_ledger")

    def __init__(self, ledger: "AsyncLedger", answer: Awaitable[R]) -> None:
        self._ledger, self._answer = ledger, answer

    def __await__(self) -> Generator[Any, None, R]:
        record = yield from self._answer.__await__()
        yield from asyncio.to_thread(let_go, self._ledger.house, [record.stream]).__await__()
        return record


class Known(Awaitable[T]):
    """What is known already, for those who await it and for those who do not."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        yield from ()
        return self._value
