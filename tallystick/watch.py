"""The subscription: the log from any position, then what is added to it, in order and without a gap."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from itertools import islice

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.limits import SUBSCRIBER_PAGE_EVENTS
from tallystick.ledger.store.port import EventLog

POLL_S = 0.2  # how often a reader in another process than the owner looks for more

Listen = Callable[[Callable[[int], None]], Callable[[], None]]


class _Pages:
    """The log in pages from a position on; knows how far it is."""

    def __init__(self, event_log: EventLog, after: int) -> None:
        if type(after) is not int or after < 0:
            raise InvalidInput("after", after, "a position, from 0")
        self._log, self.position = event_log, after

    def next_page(self) -> list[Event]:
        """Return the next events, none at the head. What is damaged is left out; `verify` names it."""
        while True:
            page = list(islice(self._log.read(after=self.position), SUBSCRIBER_PAGE_EVENTS))
            if not page:
                return []
            self.position = page[-1].position
            events = [stored for stored in page if isinstance(stored, Event)]
            if events:
                return events


class Subscription(Iterator[Event]):
    """A blocking iterator over the log, from a position and then live, until `close` or the ledger's own end.

    A slow reader misses nothing: it reads the log at its own pace and `position` says where it is.
    """

    def __init__(self, event_log: EventLog, after: int, listen: Listen | None) -> None:
        self._pages, self._page = _Pages(event_log, after), deque[Event]()
        self._more = threading.Event()
        self._closed = False
        self._poll_s = POLL_S if listen is None else None
        self._leave = listen(lambda _position: self._more.set()) if listen is not None else lambda: None

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._page[0].position - 1 if self._page else self._pages.position

    def __next__(self) -> Event:
        while not self._page:
            self._more.clear()  # before the look: what is added after it sets the flag again
            self._page.extend(self._pages.next_page())
            if not self._page:
                if self._closed:
                    raise StopIteration
                self._more.wait(self._poll_s)
        return self._page.popleft()

    def close(self) -> None:
        """End the iteration after what is in the log now. Any thread may call this."""
        if not self._closed:
            self._closed = True
            self._leave()
        self._more.set()


class AsyncSubscription(AsyncIterator[Event]):
    """The same for asyncio: pages are read on another thread, the loop never waits for a disk."""

    def __init__(self, event_log: EventLog, after: int, listen: Listen, executor: Executor) -> None:
        self._pages, self._page = _Pages(event_log, after), deque[Event]()
        self._loop, self._executor = asyncio.get_running_loop(), executor
        self._more = asyncio.Event()
        self._closed = False
        self._leave = listen(self._told)

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._page[0].position - 1 if self._page else self._pages.position

    def __aiter__(self) -> "AsyncSubscription":
        return self

    async def __anext__(self) -> Event:
        while not self._page:
            self._more.clear()
            self._page.extend(await self._loop.run_in_executor(self._executor, self._pages.next_page))
            if not self._page:
                if self._closed:
                    raise StopAsyncIteration
                await self._more.wait()
        return self._page.popleft()

    def close(self) -> None:
        """End the iteration after what is in the log now. To be called on the loop's thread."""
        if not self._closed:
            self._closed = True
            self._leave()
        self._more.set()

    def _told(self, _position: int) -> None:
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._more.set)
