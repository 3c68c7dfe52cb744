"""The directory: which actors of a kind are in memory, and who speaks for a task or a flow."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Envelope
from tallystick.actors.inbox import Address, HandOn
from tallystick.actors.journal import Journal
from tallystick.actors.stream import StreamActor
from tallystick.ledger.errors import Pruned
from tallystick.ledger.limits import ACTORS_LIVE_MAX
from tallystick.ledger.store.port import EventLog, Stored

ROOM = 10  # when there are too many, one in so many is let go beyond what must be


A = TypeVar("A", bound=StreamActor[Any])

Epitaph: TypeAlias = Callable[[bytes], Pruned | None]


def nothing_told(_stream: bytes) -> None:
    """Tell nothing: there are no read models that could."""


class Directory(Generic[A]):
    """Makes actors when somebody speaks to them and lets them go when they have ended or been idle.

    Any thread may look an actor up; only the dispatcher's thread lets one go. What reaches an actor that was let go
    is passed on to its successor, so nothing is lost in between. `live_max` bounds the actors in memory; those with
    something unfinished do not count as idle.
    """

    def __init__(
        self,
        event_log: EventLog,
        journal: Journal,
        dispatcher: Dispatcher,
        *,
        live_max: int = ACTORS_LIVE_MAX,
    ) -> None:
        self._log, self.journal, self.schedule, self._live_max = event_log, journal, dispatcher, live_max
        self._actors: dict[bytes, A] = {}
        self._onward = HandOn(dispatcher.lock)
        self._find = self.actor
        self._looks_again_at = 0
        self._resting: list[A] = []
        self.epitaph: Epitaph = nothing_told
        """What is told of a task or a flow whose history was deleted."""

    def _made(self, stream: bytes, *, newborn: bool = False) -> A:
        raise NotImplementedError

    def actor(self, stream: bytes) -> A:
        """Return the actor of this task, made anew from the log's truth when it is not in memory."""
        found = self._actors.get(stream)
        if found is None:
            # setdefault is one step: of two threads that make the actor, one wins for both.
            found = self._actors.setdefault(stream, self._made(stream))
        found.used = True
        return found

    def newborn(self, stream: bytes) -> A:
        """Return an actor for an id that was made just now: the log is not asked for its history."""
        actor = self._actors[stream] = self._made(stream, newborn=True)
        return actor

    def history(self, stream: bytes) -> list[Stored]:
        """Return what the log has of this task."""
        return self._log.stream(stream)

    def foresee(self, streams: Sequence[bytes]) -> None:
        """Read what the log has of many tasks at once: they are spoken to next. On the dispatcher's thread."""
        actors = {stream: self.actor(stream) for stream in streams}
        unread = [stream for stream, actor in actors.items() if not actor.is_known]
        for stream, history in self._log.histories(unread).items():
            actors[stream].recall(history)

    def let_go_later(self, actor: A) -> None:
        """The actor's task has ended: let it go at the end of the turn, if nothing waits for it then."""
        self._resting.append(actor)

    def end_turn(self) -> None:
        """Let go of actors whose tasks have ended, and of the idlest beyond the bound."""
        resting, self._resting = self._resting, []
        for actor in resting:
            self._let_go(actor)
        if len(self._actors) > self._live_max and self.journal.position >= self._looks_again_at:
            self._passivate(len(self._actors) - self._live_max + self._live_max // ROOM)

    def _passivate(self, surplus: int) -> None:
        """Let go of the idlest, oldest first; who was used since the last look is spared once.

        Some room is made at once, so that not every turn has to look at everybody. When most are busy and too many
        stay, nobody is looked at before as much was written as half of them could have been written for.
        """
        spared = 0
        for actor in list(self._actors.values()):  # a copy in one step, for other threads add to it
            if actor.used:
                actor.used = False
                spared += 1
            elif self._let_go(actor):
                surplus -= 1
                if surplus <= 0:
                    return
        if spared < surplus:
            self._looks_again_at = self.journal.position + len(self._actors) // 2

    def _let_go(self, actor: A) -> bool:
        if not actor.is_idle() or self._actors.get(actor.stream) is not actor:
            return False
        with self._onward.lock:
            # First, so that nobody who finds the successor can then put something here that comes before it. Until
            # the lock is free, who puts here waits.
            actor.inbox.hand_on(self._onward, Address(self._find, actor.address))
            actor.let_go()
            del self._actors[actor.stream]
            if not actor.inbox.empty():  # it came meanwhile, and is older than what the successor has
                self.actor(actor.address).inbox.put_before(actor.inbox.take())
        return True

    def hand_on(self, actor: A) -> None:
        """Let an actor that speaks for no task any more hand on what reaches it, and what has, to who does."""
        with self._onward.lock:
            actor.inbox.hand_on(self._onward, Address(self._find, actor.address))
            self._onward.schedule(actor.inbox)

    def pass_on(self, envelope: Envelope, stream: bytes) -> None:
        """Give an envelope that reached an id that names no task of its own to the task that it stands for."""
        self.actor(stream).inbox.put_behind([envelope])

    def abandon(self) -> None:
        """Let every actor answer what waits: the dispatcher has ended."""
        for actor in self._actors.copy().values():
            actor.abandon()

    def __len__(self) -> int:
        return len(self._actors)
