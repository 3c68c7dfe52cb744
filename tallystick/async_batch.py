"""The batch for asyncio: one caller's commands, pipelined; whatever has to wait is awaited."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, Unpack

from tallystick.batch import WINDOW, tell
from tallystick.bridge import Bridge, LoopFuture
from tallystick.creating import created, reads
from tallystick.erasing import let_go
from tallystick.facts import Addressee
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.claims import may_exist
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, Closed
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.ids import id_text
from tallystick.ledger.intake import Creation
from tallystick.verbs import TaskVerbs

TURN = 64  # commands after which the other coroutines of the loop get theirs


class AsyncBatchTask(TaskVerbs[Awaitable[None]]):
    """A task inside a batch: its verbs, which are to be awaited, only wait while too many commands are on their way."""

    __slots__ = ("_actor", "_batch", "_created")

    def __init__(self, batch: "AsyncBatch", actor: Addressee, created: LoopFuture | None) -> None:
        self._batch, self._actor, self._created = batch, actor, created

    @property
    def id(self) -> str:
        """The task's id. Of a creation that may give back an existing task, await `resolved` first, or the block."""
        created = self._created
        if created is None:
            return id_text(self._actor.stream)
        return created.waiting.result().task_id

    async def resolved(self) -> str:
        """Return the task's id when it is known. Raises what the creation was refused with."""
        if self._created is not None:
            await self._created.settled()
        return self.id

    def _actor_name(self) -> str:
        return self._batch.speaker

    def _send(self, command: Command) -> Awaitable[None]:
        return self._sent(command)

    async def _sent(self, command: Command) -> None:
        await self._batch.put(self._actor, command)

    async def cancel(self, reason: str | None = None, *, expected_version: int | None = None) -> None:
        """Ask for the work to be stopped; queued work is cancelled at once."""
        await self._request_cancel(reason, None, expected_version)


class AsyncBatch:
    """As `Batch`, for coroutines: leaving the block awaits that every command is durable or refused.

    A caller that is cancelled while it leaves the block does not hear what became of the commands that it gave; they
    are decided all the same.
    """

    def __init__(self, house: House, bridge: Bridge) -> None:
        house.facts()
        self._house, self._bridge = house, bridge
        self.speaker = house.actor
        self._waiting: deque[LoopFuture] = deque()
        self._answered = 0
        self._refusals: list[tuple[int, Exception]] = []
        self._erased: set[bytes] = set()
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        try:
            while self._waiting:
                await self._settle_oldest()
        finally:
            for future in self._waiting:
                future.abandon()
        try:
            if self._erased:
                await asyncio.to_thread(let_go, self._house, self._erased)
        finally:
            tell(self._refusals, error)

    def __len__(self) -> int:
        """How many commands were given."""
        return self._answered + len(self._waiting)

    @property
    def refusals(self) -> tuple[tuple[int, Exception], ...]:
        """The refusals that are known so far, each with its place; after the block all of them."""
        return tuple(self._refusals)

    async def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> AsyncBatchTask:
        """Record that somebody asked for work."""
        if reads(given):
            fact = await asyncio.to_thread(created, self._house, **given)
        else:
            fact = created(self._house, **given)
        command = Command(fact, self.speaker, intake.moment(occurred_at))
        actor = self._house.facts().newborn(self._house.new_id())
        future = await self.put(actor, command)
        return AsyncBatchTask(self, actor, future if may_exist(fact) else None)

    def task(self, task_id: str) -> AsyncBatchTask:
        """Return a handle for a task that exists."""
        return AsyncBatchTask(self, self._house.facts().actor(self._house.stream(task_id)), None)

    async def put(self, actor: Addressee, command: Command) -> LoopFuture:
        """Send one command; waits for the oldest answer while too many are on their way."""
        if self._is_over:
            raise Closed("The batch")
        if command.data.__class__ is TaskErased:
            self._erased.add(actor.stream)
        while len(self._waiting) >= WINDOW:
            await self._settle_oldest()
        if len(self) % TURN == TURN - 1:
            await asyncio.sleep(0)
        future = LoopFuture(self._bridge)
        while True:
            try:
                self._house.facts().send(actor, command, future)
            except Busy:
                if not self._waiting:
                    raise
                await self._settle_oldest()
            else:
                self._waiting.append(future)
                return future

    async def _settle_oldest(self) -> None:
        future = self._waiting[0]
        await future.settled()
        if self._waiting and self._waiting[0] is future:  # nobody else noted it while this waited
            self._waiting.popleft()
            error = future.waiting.exception()
            if isinstance(error, Exception):
                self._refusals.append((self._answered, error))
            self._answered += 1
