"""The subscription for asyncio: the loop never waits for a disk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Self, TypeAlias

from tallystick.ledger.errors import Closed
from tallystick.ledger.events import Event
from tallystick.ledger.store.port import EventLog
from tallystick.watch import POLL_S, Listen, Page, Walk, leaving

Look: TypeAlias = Callable[[Callable[[], Page]], Awaitable[Page]]
"""How a coroutine lets another thread read a page; raises `Closed` when the ledger is."""


class AsyncSubscription(AsyncIterator[Event]):
    """The same for asyncio: pages are read on another thread, the loop never waits for a disk.

    A wait that is cancelled, by `asyncio.wait_for` say, loses nothing: the next one gives the same event.
    """

    def __init__(self, event_log: EventLog, after: int, listen: Listen | None, look: Look) -> None:
        self._walk, self._look = Walk(event_log, after), look
        self._more = more = asyncio.Event()
        self._poll_s = POLL_S if listen is None else None
        loop = asyncio.get_running_loop()

        def told(_position: int) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(more.set)

        self._leave = leaving(self, None if listen is None else listen(told))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._walk.position

    @property
    def behind(self) -> int:
        """How many events the log has that were not given out yet. Raises `Closed` when the ledger is."""
        return self._walk.behind

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        walk = self._walk
        while not walk.page:
            self._more.clear()
            ends = walk.ends
            try:
                page = await self._look(walk.look)
            except Closed:
                raise StopAsyncIteration from None
            if not walk.take(page):  # nothing is awaited between the look and this
                if ends:
                    raise StopAsyncIteration
                await self._told_more()
        return walk.page.popleft()

    async def _told_more(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), self._poll_s)

    def close(self) -> None:
        """End the iteration after what is in the log now. To be called on the loop's thread."""
        self._walk.ends = True
        self._leave()
        self._more.set()
