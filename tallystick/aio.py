"""The face for asyncio: the same names, awaitable. The loop never waits for a disk or a lock."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar, Unpack

from tallystick.actors.courier.waker import OnWake
from tallystick.actors.task import AwaitEnd
from tallystick.actors.telling import Redact
from tallystick.actors.watching.supervision import Canceller, Probe
from tallystick.async_batch import AsyncBatch
from tallystick.async_session import AsyncSession
from tallystick.async_watch import AsyncSubscription
from tallystick.bridge import Bridge, LoopFuture
from tallystick.cascade import active_descendants, reason_below
from tallystick.config import Config
from tallystick.creating import created, reads
from tallystick.facts import Addressee
from tallystick.house import House, build
from tallystick.ledger import fields, intake
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, InvalidInput, Refused
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import LEASE_MS, TIMEOUT_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.verify import Verification
from tallystick.messages import DELIVERIES_DEFAULT
from tallystick.outlets import Channel
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page
from tallystick.readings import LedgerStatus
from tallystick.sync import CANCEL_WAIT_MS, MS_PER_S, Deliveries, Events, Records, answers_of
from tallystick.verbs import TaskVerbs

READING_THREADS = 2

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class AsyncTask(TaskVerbs[Awaitable[TaskRecord]]):
    """One task: its newest known record, and what can be reported of it. Every verb is to be awaited.

    The command is on its way when the verb returns: tasks' commands are decided in the order of the calls.
    """

    def __init__(self, ledger: "AsyncLedger", record: TaskRecord, actor: Addressee | None = None) -> None:
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
            return _Known(self._record)
        return _Promise(self, self._report(fact, None, None))

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        self._ledger.house.promised(record)

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

    def __init__(self, task: AsyncTask, future: LoopFuture) -> None:
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


class _Known(Awaitable[T]):
    """What is known already, for those who await it and for those who do not."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        yield from ()
        return self._value


class AsyncLedger:
    """An open ledger, for asyncio. Use it as an async context manager, on one loop."""

    def __init__(self, open_house: Callable[[asyncio.AbstractEventLoop], House]) -> None:
        self._open_house = open_house
        self._house: House | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._closing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        if self._executor is not None:
            raise InvalidInput("the ledger", self.path, "one that is not open; enter it once")
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="tallystick-reading")
        opening = loop.run_in_executor(executor, self._open_house, loop)
        try:
            self._house = await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(Exception):  # nobody can stop the thread; what it opens is closed again
                house = await opening
                await loop.run_in_executor(executor, house.close)
            executor.shutdown(wait=False)
            raise
        except BaseException:
            executor.shutdown(wait=False)
            raise
        self._executor, self._bridge, self._closing = executor, Bridge(loop), None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more commands, commit and answer what was accepted, and let go of the folder.

        Closing twice is allowed, and waits for the first. A wait that is cancelled does not stop the closing.
        """
        executor, self._executor = self._executor, None
        if executor is not None:
            self._closing = asyncio.get_running_loop().run_in_executor(executor, self.house.close)
            executor.shutdown(wait=False)  # which lets it do what it has
        if self._closing is not None:
            await asyncio.shield(self._closing)  # else what has not begun would never begin

    @property
    def house(self) -> House:
        """The parts of the ledger. Raises `Closed` before it was opened."""
        if self._house is None:
            raise Closed('The ledger, which "async with" opens,')
        return self._house

    @property
    def path(self) -> str:
        """The ledger's folder."""
        return self.house.path

    def future(self) -> LoopFuture:
        """Return a future whose answer is awaited on this loop."""
        return LoopFuture(self._bridge)

    def put(self, actor: Addressee, message: Command | AwaitEnd) -> LoopFuture:
        """Send one message to a task's actor."""
        future = self.future()
        self.house.facts().send(actor, message, future)
        return future

    async def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> AsyncTask:
        """Record that somebody asked for work; the task is queued. As `Ledger.create`."""
        fact = await self.ask(created, self.house, **given) if reads(given) else created(self.house, **given)
        command = Command(fact, self.house.actor, intake.moment(occurred_at))
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

    def probe(self, runtime: Runtime | str, probe: Probe) -> Awaitable[None]:
        """As `Ledger.probe`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.set_probe(runtime, probe)
        return _Known(None)

    def canceller(self, runtime: Runtime | str, canceller: Canceller) -> Awaitable[None]:
        """As `Ledger.canceller`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.set_canceller(runtime, canceller)
        return _Known(None)

    def channel(self, name: str, sender: Channel) -> Awaitable[None]:
        """As `Ledger.channel`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.outlets.register(name, sender)
        return _Known(None)

    def on_wake(self, callback: OnWake) -> Awaitable[None]:
        """As `Ledger.on_wake`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.outlets.on_wake(callback)
        return _Known(None)

    def redact(self, hook: Redact) -> Awaitable[None]:
        """As `Ledger.redact`, at once. Need not be awaited."""
        self.house.outlets.redact(hook)
        return _Known(None)

    def session(self, key: str) -> AsyncSession:
        """As `Ledger.session`; its methods are awaited."""
        return AsyncSession(self, key)

    async def deliveries(self, token: str | None = None, *, limit: int = DELIVERIES_DEFAULT) -> Deliveries:
        """As `Ledger.deliveries`."""
        if token is None:
            return await self._read(self.house.messages.open, limit)
        record = await self._read(self.house.readings.find, token)
        return await self._read(self.house.messages.of_task, record.stream)

    async def retry(self, *tokens: str, reason: str | None = None) -> Records:
        """As `Ledger.retry`."""
        return await self._recover(tokens, intake.retried(reason))

    async def dismiss(self, *tokens: str, reason: str | None = None) -> Records:
        """As `Ledger.dismiss`."""
        return await self._recover(tokens, intake.dismissed(reason))

    async def _recover(self, tokens: Sequence[str], fact: TaskFact) -> Records:
        facts = self.house.facts()
        named = await self._read(self.house.named, tokens)
        asked = [self.put(facts.actor(record.stream), Command(fact, self.house.actor)) for record in named]
        for future in asked:
            await future.settled()
            future.abandon()  # what was refused is raised below, once
        return answers_of(asked)

    def batch(self) -> AsyncBatch:
        """As `Ledger.batch`, to be entered with `async with`; its verbs are awaited, and wait only for room."""
        return AsyncBatch(self.house, self._bridge)

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Return an async iterator over the log, from the event behind position `after` to the head as it is now."""
        self.house.listener()  # raises `Closed`
        events = AsyncSubscription(self.house.readings.log, after, None, self._read)
        events.close()
        return events

    def subscribe(self, after: int = 0) -> AsyncSubscription:
        """Return the log from behind `after`, then live: an async iterator that misses nothing.

        Close it, or use it as an async context manager; it also ends when the ledger is closed.
        """
        return AsyncSubscription(self.house.readings.log, after, self.house.listener(), self._read)

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
        return await self._read(self.house.status)

    async def ask(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function that reads on another thread, so that the loop does not wait for it."""
        return await self._read(question, *args, **kwargs)

    async def _read(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        executor = self._executor
        if executor is None:
            raise Closed
        return await asyncio.get_running_loop().run_in_executor(executor, partial(question, *args, **kwargs))


def open_async(
    path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    actor: str | None = None,
    redact: Redact | None = None,
) -> AsyncLedger:
    """Return the same for asyncio, to be entered with `async with`; opening happens on another thread."""

    def opened(loop: asyncio.AbstractEventLoop) -> House:
        return build(path, config=config, clock=clock, read_only=read_only, actor=actor, redact=redact, loop=loop)

    return AsyncLedger(opened)
