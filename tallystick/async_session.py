"""The session for asyncio: what waits in one until it is taken."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tallystick.bridge import LoopFuture
from tallystick.ledger import fields
from tallystick.ledger.commands import Command
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.limits import SESSION_TAKE_DEFAULT
from tallystick.ledger.record import TaskRecord
from tallystick.leftovers import active_in, resource_closed, resource_opened
from tallystick.messages import SessionEvent
from tallystick.session import Failures, acknowledgements

if TYPE_CHECKING:
    from tallystick.aio import AsyncLedger


class AsyncSession:
    """As `Session`, awaitable."""

    def __init__(self, ledger: "AsyncLedger", key: str) -> None:
        self.key = fields.required_key("session", key)
        self._ledger = ledger

    def __repr__(self) -> str:
        return f"<AsyncSession {self.key}>"

    async def take(self, limit: int = SESSION_TAKE_DEFAULT) -> list[SessionEvent]:
        """As `Session.take`."""
        return await self._ledger.ask(self._ledger.house.messages.take, self.key, limit)

    async def ack(self, position: int) -> int:
        """As `Session.ack`."""
        ledger = self._ledger
        facts = ledger.house.facts()
        acknowledged, failed = 0, Failures()
        for page in await ledger.ask(acknowledgements, ledger.house, self.key, position):
            asked = []
            for stream, command in page:
                with failed:
                    asked.append(ledger.put(facts.actor(stream), command).waiting)
            for answer in asked:
                with failed:
                    await answer
            acknowledged += len(asked)
        failed.raise_first()
        return acknowledged

    async def reach(self, route: Origin | Mapping[str, object]) -> None:
        """As `Session.reach`."""
        future: LoopFuture = self._ledger.future()
        self._ledger.house.outlets.reach(self.key, route, future)
        await future.waiting

    async def opened(
        self, kind: str, name: str, *, pid: int | None = None, evidence: Mapping[str, object] | None = None
    ) -> TaskRecord:
        """As `Session.opened`."""
        return await self._report(resource_opened(kind, name, pid=pid, evidence=evidence))

    async def closed(self, kind: str, name: str) -> TaskRecord:
        """As `Session.closed`."""
        return await self._report(resource_closed(kind, name))

    async def _report(self, fact: TaskFact) -> TaskRecord:
        ledger = self._ledger
        task = await ledger.ask(active_in, ledger.house.readings.reader, self.key)
        record: TaskRecord = await ledger.put(
            ledger.house.facts().actor(task.stream), Command(fact, ledger.house.actor)
        ).waiting
        return record
