"""The subscription: the log from any position, then what is added to it, in order and without a gap."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
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

Page: TypeAlias = tuple[list[Event], int]
"""Events, and the position behind them."""


class Walk:
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

    @property
    def behind(self) -> int:
        return max(self._log.head() - self.position, 0)

    def look(self) -> Page:
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

    def take(self, page: Page) -> bool:
        """Move on by what a look found; False when that was nothing."""
        events, self._read_to = page
        self.page.extend(events)
        return bool(events)


def leaving(subscription: object, leave: Callable[[], None] | None) -> Callable[[], object]:
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
        self._walk = Walk(event_log, after)
        self._more = more = threading.Event()
        self._poll_s = POLL_S if listen is None else None
        # What listens knows the flag and not the subscription, which may be forgotten without being closed.
        self._leave = leaving(self, None if listen is None else listen(lambda _position: more.set()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The position of the newest event that was given out."""
        return self._walk.position

    @property
    def behind(self) -> int:
        """How many events the log has that were not given out yet. Raises `Closed` when the ledger is."""
        return self._walk.behind

    def __next__(self) -> Event:
        walk = self._walk
        while not walk.page:
            self._more.clear()  # before the look: what is added after it sets the flag again
            ends = walk.ends
            try:
                found = walk.take(walk.look())
            except Closed:
                raise StopIteration from None
            if not found:
                if ends:
                    raise StopIteration
                self._more.wait(self._poll_s)
        return walk.page.popleft()

    def close(self) -> None:
        """End the iteration after what is in the log now. Any thread may call this, and more than once."""
        self._walk.ends = True
        self._leave()
        self._more.set()
