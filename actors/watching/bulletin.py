"""The bulletin: has written what was seen of tasks without an event, and lets those wait for it who swept."""

import queue
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.log import logger
from tallystick.actors.watching.inspector import Facts
from tallystick.actors.watching.sightings import ABOUT_ALL, Sightings
from tallystick.ledger.errors import Closed

log = logger("actors")

AT_ONCE = 16  # notes that wait for the disk at the same time: more would keep writers waiting behind them

Keep: TypeAlias = Callable[[bytes, bytes, Reply], None]
"""Has a note written, and answers when it is durable."""


class Records(Facts, Protocol):
    """Where commands go, and notes."""

    def keep(self, name: bytes, value: bytes, future: Reply | None = None) -> None:
        """Write a note beside the events; `future` is answered when it is durable."""
        ...


class Published(Struct, frozen=True):
    """The note of a place is durable, or was not written."""

    place: int
    error: BaseException | None = None


class _Published:
    """Brings the answer to a note back."""

    __slots__ = ("_place", "_put")

    def __init__(self, put: Callable[[Published], None], place: int) -> None:
        self._put, self._place = put, place

    def set(self, _value: Any = None) -> None:
        self._put(Published(self._place))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        self._put(Published(self._place, error))


class _Round:
    """The notes that are to be written at one time, what became of them, and who waits for that."""

    __slots__ = ("error", "now", "places", "under_way", "waiting")

    def __init__(self, places: Sequence[int], now: int, waiting: Sequence[Reply]) -> None:
        self.places, self.now, self.waiting = deque(places), now, waiting
        self.under_way = 0
        self.error: BaseException | None = None


class Bulletin:
    """Lives on one thread; `put` brings `Published` there, from any.

    One round of notes after the other, a few notes at a time: they join the transactions of whoever writes. A round in
    which one cannot be written is given up, for a full disk must not be asked for each of them.
    """

    def __init__(self, sightings: Sightings, keep: Keep, put: Callable[[Published], None]) -> None:
        self.sightings = sightings
        self._keep, self._put = keep, put
        self._rounds: deque[_Round] = deque()

    def publish(self, now: int, waiting: Sequence[Reply] = ()) -> None:
        """Have written what of it is news; then answer those who wait for it."""
        self._rounds.append(_Round(self.sightings.due(now), now, waiting))
        if len(self._rounds) == 1:
            self._go_on()

    def publish_now_and_then(self, now: int) -> None:
        """Have it written, if the last time is long enough ago."""
        if not self._rounds and self.sightings.is_due(now):
            self.publish(now)

    def published(self, told: Published) -> None:
        """Take note of what became of a note, and go on."""
        if not self._rounds:  # it was abandoned
            return
        first = self._rounds[0]
        first.under_way -= 1
        if told.error is not None:
            self.sightings.not_written(told.place)
            if first.error is None and not isinstance(told.error, Closed):
                log.error("sightings_not_written", error=str(told.error))
            first.error = first.error or told.error
        self._go_on()

    def abandon(self) -> None:
        """Answer those who wait: nobody will bring them anything."""
        rounds, self._rounds = self._rounds, deque()
        for each in rounds:
            answer(each.waiting, Closed())

    def _go_on(self) -> None:
        """Send the next notes; where all of a round are answered, answer those who wait for it, and begin the next."""
        while self._rounds:
            first = self._rounds[0]
            while first.places and first.error is None and self._has_room(first):
                place = first.places.popleft()
                note = self.sightings.note(place, first.now)
                if note is not None:
                    first.under_way += 1
                    self._keep(*note, _Published(self._put, place))
            if first.under_way:
                return
            self._rounds.popleft()
            answer(first.waiting, first.error)

    @staticmethod
    def _has_room(first: _Round) -> bool:
        """The note about all may say that the others have what it had: it waits until they are durable."""
        return first.under_way < (1 if first.places[0] == ABOUT_ALL else AT_ONCE)


def answer(waiting: Sequence[Reply], error: BaseException | None = None) -> None:
    """Tell those who wait that it is done, or why not."""
    for reply in waiting:
        with suppress(queue.Full):  # its owner has answered it: nobody waits
            reply.set(None) if error is None else reply.fail(error)
