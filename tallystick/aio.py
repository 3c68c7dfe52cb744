"""The face for asyncio: the same names, awaitable. The loop never waits for a disk or a lock."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar, Unpack

from tallystick.actors.envelope import ExcInfo
from tallystick.actors.future import LightFuture
from tallystick.actors.task import AwaitEnd, TaskActor
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.intake import Creation
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.verify import Verification
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page
from tallystick.readings import LedgerStatus
from tallystick.sync import CANCEL_WAIT_MS, MS_PER_S, Events
from tallystick.verbs import TaskVerbs
from tallystick.watch import AsyncSubscription

READING_THREADS = 2

P = ParamSpec("P")
R = TypeVar("R")


class Bridge:
    """Carries answers from the dispatcher's thread into a loop: one wake-up for all that arrived meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived: list[LoopFuture] = []
        self._woken = False

    def arrived(self, future: "LoopFuture") -> None:
        """Take an answer, on the dispatcher's thread."""
        self._arrived.append(future)
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._hand_over)
            except RuntimeError:
                self._arrived.clear()  # the loop is closed: nobody waits any more

    def _hand_over(self) -> None:
        self._woken = False  # before the look: what arrives after it wakes the loop again
        arrived = self._arrived
        taken = arrived[:]
        del arrived[: len(taken)]
        for future in taken:
            future.hand_over()


class LoopFuture(LightFuture):
    """A future whose answer a coroutine awaits."""

    __slots__ = ("_bridge", "waiting")

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.waiting: asyncio.Future[TaskRecord] = bridge.loop.create_future()

    def set(self, value: Any | None = None) -> None:
        """Answer; called by the dispatcher."""
        super().set(value)
        self._bridge.arrived(self)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Answer with an exception; called by the dispatcher."""
        super().set_exception(exc_info)
        self._bridge.arrived(self)

    def hand_over(self) -> None:
        """Give the answer to the coroutine that waits, on the loop's thread; nothing when it was cancelled."""
        if self.waiting.done():
            return
        if self._exc_info is None:
            self.waiting.set_result(self._value)
        else:
            error = self._exc_info[1]
            assert error is not None, "errors are answered as values"
            self.waiting.set_exception(error)


class AsyncTask(TaskVerbs[Awaitable[TaskRecord]]):
    """One task: its newest known record, and what can be reported of it. Every verb is to be awaited.

    The command is on its way when the verb returns: tasks' commands are decided in the order of the calls.
    """

    def __init__(self, ledger: "AsyncLedger", record: TaskRecord, actor: TaskActor | None = None) -> None:
        self._ledger, self._record, self._actor = ledger, record, actor

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

    def __repr__(self) -> str:
        return f"<AsyncTask {self.id} {self.status}>"

    async def cancel(
        self,
        reason: str | None = None,
        *,
        wait_ms: int = CANCEL_WAIT_MS,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> TaskRecord:
        """Ask for the work to be stopped; answer when the task has ended, or after `wait_ms` with what is known."""
        record = await self._request_cancel(reason, occurred_at, expected_version)
        if record.is_active and wait_ms > 0:
            ended = self._ledger.put(self._speak(), AwaitEnd())
            try:
                self._record = await asyncio.wait_for(ended.waiting, wait_ms / MS_PER_S)
            except TimeoutError:
                return self._record
        return self._record

    def _actor_name(self) -> str:
        return self._ledger.house.actor

    def _speak(self) -> TaskActor:
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

    def __init__(self, task: AsyncTask, future: LoopFuture) -> None:
        self._task, self._future = task, future

    def __await__(self) -> Generator[Any, None, TaskRecord]:
        record = yield from self._future.waiting
        return self._task.see(record)


class AsyncLedger:
    """An open ledger, for asyncio. Use it as an async context manager, on one loop."""

    def __init__(self, open_house: Callable[[], House]) -> None:
        self._open_house = open_house
        self._executor = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="tallystick-reading")

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.house = await loop.run_in_executor(self._executor, self._open_house)
        self._bridge = Bridge(loop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more commands, commit and answer what was accepted, and let go of the folder."""
        await self._read(self.house.close)
        self._executor.shutdown(wait=False)

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self.house.path

    def put(self, actor: TaskActor, message: Command | AwaitEnd) -> LoopFuture:
        """Send one message to a task's actor."""
        future = LoopFuture(self._bridge)
        self.house.facts().send(actor, message, future)
        return future

    async def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> AsyncTask:
        """Record that somebody asked for work; the task is queued. As `Ledger.create`."""
        command = Command(intake.created(**given), self.house.actor, intake.moment(occurred_at))
        future = LoopFuture(self._bridge)
        actor = self.house.create(command, future)
        record = await future.waiting
        return AsyncTask(self, record, actor if actor.stream == record.stream else None)

    async def get(self, task_id: str) -> AsyncTask:
        """As `Ledger.get`."""
        return AsyncTask(self, await self._read(self.house.readings.get, task_id))

    async def find(self, token: str) -> AsyncTask:
        """As `Ledger.find`."""
        return AsyncTask(self, await self._read(self.house.readings.find, token))

    async def list(self, **filters: Any) -> Page:
        """As `Ledger.list`."""
        return await self._read(self.house.readings.list, **filters)

    async def counts(self) -> Counts:
        """As `Ledger.counts`."""
        return await self._read(self.house.readings.counts)

    async def timeline(self, token: str) -> Events:
        """As `Ledger.timeline`."""
        return await self._read(self.house.readings.timeline, token)

    async def state_at(self, token: str, *, position: int | None = None, at: int | None = None) -> TaskRecord:
        """As `Ledger.state_at`."""
        return await self._read(self.house.readings.state_at, token, position=position, at=at)

    def subscribe(self, after: int = 0) -> AsyncSubscription:
        """Return the log from behind `after`, then live: an async iterator that misses nothing. Close it."""
        return AsyncSubscription(self.house.readings.log, after, self.house.facts().listen, self._executor)

    async def verify(self) -> Verification:
        """As `Ledger.verify`."""
        return await self._read(self.house.readings.verify)

    async def settled(self, timeout_s: float = 30.0) -> None:
        """As `Ledger.settled`."""
        await self._read(self.house.settled, timeout_s)

    async def sweep(self) -> None:
        """As `Ledger.sweep`."""
        await self._read(self.house.sweep)

    async def status(self) -> LedgerStatus:
        """As `Ledger.status`."""
        return await self._read(self.house.readings.status)

    async def _read(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(question, *args, **kwargs))
