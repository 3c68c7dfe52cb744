"""Flows for asyncio: the same names, awaitable. The loop never waits for a disk."""

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tallystick.actors.stream import AwaitEnd
from tallystick.async_task import LettingGo
from tallystick.facts import Addressee
from tallystick.flow_readings import FlowReadings
from tallystick.flow_verbs import FlowHandle
from tallystick.flows import MS_PER_S, Tasks, id_of
from tallystick.ledger import fields
from tallystick.ledger import intake as moments
from tallystick.ledger.commands import Command
from tallystick.ledger.flows import intake
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus, Status
from tallystick.ledger.limits import CANCEL_WAIT_MS, TIMEOUT_MS_MAX
from tallystick.projections.flow_list import FlowCounts
from tallystick.projections.flow_query import FlowPage

if TYPE_CHECKING:
    from tallystick.aio import AsyncLedger
    from tallystick.bridge import LoopFuture


class AsyncFlow(FlowHandle[Awaitable[FlowRecord]]):
    """One flow: its newest known record, and what can be done with it. Every verb is to be awaited.

    The command is on its way when the verb returns: a flow's commands are decided in the order of the calls.
    """

    def __init__(self, ledger: "AsyncLedger", record: FlowRecord) -> None:
        self._ledger, self._record = ledger, record
        self._actor: Addressee | None = None

    async def tasks(self) -> Tasks:
        """As `Flow.tasks`."""
        return await self._ledger.ask(FlowReadings(self._ledger.house.readings.reader).tasks, self.id)

    async def refresh(self) -> FlowRecord:
        """As `Flow.refresh`."""
        return self._see(await self._ledger.ask(FlowReadings(self._ledger.house.readings.reader).get, self.id))

    async def cancel(
        self,
        reason: str | None = None,
        *,
        wait_ms: int = CANCEL_WAIT_MS,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> FlowRecord:
        """As `Flow.cancel`."""
        wait_ms = fields.whole("wait_ms", wait_ms, most=TIMEOUT_MS_MAX)
        record = await self._request_cancel(reason, expected_revision, occurred_at)
        if record.is_active and wait_ms:
            ended = self._ledger.put(self._speak(), AwaitEnd())
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.waiting, wait_ms / MS_PER_S)
            record = await self.refresh()
        return record

    def erase(self, reason: str) -> Awaitable[FlowRecord]:
        """As `Flow.erase`."""
        return LettingGo(self._ledger, super().erase(reason))

    def _actor_name(self) -> str:
        return self._ledger.house.actor

    def _speak(self) -> Addressee:
        if self._actor is None:
            self._actor = self._ledger.house.facts().flow(self._record.stream)
        return self._actor

    def _send(self, command: Command) -> Awaitable[FlowRecord]:
        return _Answer(self, self._ledger.put(self._speak(), command))

    def see(self, record: FlowRecord) -> FlowRecord:
        """Take note of a newer record."""
        return self._see(record)


class _Answer(Awaitable[FlowRecord]):
    """The answer to a verb: awaiting it also brings the flow's handle up to date."""

    __slots__ = ("_flow", "_future")

    def __init__(self, flow: AsyncFlow, future: "LoopFuture") -> None:
        self._flow, self._future = flow, future

    def __await__(self) -> Generator[Any, None, FlowRecord]:
        record: Any = yield from self._future.waiting
        return self._flow.see(record)


class AsyncFlows:
    """As `Flows`, awaitable."""

    def __init__(self, ledger: "AsyncLedger") -> None:
        self._ledger = ledger

    @property
    def _readings(self) -> FlowReadings:
        return FlowReadings(self._ledger.house.readings.reader)

    async def create(
        self,
        *,
        owner: str,
        goal: str,
        controller: str,
        step: str | None = None,
        state: Any = None,
        idempotency_key: str | None = None,
        occurred_at: int | None = None,
    ) -> AsyncFlow:
        """As `Flows.create`."""
        fact = intake.created(
            owner=owner, goal=goal, controller=controller, step=step, state=state, idempotency_key=idempotency_key
        )
        house = self._ledger.house
        actor = house.facts().newborn_flow(house.new_id())
        future = self._ledger.put(actor, Command(fact, house.actor, moments.moment(occurred_at)))
        record: Any = await future.waiting
        return AsyncFlow(self._ledger, record)

    async def get(self, flow_id: str) -> AsyncFlow:
        """As `Flows.get`."""
        return AsyncFlow(self._ledger, await self._ledger.ask(self._readings.get, flow_id))

    async def find(self, token: str) -> AsyncFlow:
        """As `Flows.find`."""
        return AsyncFlow(self._ledger, await self._ledger.ask(self._readings.find, token))

    async def list(self, **filters: Any) -> FlowPage:
        """As `Flows.list`."""
        return await self._ledger.ask(self._readings.list, **filters)

    async def tasks(self, flow: AsyncFlow | str) -> Tasks:
        """As `Flows.tasks`."""
        return await self._ledger.ask(self._readings.tasks, id_of(flow))

    async def counts(self) -> FlowCounts:
        """As `Flows.counts`."""
        return await self._ledger.ask(self._readings.counts)

    async def claim(self, flow: AsyncFlow | str, step: str, **said: Any) -> FlowRecord:
        """As `Flow.claim`."""
        return await (await self._written(flow, said)).claim(step, **said)

    async def set_waiting(self, flow: AsyncFlow | str, wait: Any, **said: Any) -> FlowRecord:
        """As `Flow.set_waiting`."""
        return await (await self._written(flow, said)).set_waiting(wait, **said)

    async def resume(self, flow: AsyncFlow | str, **said: Any) -> FlowRecord:
        """As `Flow.resume`."""
        return await (await self._written(flow, said)).resume(**said)

    async def finish(self, flow: AsyncFlow | str, summary: str | None = None, **said: Any) -> FlowRecord:
        """As `Flow.finish`."""
        return await (await self._written(flow, said)).finish(summary, **said)

    async def fail(self, flow: AsyncFlow | str, error: str, **said: Any) -> FlowRecord:
        """As `Flow.fail`."""
        return await (await self._written(flow, said)).fail(error, **said)

    async def link(self, flow: AsyncFlow | str, task: Any, **said: Any) -> FlowRecord:
        """As `Flow.link`."""
        return await (await self._written(flow, said)).link(task, **said)

    async def cancel(self, flow: AsyncFlow | str, reason: str | None = None, **said: Any) -> FlowRecord:
        """As `Flow.cancel`; it needs no revision."""
        return await (await self._meant(flow)).cancel(reason, **said)

    async def settle(
        self, flow: AsyncFlow | str, status: FlowStatus | Status | str, reason: str, **said: Any
    ) -> FlowRecord:
        """As `Flow.settle`; it needs no revision."""
        return await (await self._meant(flow)).settle(status, reason, **said)

    async def erase(self, flow: AsyncFlow | str, reason: str) -> FlowRecord:
        """As `Flow.erase`; it needs no revision."""
        return await (await self._meant(flow)).erase(reason)

    async def _written(self, flow: AsyncFlow | str, said: dict[str, Any]) -> AsyncFlow:
        """Return the handle of a flow to write to: who names it by its id says which revision of it was seen."""
        if not isinstance(flow, AsyncFlow) and said.get("expected_revision") is None:
            raise intake.unseen()
        return await self._meant(flow)

    async def _meant(self, flow: AsyncFlow | str) -> AsyncFlow:
        return flow if isinstance(flow, AsyncFlow) else await self.get(id_of(flow))
