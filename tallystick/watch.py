"""The subscription: the log from any position, then what is added to it, in order and without a gap."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Self, TypeAlias
from weakref import finalize

from tallystick.ledger import fields
from tallystick.ledger.errors import Closed
from tallystick.ledger.events import Event
from tallystick.ledger.limits import SUBSCRIBER_PAGE_EVENTS
from tallystick.ledger.store.port import EventLog

POLL_S = 0.2  # how often a reader in another process than the owner looks for more

Listener: TypeAlias = Callable[[int], None]
Listen: TypeAlias = Callable[[Listener], Callable[[], None]]

_Page: TypeAlias = tuple[list[Event], int]
Look: TypeAlias = Callable[[Callable[[], _Page]], Awaitable[_Page]]
"""How a coroutine lets another thread read a page; raises `Closed` when the ledger is."""


class _Reading:
    """A walk along a log: what was read and not yet given out, and how far it is."""

    def __init__(self, event_log: EventLog, after: int) -> None:
        self._log = event_log
        self._read_to = fields.whole("after", after, least=0)
        self.page: deque[Event] = deque()
        self.ends = False
        """Whether the walk ends where the log ends at the next look."""
        self._until: int | None = None

    @property
    def position(self) -> int:
        return self.page[0].position - 1 if self.page else self._read_to

    def look(self) -> _Page:
        """Return the next events, none at the head, and the position behind them. Moves nothing."""
        if self.ends and self._until is None:
            self._until = self._log.head()
        read_to = self._read_to
        while True:
            stored = list(islice(self._log.read(read_to, self._until), SUBSCRIBER_PAGE_EVENTS))
            if not stored:
                return [], read_to
            read_to = stored[-1].position
            events = [each for each in stored if isinstance(each, Event)]  # `verify` names what is damaged
            if events:
                return events, read_to

    def take(self, page: _Page) -> bool:
        """Move on by what a look found; False when that was nothing."""
        events, self._read_to = page
        self.page.extend(events)
        return bool(events)


def _leaving(subscription: object, leave: Callable[[], None] | None) -> Callable[[], object]:
    """Return what ends the listening, once; it also happens when nobody knows the subscription any more."""
    if leave is None:
        return lambda: None
    ending = finalize(subscription, leave)
    ending.atexit = False
    return ending


class Subscription(Iterator[Event]):
    """A blocking iterator over the log, from a position and then live, until `close` or the ledger's own end.

    A slow reader misses nothing: it reads the log at its own pace. When the ledger is closed first, the iteration ends
    behind what was read by then; `position` says where to go on after opening it again.
    """

    def __init__(self, event_log: EventLog, after: int, listen: Listen | None) -> None:
        self._reading = _Reading(event_log, after)
        self._more = more = threading.Event()
        self._poll_s = POLL_S if listen is None else None
        # What listens knows the flag and not the subscription, which may be forgotten without being closed.
        self._leave = _leaving(self, None if listen is None else listen(lambda _position: more.set()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._reading.position

    def __next__(self) -> Event:
        reading = self._reading
        while not reading.page:
            self._more.clear()  # before the look: what is added after it sets the flag again
            ends = reading.ends
            try:
                found = reading.take(reading.look())
            except Closed:
                raise StopIteration from None
            if not found:
                if ends:
                    raise StopIteration
                self._more.wait(self._poll_s)
        return reading.page.popleft()

    def close(self) -> None:
        """End the iteration after what is in the log now. Any thread may call this, and more than once."""
        self._reading.ends = True
        self._leave()
        self._more.set()


class AsyncSubscription(AsyncIterator[Event]):
    """The same for asyncio: pages are read on another thread, the loop never waits for a disk.

    A wait that is cancelled, by `asyncio.wait_for` say, loses nothing: the next one gives the same event.
    """

    def __init__(self, event_log: EventLog, after: int, listen: Listen | None, look: Look) -> None:
        self._reading, self._look = _Reading(event_log, after), look
        self._more = more = asyncio.Event()
        self._poll_s = POLL_S if listen is None else None
        loop = asyncio.get_running_loop()

        def told(_position: int) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(more.set)

        self._leave = _leaving(self, None if listen is None else listen(told))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._reading.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        reading = self._reading
        while not reading.page:
            self._more.clear()
            ends = reading.ends
            try:
                page = await self._look(reading.look)
            except Closed:
                raise StopAsyncIteration from None
            if not reading.take(page):  # nothing is awaited between the look and this
                if ends:
                    raise StopAsyncIteration
                await self._told_more()
        return reading.page.popleft()

    async def _told_more(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), self._poll_s)

    def close(self) -> None:
        """End the iteration after what is in the log now. To be called on the loop's thread."""
        self._reading.ends = True
        self._leave()
        self._more.set()
