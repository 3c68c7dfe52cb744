"""The face for asyncio: the same names, awaitable. The loop never waits for a disk or a lock."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, Self, TypeVar, Unpack

from tallystick.actors.caretaking.closers import Closer
from tallystick.actors.courier.waker import OnWake
from tallystick.actors.metrics import Metrics
from tallystick.actors.redaction import Redact
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.watching.supervision import Canceller, Probe
from tallystick.async_batch import AsyncBatch
from tallystick.async_flows import AsyncFlows
from tallystick.async_session import AsyncSession
from tallystick.async_task import AsyncTask, Known
from tallystick.async_watch import AsyncSubscription
from tallystick.bridge import Bridge, LoopFuture
from tallystick.building import build
from tallystick.config import Config
from tallystick.creating import created, reads
from tallystick.erasing import AsyncErasing
from tallystick.facts import Addressee
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.clock import Clock
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, InvalidInput
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.folding import Record
from tallystick.ledger.intake import Creation
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import DELIVERIES_DEFAULT
from tallystick.ledger.store.verify import Verification
from tallystick.outlets import Channel
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page
from tallystick.projections.tree import Tree
from tallystick.readings import LedgerStatus
from tallystick.sync import Deliveries, Events
from tallystick.task import Records, answers_of

if TYPE_CHECKING:  # loaded by the process that makes one
    from tallystick.archives import Archived
    from tallystick.auditing import Audit
    from tallystick.backup import Backup
    from tallystick.explaining import Explanation
    from tallystick.exports.exporting import Exported
    from tallystick.imports.taking import Taken
    from tallystick.ledger.upkeep.finding import Code, Severity
    from tallystick.maintenance import Maintenance
    from tallystick.past import Past
    from tallystick.projections.attested import Attestation
    from tallystick.why import Why

READING_THREADS = 2

P = ParamSpec("P")
R = TypeVar("R")


class AsyncLedger(AsyncErasing):
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
        future, stream = LoopFuture(self._bridge), self.house.new_id()
        actor = self.house.create(stream, command, future)
        record = await future.waiting
        known = actor if actor.stream == record.stream else None
        return AsyncTask(self, record, known, is_new=stream == record.stream)

    async def get(self, task_id: str) -> AsyncTask:
        """As `Ledger.get`."""
        return AsyncTask(self, await self._read(self.house.readings.get, task_id))

    async def find(self, token: str) -> AsyncTask:
        """As `Ledger.find`."""
        return AsyncTask(self, await self._read(self.house.readings.find, token))

    async def list(self, **filters: Any) -> Page:
        """As `Ledger.list`."""
        return await self._read(self.house.readings.list, **filters)

    async def tree(self, token: str) -> Tree:
        """As `Ledger.tree`."""
        return await self._read(self.house.readings.tree, token)

    async def counts(self) -> Counts:
        """As `Ledger.counts`."""
        return await self._read(self.house.readings.counts)

    async def timeline(self, token: str) -> Events:
        """As `Ledger.timeline`."""
        return await self._read(self.house.readings.timeline, token)

    async def state_at(
        self, token: str, *, position: int | None = None, at: int | None = None, by: str = "recorded"
    ) -> Record:
        """As `Ledger.state_at`."""
        return await self._read(self.house.readings.state_at, token, position=position, at=at, by=by)

    async def replay(self, *, position: int | None = None, at: int | None = None, by: str = "recorded") -> "Past":
        """As `Ledger.replay`."""
        return await asyncio.to_thread(self.house.readings.replay, position=position, at=at, by=by)

    async def why(self, token: str, *, position: int | None = None, at: int | None = None) -> "Why":
        """As `Ledger.why`."""
        return await self._read(self.house.readings.why, token, position=position, at=at)

    def probe(self, runtime: Runtime | str, probe: Probe) -> Awaitable[None]:
        """As `Ledger.probe`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.set_probe(runtime, probe)
        return Known(None)

    def canceller(self, runtime: Runtime | str, canceller: Canceller) -> Awaitable[None]:
        """As `Ledger.canceller`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.set_canceller(runtime, canceller)
        return Known(None)

    def closer(self, kind: str, closer: Closer) -> Awaitable[None]:
        """As `Ledger.closer`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.system.closers.register(kind, closer)
        return Known(None)

    def channel(self, name: str, sender: Channel) -> Awaitable[None]:
        """As `Ledger.channel`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.outlets.register(name, sender)
        return Known(None)

    def on_wake(self, callback: OnWake) -> Awaitable[None]:
        """As `Ledger.on_wake`, at once; a coroutine function runs on this loop. Need not be awaited."""
        self.house.outlets.on_wake(callback)
        return Known(None)

    def redact(self, hook: Redact, *, stored: bool = False) -> Awaitable[None]:
        """As `Ledger.redact`, at once. Need not be awaited."""
        self.house.outlets.redact(hook, stored=stored)
        return Known(None)

    def session(self, key: str) -> AsyncSession:
        """As `Ledger.session`; its methods are awaited."""
        return AsyncSession(self, key)

    @property
    def flows(self) -> AsyncFlows:
        """As `Ledger.flows`; its methods are awaited."""
        return AsyncFlows(self)

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

    async def audit(
        self, severity: "Severity | str | None" = None, code: "Code | str | None" = None, limit: int | None = None
    ) -> "Audit":
        """As `Ledger.audit`."""
        return await self._read(self.house.audit, severity, code, limit)

    async def maintenance(self, apply: bool = False) -> "Maintenance":  # noqa: FBT001, FBT002 - the interface has it so
        """As `Ledger.maintenance`. Whoever gives up waiting does not stop it."""
        return await asyncio.to_thread(self.house.maintain, apply=apply)  # the threads that read have others to serve

    async def explain(self, token: str) -> "Explanation":
        """As `Ledger.explain`."""
        return await self._read(self.house.explain, token)

    async def settled(self, timeout_s: float = 30.0) -> None:
        """As `Ledger.settled`."""
        await self._read(self.house.settled, timeout_s)

    async def sweep(self) -> None:
        """As `Ledger.sweep`."""
        await self._read(self.house.sweep)

    async def archives(self) -> "tuple[Archived, ...]":
        """As `Ledger.archives`."""
        from tallystick.archives import archives

        return await self._read(archives, self.house.readings.log)

    async def delete_archives(
        self, *, before: int | None = None, recorded_before: int | None = None, reason: str
    ) -> "tuple[Archived, ...]":
        """As `Ledger.delete_archives`. Whoever gives up waiting does not stop it."""
        return await asyncio.to_thread(
            self.house.delete_archives, before=before, recorded_before=recorded_before, reason=reason
        )

    async def export(
        self,
        format: str,
        out: "BinaryIO | str | os.PathLike[str]",
        *,
        rows: str | None = None,
        lookup: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        until_position: int | None = None,
    ) -> "Exported":
        """As `Ledger.export`; a stream is written to on another thread. Whoever gives up waiting does not stop it."""
        selected = {"lookup": lookup, "since": since, "until": until, "after": after, "until_position": until_position}
        return await asyncio.to_thread(self.house.export, format, out, rows=rows, **selected)

    async def import_openclaw(
        self, path: str | os.PathLike[str], *, dry_run: bool = False, told: Callable[[int, int], None] | None = None
    ) -> "Taken":
        """As `Ledger.import_openclaw`; `told` is called on a thread. Whoever gives up waiting does not stop it."""
        return await asyncio.to_thread(self.house.import_openclaw, path, dry_run=dry_run, told=told)

    async def backup(self, path: str | os.PathLike[str]) -> "Backup":
        """As `Ledger.backup`. Whoever gives up waiting does not stop it."""
        return await asyncio.to_thread(self.house.backup, path)  # the threads that read have other things to do

    async def checkpoint(self) -> bytes:
        """As `Ledger.checkpoint`."""
        from tallystick.checkpoints import newest

        return await asyncio.to_thread(newest, self.house)  # which may wait for another process

    async def add_checkpoint(self, note: bytes, *keys: str) -> bytes:
        """As `Ledger.add_checkpoint`."""
        from tallystick.checkpoints import add

        return await asyncio.to_thread(add, self.house, note, *keys)

    async def attest(self) -> "Attestation":
        """As `Ledger.attest`. Whoever gives up waiting does not stop it."""
        from tallystick.attestations import attest

        return await asyncio.to_thread(attest, self.house)

    async def prove(self, lookup: str | int, *, version: int | None = None) -> bytes:
        """As `Ledger.prove`."""
        from tallystick.checkpoints import prove

        return await self._read(prove, self.house, lookup, version)

    async def prove_from(self, old: int | bytes) -> bytes:
        """As `Ledger.prove_from`."""
        from tallystick.checkpoints import prove_from

        return await self._read(prove_from, self.house, old)

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
    redact_stored: Redact | None = None,
    metrics: Metrics | None = None,
) -> AsyncLedger:
    """Return the same for asyncio, to be entered with `async with`; opening happens on another thread."""

    def opened(loop: asyncio.AbstractEventLoop) -> House:
        return build(
            path,
            config=config,
            clock=clock,
            read_only=read_only,
            actor=actor,
            redact=redact,
            redact_stored=redact_stored,
            metrics=metrics,
            loop=loop,
        )

    return AsyncLedger(opened)
