"""The inbox: what waits for one actor, bounded, and the signal that makes its dispatcher run it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from msgspec import Struct

from tallystick.actors.envelope import Envelope
from tallystick.ledger.errors import Busy
from tallystick.ledger.limits import INBOX_DEPTH_MAX


class Runnable(Protocol):
    """What a dispatcher runs."""

    def drain(self) -> None:
        """Handle what waits in the inbox."""
        ...

    def abandon(self) -> None:
        """Answer what waits in the inbox without handling it: the dispatcher has ended."""
        ...


class Schedule(Protocol):
    """Where an actor with mail queues for its turn."""

    remembers: bool
    """Whether an actor that was scheduled has its turn to come, so that it need not be scheduled again."""

    def schedule(self, actor: Runnable) -> None:
        """Give the actor a turn."""
        ...


class Inbox:
    """A bounded inbox as Pykka wants one, that schedules its actor when something arrives.

    Any thread may put; only the dispatcher takes. Every step is one operation under the interpreter lock.
    """

    __slots__ = ("_actor", "_queue", "_schedule", "_scheduled")

    def __init__(self, actor: Runnable, schedule: Schedule) -> None:
        self._actor, self._schedule = actor, schedule
        self._queue: list[Envelope] = []  # a list, for an empty deque is ten times as large
        self._scheduled = False

    def put(self, envelope: "Envelope", /) -> None:
        """Add an envelope. Raises `Busy` when INBOX_DEPTH_MAX are waiting; nothing was added then."""
        waiting = self._queue
        if len(waiting) >= INBOX_DEPTH_MAX:
            raise Busy("The inbox of one actor", depth=len(waiting))
        waiting.append(envelope)
        if not self._scheduled:
            self._scheduled = self._schedule.remembers
            self._schedule.schedule(self)

    def put_before(self, envelopes: "list[Envelope]") -> None:
        """Add envelopes that are older than all that wait here. They were admitted once: the bound is not asked."""
        self._queue[:0] = envelopes
        self.wake()

    def put_behind(self, envelopes: "list[Envelope]") -> None:
        """Add envelopes that were admitted elsewhere behind those that wait here."""
        self._queue.extend(envelopes)
        if not self._scheduled:
            self.wake()

    def wake(self) -> None:
        """Schedule the actor although nothing has arrived: its first turn."""
        self._scheduled = self._schedule.remembers
        self._schedule.schedule(self)

    def drain(self) -> None:
        """Let the actor handle what waits: its turn has come."""
        self._actor.drain()

    def abandon(self) -> None:
        """Let the actor answer what waits without handling it: the dispatcher has ended."""
        self._actor.abandon()

    def hand_on(self, onward: "HandOn", address: "Address") -> None:
        """From now on hand on what is put here, on the thread of whoever puts it, to who has the address then.

        If the actor had to, mail that the same sender gives to the successor could come first.
        The inbox forgets its actor: the two need no garbage collector to go. Call it, and take what waits, under the
        lock that `onward` has: then no sender's mail comes before what he has put here already.
        """
        self._actor = address
        self._schedule = onward  # for a sender that is inside `put` now: nothing is remembered of another's
        self._scheduled = False  # scheduling, so he hands on what he has put himself, before he can put more
        self.__class__ = Onward  # and for all others, so that nobody's `put` has to look

    def take(self) -> "list[Envelope]":
        """Return all that waits, in order, and empty the inbox. What arrives from now on schedules anew."""
        self._scheduled = False
        waiting = self._queue
        taken = waiting[:]
        del waiting[: len(taken)]
        return taken

    def get(self) -> "Envelope":
        """Return the first envelope. Raises `IndexError` when there is none: a dispatched actor never waits."""
        return self._queue.pop(0)

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue

    def depth(self) -> int:
        """How many envelopes wait."""
        return len(self._queue)


class Address(Struct, frozen=True, gc=False):
    """The task that an actor spoke for: whoever speaks for it now is found there."""

    find: Callable[[bytes], Any]
    stream: bytes

    def successor(self) -> Inbox:
        """Return the inbox of the actor that speaks for the task now."""
        inbox: Inbox = self.find(self.stream).inbox
        return inbox

    def drain(self) -> None:
        """Nobody is here to handle anything."""

    def abandon(self) -> None:
        """Nobody is here to answer anything."""


class HandOn:
    """Where inboxes queue whose actors speak for no task any more: nowhere. What waits in one is handed on at once."""

    remembers = False

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self.lock = lock

    def schedule(self, inbox: Runnable) -> None:
        """Give what waits in the inbox to the successor of its actor."""
        assert isinstance(inbox, Onward)
        with self.lock:  # for any thread may come here, and an inbox has one taker
            envelopes = inbox.take()
            if envelopes:
                inbox.successor().put_behind(envelopes)


class Onward(Inbox):
    """The inbox of an actor that speaks for no task any more: what is put here goes to the one that does."""

    __slots__ = ()

    def put(self, envelope: "Envelope", /) -> None:
        """Put the envelope into the successor's inbox."""
        assert isinstance(self._schedule, HandOn)
        with self._schedule.lock:
            self.successor().put(envelope)

    def successor(self) -> Inbox:
        """Return the inbox of the actor that speaks for the task now."""
        assert isinstance(self._actor, Address)
        return self._actor.successor()

    def drain(self) -> None:
        """Hand on what was put here just before its actor went."""
        self._schedule.schedule(self)

    abandon = drain
