"""The bulletin: has written what was seen of tasks without an event, and lets those wait for it who swept."""

import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.log import logger
from tallystick.actors.watching.inspector import Facts
from tallystick.actors.watching.sightings import Sightings
from tallystick.ledger.errors import Closed

log = logger("actors")

Keep: TypeAlias = Callable[[bytes, bytes, Reply], None]
"""Has a note written, and answers when it is durable."""


class Records(Facts, Protocol):
    """Where commands go, and notes."""

    def keep(self, name: bytes, value: bytes, future: Reply | None = None) -> None:
        """Write a note beside the events; `future` is answered when it is durable."""
        ...


class Published(Struct, frozen=True):
    """A note is durable, or was not written; and who waits for that."""

    waiting: Sequence[Reply]
    error: BaseException | None = None


class _Published:
    """Brings the answer to a note back."""

    __slots__ = ("_put", "_waiting")

    def __init__(self, put: Callable[[Published], None], waiting: Sequence[Reply]) -> None:
        self._put, self._waiting = put, waiting

    def set(self, _value: Any = None) -> None:
        self._put(Published(self._waiting))

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        self.fail((exc_info and exc_info[1]) or Closed())

    def fail(self, error: BaseException) -> None:
        self._put(Published(self._waiting, error))


class Bulletin:
    """Lives on one thread; `put` brings `Published` there, from any."""

    def __init__(self, sightings: Sightings, keep: Keep, put: Callable[[Published], None]) -> None:
        self.sightings = sightings
        self._keep, self._put = keep, put
        self._waiting: list[Sequence[Reply]] = []

    def publish(self, now: int, waiting: Sequence[Reply] = ()) -> None:
        """Have written what was seen, if that is news; then answer those who wait for it."""
        note = self.sightings.note(now)
        if note is None:
            answer(waiting)
            return
        self._waiting.append(waiting)
        self._keep(*note, _Published(self._put, waiting))

    def publish_now_and_then(self, now: int) -> None:
        """Have it written, if the last time is long enough ago."""
        if self.sightings.is_due(now):
            self.publish(now)

    def published(self, told: Published) -> None:
        """Take note of what became of a note: one that was not written is told again the next time."""
        self._waiting = [waiting for waiting in self._waiting if waiting is not told.waiting]
        if told.error is not None:
            self.sightings.not_written()
            if not isinstance(told.error, Closed):
                log.error("sightings_not_written", error=str(told.error))
        answer(told.waiting, told.error)

    def abandon(self) -> None:
        """Answer those who wait: nobody will bring them anything."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            answer(each, Closed())


def answer(waiting: Sequence[Reply], error: BaseException | None = None) -> None:
    """Tell those who wait that it is done, or why not."""
    for reply in waiting:
        with suppress(queue.Full):  # its owner has answered it: nobody waits
            reply.set(None) if error is None else reply.fail(error)
