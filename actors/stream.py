"""The actor of one stream: what actors of tasks and of flows have in common."""

import queue
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.log import logger
from tallystick.actors.neighbourhood import Neighbourhood
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Closed, Corrupt, Pruned, TallystickError
from tallystick.ledger.events import ERASURES, AnyFact, Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import FlowErased
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import Payloads, kept_of, unmarked
from tallystick.ledger.redaction import carried
from tallystick.ledger.store.port import Deleted, Stored
from tallystick.projections.gone import gone

log = logger("actors")


_NOTHING: frozenset[type[Fact]] = frozenset()

R = TypeVar("R", bound=Record)
"""The record that the stream's events make."""


def happened(command: Command, now: int) -> int:
    """Return when it happened, if nobody says so: when it was sent from elsewhere, else now."""
    sent = command.sent_at
    return now if sent is None or sent > now else sent


def _is_erasure(message: object) -> bool:
    """Whether this also concerns what is gone but for its last words: there may be content that nobody can read."""
    return message.__class__ is Command and message.data.__class__ in ERASURES


class AwaitEnd(msgspec.Struct, frozen=True):
    """Asks for the record once what it is of has ended."""


class StreamActor(DispatchedActor, Generic[R]):
    """One stream. Its state is what its events say, durable ones and those of the turn that is under way.

    Everything happens on the dispatcher's thread, one message at a time; nothing here waits for anything.
    Stopping one means to passivate it: what it is of is there as long as its events are.
    """

    _set_up = True  # no on_start: there may be a million of these

    _is_remains = False
    """Whether the record stands for what was pruned and cannot be read any more: nobody is shown that."""
    _epitaph: Pruned | None = None
    """What is told of it then, if its history was deleted."""

    _followed: frozenset[type[Fact]] = frozenset()
    """The facts that something may follow in the same moment."""
    _follower = ""
    """Who says what follows."""
    _repeating: frozenset[type[Fact]] = frozenset()
    """The facts that may say again what the record knows."""

    def __init__(self, stream: bytes, home: Neighbourhood, *, newborn: bool = False) -> None:
        super().__init__(home.schedule)
        self.stream = stream
        self.record: R | None = None
        self.used = True
        self.stands_for: bytes | None = None
        self._home = home
        self._known = newborn
        self._let_go = False
        self._awaiting: list[Reply] | None = None

    def _name(self, urn: str | None) -> None:
        """The name follows from the stream."""

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # made on demand: a million texts are not free
        """The id of the task or the flow."""
        return id_text(self.stream)

    # What each kind does in its own way.

    def _decide(self, command: Command, envelope: Envelope) -> None:
        """Decide a command; stage what follows from it, and have the journal answer."""
        raise NotImplementedError

    def _begins(self, event: Event) -> bool:
        """Whether a stream that begins with this event is of this kind."""
        raise NotImplementedError

    def _evolved(self, record: R | None, event: Event) -> R:
        """Return what is known after an event."""
        raise NotImplementedError

    def _left(self, event: Event) -> R | None:
        """Return what the last event of a stream tells of what was pruned; None when it is no such event."""
        raise NotImplementedError

    def _bare(self, at: int) -> R:
        """Return a record that stands for one of which nothing is known but that it was there at some time (ms)."""
        raise NotImplementedError

    def _pruned(self, record: R) -> Pruned:
        """Return what those hear who ask for what was pruned, if its history can be read."""
        raise NotImplementedError

    def _missing(self) -> TallystickError:
        """Return what those hear who ask for what is not there."""
        raise NotImplementedError

    # Messages.

    def drain(self) -> None:
        """Handle what waits; hand it on when another actor speaks for the stream now."""
        super().drain()
        if self.stands_for is not None and not self._let_go:
            self.let_go()
            self._home.let_go_later(self)
            self._home.hand_on(self)

    def abandon(self) -> None:
        """Answer what waits, and who awaits the end: the dispatcher has ended."""
        for envelope in self.inbox.take():
            self._turn_away(envelope)
        awaiting, self._awaiting = self._awaiting, None
        for future in awaiting or ():
            self._turn_away(Envelope(AwaitEnd(), future))

    def _farewell(self) -> Exception:
        return Closed()

    def handle(self, envelope: Envelope) -> None:
        """Decide a command and stage its events; whatever else comes is Pykka's."""
        message = envelope.message
        if message.__class__ is not Command and message.__class__ is not AwaitEnd:
            super().handle(envelope)
            return
        try:
            if self.stands_for is not None:
                self._home.pass_on(envelope, self.stands_for)
                return
            if not self._known:
                self._load()
            if self._is_remains and not _is_erasure(message):
                self._home.journal.answer(envelope.reply_to, self.gone())
                self._rest()
            elif message.__class__ is Command:
                # Before it is decided: what comes again is compared with what was recorded.
                self._decide(self._said(message), envelope)
            else:
                self._await_end(envelope.reply_to)
        except BaseException as error:  # noqa: BLE001 - the caller hears it, and this stream alone is affected
            self._failed(envelope, error)

    def _failed(self, envelope: Envelope, error: BaseException) -> None:
        if envelope.reply_to is None:
            self._handle_failure(type(error), error, error.__traceback__)
        else:
            super()._failed(envelope, error)

    def _handle_failure(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report it, and go on: what this actor knows comes from the log, and was not touched by the failure."""
        log.error("message_failed", id=self.actor_urn, exc_info=(kind, error, trace))

    def _stop(self) -> None:
        self._home.let_go_later(self)

    def _rest(self) -> None:
        """Nobody remembers an id that names nothing because somebody asked, nor what has ended."""
        if self.record is None or not self.record.is_active:
            self._home.let_go_later(self)

    def _await_end(self, future: Reply | None) -> None:
        if self.record is None or not self.record.is_active:
            self._home.journal.answer(future, self._missing() if self.record is None else self.record)
            self._rest()
        elif future is not None:
            self._awaiting = [*(self._awaiting or ()), future]

    def _as_said_before(self, fact: Any, _record: R | None) -> Any:
        """Return one of the facts that are `_repeating` with the marks of what said before what it says again."""
        return fact

    # Events.

    def _following(self, _event: Event, _before: R | None, _after: R) -> Sequence[AnyFact]:
        """Return what is recorded together with an event whose fact is one of `_followed`, in the same moment."""
        return ()

    def _stage(self, facts: Sequence[AnyFact], command: Command) -> int:
        """Make the next events, each with what follows it; believe them, and hand them to the journal.

        All of them or, when one cannot be made, none. Returns the position of the first.
        """
        journal, first = self._home.journal, self.record
        followed = _NOTHING if command.imported else self._followed
        position, now, before = journal.position + 1, journal.now(), first
        occurred = happened(command, now) if command.occurred_at is None else command.occurred_at
        events: list[Event] = []
        aside: dict[int, Payloads] = {}
        for data in facts:
            version = 1 if before is None else before.version + 1
            place = position + len(events)
            fact = data if data is command.data else self._derived(data, command.data)
            if fact.__class__ in self._repeating:
                fact = self._as_said_before(fact, before)
            fact = self._discreet(fact, place, aside)
            event = Event(place, self.stream, version, occurred, now, command.actor, fact)
            after = self._evolved(before, event)
            events.append(event)
            if data.__class__ in followed:
                for following in self._following(event, before, after):
                    place, version = position + len(events), after.version + 1
                    fact = self._discreet(following, place, aside)
                    events.append(Event(place, self.stream, version, now, now, self._follower, fact))
                    after = self._evolved(after, events[-1])
            before = after
        self.record = before
        for event in events:
            journal.stage(self, first, event)
        for place, payloads in aside.items():
            journal.put_aside(place, payloads)
        return position

    def _said(self, command: Command) -> Command:
        """Return a command as it may be decided and recorded now."""
        discretion = self._home.journal.discretion
        return command if discretion is None else discretion.said(command, self.stream)

    def _derived(self, fact: AnyFact, said: AnyFact) -> AnyFact:
        """Return a fact that follows from another: what was known before may be in it, and marks on what was said."""
        discretion = self._home.journal.discretion
        fact = carried(fact, said)
        return fact if discretion is None else discretion.without_secrets(fact, self.stream)

    def _discreet(self, fact: AnyFact, place: int, aside: dict[int, Payloads]) -> AnyFact:
        """Return a fact as it is recorded at a place; what is kept beside it goes to `aside`."""
        discretion = self._home.journal.discretion
        if discretion is None:
            return unmarked(fact)
        fact, payloads = discretion.of(fact)
        if payloads:
            aside[place] = payloads
        return fact

    def _events(self) -> list[Event]:
        """All events that can be read, with those of this turn."""
        return self._events_of(self.stream)

    def _events_of(self, stream: bytes) -> list[Event]:
        durable = (stored for stored in self._home.history(stream) if isinstance(stored, Event))
        return [*durable, *self._home.journal.staged(stream)]

    def _erasing(self, erasure: TaskErased | FlowErased, events: Sequence[Event]) -> Any:
        """Return an erasure that says what of these events is kept beside the log: whoever asks need not know."""
        self._home.journal.erasures += 1
        kept = kept_of(event.data for event in events)
        kind, marks = erasure.__class__, erasure.redacted
        return kind(reason=erasure.reason, redacted=marks, fields=kept.fields, count=kept.count)

    def current(self) -> R | None:
        """Return what is known now, this turn included. On the dispatcher's thread. Raises `Corrupt`."""
        if not self._known:
            self._load()
        return self.record

    def gone(self) -> Pruned | None:
        """Return what those hear who ask for it, if it was pruned. Raises `Corrupt`."""
        record = self.current()
        if record is None or record.pruned_at is None:
            return None
        return self._epitaph or self._pruned(record)

    def recall(self, history: Sequence[Stored]) -> None:
        """Know the stream from its history, as it is in the log now, if it is not known already."""
        if not self._known:
            with suppress(Corrupt):  # whoever speaks to it hears that
                self._learn(history)

    def _load(self) -> None:
        """Read the history from the log. Raises `Corrupt` when a part of it cannot be read.

        Only of what was pruned is a part ever deleted: that is no damage, and tells of the pruning.
        """
        self._learn(self._home.history(self.stream))

    def _learn(self, history: Sequence[Stored]) -> None:
        last = history[-1] if history else None
        left = self._left(last) if isinstance(last, Event) else None
        try:
            record = self._folded(history)
        except Corrupt:
            if any(isinstance(stored, Deleted) for stored in history):
                alone = gone(self.actor_urn, self.stream, history, None)
                self._epitaph = self._home.epitaph(self.stream) or alone
                left = left or self._bare((self._epitaph and self._epitaph.pruned_at) or 0)
            if left is None:
                raise
            record = None
        self._is_remains = record is None and left is not None
        self.record = left if record is None else record
        self._known = True

    def _folded(self, history: Sequence[Stored]) -> R | None:
        record = None
        if history and isinstance(history[0], Event) and not self._begins(history[0]):
            return None  # another kind of thing has this id
        for stored in history:
            if not isinstance(stored, Event):
                raise Corrupt(f"{self.actor_urn}: {stored.detail}", position=stored.position)
            record = self._evolved(record, stored)
        return record

    def committed(self) -> None:
        """The journal wrote this actor's events: when it has ended, the actor may go."""
        if self.record is not None and not self.record.is_active:
            if self._may_go():
                self._home.let_go_later(self)
            awaiting, self._awaiting = self._awaiting, None
            for future in awaiting or ():
                with suppress(queue.Full):  # its owner has answered it: nobody waits
                    future.set(self.record)

    def _may_go(self) -> bool:
        """Whether nobody is expected to speak to it soon, now that it has ended."""
        return True

    def forget(self) -> None:
        """The journal could not write this actor's events: read the log again before the next decision."""
        self.record, self._known = None, False
        if self._awaiting is not None:  # was it created in vain? Then its end never comes
            awaiting, self._awaiting = self._awaiting, None
            self.inbox.put_behind([Envelope(AwaitEnd(), future) for future in awaiting])

    # In memory or not.

    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return self._awaiting is None and self.inbox.empty()

    @property
    def is_known(self) -> bool:
        """Whether it has read its history."""
        return self._known

    @property
    def is_gone(self) -> bool:
        """Whether the directory has let it go."""
        return self._let_go

    @property
    def address(self) -> bytes:
        """The stream that mail for this actor is for: its own, or the one that its id stands for."""
        return self.stands_for or self.stream

    def let_go(self) -> None:
        """Stop; what still arrives is passed on to the actor that speaks for the stream then."""
        self._let_go = True
        self.actor_stopped.set()
