"""The task actor: decides the commands that reach one task, and consumes its own events."""

import queue
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType

import msgspec

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.envelope import Envelope, Reply
from tallystick.actors.log import logger
from tallystick.actors.neighbourhood import Neighbourhood
from tallystick.ledger.claims import claims_of
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import Closed, Corrupt, NotFound, Refused
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import TaskCreated, TaskProgressed
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import PROGRESS_MS_MIN, USAGE_KEYS_MAX
from tallystick.ledger.notices import TOLD
from tallystick.ledger.progress import is_too_soon, merged
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Facts, Refusal
from tallystick.ledger.store.port import Stored

log = logger("actors")

NO_CLAIMS: Mapping[bytes, bytes] = {}
OUTBOX_ACTOR = "outbox"
"""Who says that a message waits."""


class _Held(msgspec.Struct, frozen=True, gc=False):
    """Progress that was answered and is not written yet, and when it is to be."""

    command: Command
    until_ms: int


def _happened(command: Command, now: int) -> int:
    """Return when it happened, if nobody says so: when it was sent from elsewhere, else now."""
    sent = command.sent_at
    return now if sent is None or sent > now else sent


class AwaitEnd(msgspec.Struct, frozen=True):
    """Asks for the task's record once the task has ended."""


class TaskActor(DispatchedActor):
    """One task. Its state is what its events say, durable ones and those of the turn that is under way.

    Everything happens on the dispatcher's thread, one message at a time; nothing here waits for anything.
    Stopping one means to passivate it: the task is there as long as its events are.
    """

    _set_up = True  # no on_start: there may be a million of these

    def __init__(self, stream: bytes, home: "Neighbourhood[TaskActor]", *, newborn: bool = False) -> None:
        super().__init__(home.schedule)
        self.stream = stream
        self.record: TaskRecord | None = None
        self.used = True
        self.stands_for: bytes | None = None
        self._home = home
        self._known = newborn
        self._held: _Held | None = None
        self._let_go = False
        self._awaiting: list[Reply] | None = None

    def _name(self, urn: str | None) -> None:
        """The name follows from the task."""

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # made on demand: a million texts are not free
        """The task's id."""
        return id_text(self.stream)

    def drain(self) -> None:
        """Handle what waits; hand it on when another actor speaks for the task now."""
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
            if message.__class__ is Command:
                self._decide(message, envelope)
            else:
                self._await_end(envelope.reply_to)
        except BaseException as error:  # noqa: BLE001 - the caller hears it, and this task alone is affected
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
        log.error("message_failed", task=self.actor_urn, exc_info=(kind, error, trace))

    def _stop(self) -> None:
        self._home.let_go_later(self)

    def _decide(self, command: Command, envelope: Envelope) -> None:
        journal = self._home.journal
        claims = NO_CLAIMS
        if command.data.__class__ is TaskCreated:
            claims = self._claims(command.data)
            if self.stands_for is not None:
                self._home.pass_on(envelope, self.stands_for)
                return
        future = envelope.reply_to
        outcome = decide(self.record, command, token=self.actor_urn if self.record is None else "")
        if isinstance(outcome, Refusal):
            self._refuse(outcome, command, future)
            return
        if not outcome:
            self._rest()
        elif not self._hold(outcome, command):
            if self._held is not None:
                self.release_held()
            self._stage(outcome, command)
            if claims:
                journal.claim(claims)
        assert self.record is not None, "an accepted command leaves a record"
        journal.answer(future, self.record)

    def _rest(self) -> None:
        """Nobody remembers an id that names no task because somebody asked, nor a task that has ended."""
        if self.record is None or not self.record.is_active:
            self._home.let_go_later(self)

    def _await_end(self, future: Reply | None) -> None:
        if self.record is None or not self.record.is_active:
            answer = NotFound(self.actor_urn) if self.record is None else self.record
            self._home.journal.answer(future, answer)
            self._rest()
        elif future is not None:
            self._awaiting = [*(self._awaiting or ()), future]

    def _stage(self, facts: Facts, command: Command) -> int:
        """Make the next events, each with the messages that follow it; believe them, and hand them to the journal.

        All of them or, when one cannot be made, none. Returns the position of the first.
        """
        journal, telling, first = self._home.journal, self._home.telling, self.record
        position, now, before = journal.position + 1, journal.now(), first
        occurred = _happened(command, now) if command.occurred_at is None else command.occurred_at
        events: list[Event] = []
        for data in facts:
            version = 1 if before is None else before.version + 1
            event = Event(position + len(events), self.stream, version, occurred, now, command.actor, data)
            after = evolve(before, event)
            events.append(event)
            if data.__class__ in TOLD:
                for notice in telling.notices(event, before, after):
                    place, version = position + len(events), after.version + 1
                    events.append(Event(place, self.stream, version, now, now, OUTBOX_ACTOR, notice))
                    after = evolve(after, events[-1])
            before = after
        self.record = before
        for event in events:
            journal.stage(self, first, event)
        return position

    def _refuse(self, refusal: Refusal, command: Command, future: Reply | None) -> None:
        error = refusal.error
        if refusal.evidence is not None:
            position = self._stage((refusal.evidence,), command)
            assert isinstance(error, Refused), "only a refused signal is kept"
            error = Refused(error.token, status=error.status, attempted=error.attempted, position=position)
        self._rest()
        self._home.journal.answer(future, error)

    def recall(self, history: Sequence[Stored]) -> None:
        """Know the task from its history, as it is in the log now, if it is not known already."""
        if not self._known:
            with suppress(Corrupt):  # whoever speaks to it hears that
                self._learn(history)

    def _load(self) -> None:
        """Read the task's history from the log. Raises `Corrupt` when a part of it cannot be read."""
        self._learn(self._home.history(self.stream))

    def _learn(self, history: Sequence[Stored]) -> None:
        record = None
        for stored in history:
            if not isinstance(stored, Event):
                raise Corrupt(f"task {self.actor_urn}: {stored.detail}", position=stored.position)
            record = evolve(record, stored)
        self.record = record
        self._known = True

    def _claims(self, created: TaskCreated) -> Mapping[bytes, bytes]:
        """Return what a creation claims; when another task has one of it, that stands for this id from now on."""
        journal = self._home.journal
        holders = {claim: journal.claimed(claim) for claim in claims_of(created)}
        if not holders:
            return NO_CLAIMS
        if self.record is None:
            # The key comes last of the claims and outranks the run: the same key always gives the same task.
            holder = next((stream for stream in reversed(holders.values()) if stream is not None), None)
            if holder is not None and holder != self.stream:
                self.stands_for = holder
                return NO_CLAIMS
        elif created.idempotency_key is None:
            return NO_CLAIMS  # found by its run: there is nothing to add
        else:
            holders = dict([next(reversed(holders.items()))])  # the amendment that follows has the key alone
        return dict.fromkeys((claim for claim, stream in holders.items() if stream is None), self.stream)

    def _hold(self, facts: tuple[TaskFact, ...], command: Command) -> bool:
        """Keep a progress that comes too soon after the last; it is written with the next event or in a second."""
        data, record = facts[-1], self.record
        if data.__class__ is not TaskProgressed or command.force or record is None:
            return False
        directory = self._home
        if not directory.holds or not is_too_soon(record.progress_at, directory.journal.now()):
            return False
        held = self._held
        if held is None:
            assert record.progress_at is not None, "what comes too soon comes after another"
            until_ms = record.progress_at + PROGRESS_MS_MIN
            directory.hold(self, until_ms)
        else:
            until_ms = held.until_ms
            data = merged(held.command.data, data)  # type: ignore[arg-type]  # both are progress
            if len(data.usage or ()) > USAGE_KEYS_MAX:
                return False  # one event cannot say it
        directory.journal.undo(partial(self._hold_again, held))
        self._held = _Held(Command(data, command.actor, command.occurred_at), until_ms)
        return True

    def _hold_again(self, held: _Held | None) -> None:
        """A turn that held something back, or released it, was not committed: it is as it was before the turn."""
        self._held = held
        if held is not None:
            until_ms = self._home.journal.now() + PROGRESS_MS_MIN
            self._held = _Held(held.command, until_ms)
            self._home.hold(self, until_ms)

    def release_due(self, at_ms: int) -> bool:
        """Stage what was held back until `at_ms`; False when what is held now is to be written later."""
        if self._held is not None and self._held.until_ms > at_ms:
            return False
        self.release_held()
        return True

    def release_held(self) -> None:
        """Stage the progress that was held back, if there is one and the task still runs."""
        held = self._held
        if held is None:
            return
        if not self._known:
            self._load()
        self._home.journal.undo(partial(self._hold_again, held))
        self._held = None
        if self.record is not None and self.record.is_active:
            self._stage((held.command.data,), held.command)

    def committed(self) -> None:
        """The journal wrote this actor's events: an ended task's actor may go."""
        if self.record is not None and not self.record.is_active:
            if not any(waiting.is_sent for waiting in self.record.outbox):  # else it is spoken to again, soon
                self._home.let_go_later(self)
            awaiting, self._awaiting = self._awaiting, None
            for future in awaiting or ():
                with suppress(queue.Full):  # its owner has answered it: nobody waits
                    future.set(self.record)

    def forget(self) -> None:
        """The journal could not write this actor's events: read the log again before the next decision."""
        self.record, self._known = None, False
        if self._awaiting is not None:  # was it created in vain? Then its end never comes
            awaiting, self._awaiting = self._awaiting, None
            self.inbox.put_behind([Envelope(AwaitEnd(), future) for future in awaiting])

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is held back."""
        return self._held is None and self._awaiting is None and self.inbox.empty()

    @property
    def is_known(self) -> bool:
        """Whether it has read the task's history."""
        return self._known

    @property
    def is_gone(self) -> bool:
        """Whether the directory has let it go."""
        return self._let_go

    @property
    def address(self) -> bytes:
        """The task that mail for this actor is for: its own, or the one that its id stands for."""
        return self.stands_for or self.stream

    def let_go(self) -> None:
        """Stop; what still arrives is passed on to the actor that speaks for the task then."""
        self._let_go = True
        self.actor_stopped.set()
