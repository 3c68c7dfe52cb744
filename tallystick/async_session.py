"""The session for asyncio: what waits in one until it is taken."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from tallystick.bridge import LoopFuture
from tallystick.ledger import fields
from tallystick.ledger.errors import NotFound, Refused
from tallystick.ledger.events import Origin
from tallystick.messages import TAKE_DEFAULT, SessionEvent
from tallystick.session import acknowledgements

if TYPE_CHECKING:
    from tallystick.aio import AsyncLedger


class AsyncSession:
    """As `Session`, awaitable."""

    def __init__(self, ledger: "AsyncLedger", key: str) -> None:
        self.key = fields.required_key("session", key)
        self._ledger = ledger

    def __repr__(self) -> str:
        return f"<AsyncSession {self.key}>"

    async def take(self, limit: int = TAKE_DEFAULT) -> list[SessionEvent]:
        """As `Session.take`."""
        return await self._ledger.ask(self._ledger.house.messages.take, self.key, limit)

    async def ack(self, position: int) -> int:
        """As `Session.ack`."""
        ledger = self._ledger
        facts = ledger.house.facts()
        acknowledged = 0
        for page in await ledger.ask(acknowledgements, ledger.house, self.key, position):
            asked = [ledger.put(facts.actor(stream), command).waiting for stream, command in page]
            for answer in asked:
                with suppress(Refused, NotFound):  # somebody else has dealt with it
                    await answer
            acknowledged += len(asked)
        return acknowledged

    async def reach(self, route: Origin | Mapping[str, object]) -> None:
        """As `Session.reach`."""
        future: LoopFuture = self._ledger.future()
        self._ledger.house.outlets.reach(self.key, route, future)
        await future.waiting
