"""The porter: carries commands of other processes to the task actors, and back what became of them.

Every command that is answered is in the log once. What a turn decides of them is noted in the transaction that makes it
durable; so whoever owns the ledger next knows which of the commands that still wait had been decided, and answers these
from the log.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from tallystick.actors.envelope import Envelope, ExcInfo
from tallystick.actors.log import logger
from tallystick.actors.system import System
from tallystick.ledger.errors import UNREADABLE, Closed, Corrupt, NotFound, Refused, StoreError
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import TaskLeased
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record, fold_stream
from tallystick.ledger.lifecycle import FlowMode
from tallystick.ledger.limits import INBOX_SLICE_COMMANDS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.answers import Answer, told
from tallystick.ledger.store.inbox import CommandInbox, Letter
from tallystick.ledger.store.port import EventLog
from tallystick.projections.flow_history import flow_at, up_to

log = logger("actors")

NOTE = b"inbox"

Heard: TypeAlias = Callable[[TaskRecord], None]
"""Is told of a task that gave a sign of life of which nothing was written."""


class _Outcome(Struct, frozen=True, array_like=True):
    """What became of one command that wrote something: the record at a version, or a refusal whose signal was kept."""

    sequence: int
    client: bytes
    stream: bytes
    version: int
    refused: tuple[str, str, str, int] | None = None  # token, status, attempted, position


class _Note(Struct, frozen=True, array_like=True):
    inbox: bytes
    outcomes: tuple[_Outcome, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Note).decode


class _Ticket:
    """Takes the answer to one command, as a future does."""

    __slots__ = ("_slice", "answer", "letter", "wrote")

    def __init__(self, letter: Letter, home: "_Slice") -> None:
        self.letter, self._slice = letter, home
        self.answer: Answer | None = None
        self.wrote = False
        """Whether anything was written for it."""

    def set(self, value: Any | None = None) -> None:
        """Take the record."""
        self._take(value)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Take what was raised."""
        error = None if exc_info is None else exc_info[1]
        assert error is not None, "who answers says what"
        self._take(told(error))

    def fail(self, error: BaseException) -> None:
        """Take the refusal."""
        self._take(told(error))

    def _take(self, answer: Any) -> None:
        if self.answer is None:
            self.answer = answer
            self._slice.one_less()


class _Slice:
    """Commands that are decided in one turn, and in one transaction."""

    def __init__(self, letters: Sequence[Letter], inbox: bytes, system: System) -> None:
        self.tickets = [_Ticket(letter, self) for letter in letters]
        self.done = threading.Event()
        self._inbox, self._system = inbox, system
        self._left = len(letters)

    def one_less(self) -> None:
        """One more is answered."""
        self._left -= 1
        if not self._left:
            self.done.set()

    def abandon(self) -> None:
        """Nobody decides them here any more: they wait for the next owner."""
        for ticket in self.tickets:
            ticket.fail(Closed())

    def decide(self) -> None:
        """Let the actors decide, on their thread, and note the outcomes with what they write."""
        journal = self._system.journal
        outcomes: list[_Outcome] = []
        for ticket in self.tickets:
            before = journal.position
            try:
                self._deliver(ticket)
            except Exception as error:  # one command's failure is its own
                log.exception("delivery_failed", sequence=ticket.letter.sequence)
                ticket.fail(error)
            ticket.wrote = journal.position != before
            if ticket.wrote:
                outcome = _outcome(ticket.letter, journal.promised(ticket))
                if outcome is not None:
                    outcomes.append(outcome)
        if outcomes:
            journal.note(NOTE, _encode(_Note(self._inbox, tuple(outcomes))))

    def _deliver(self, ticket: _Ticket) -> None:
        letter = ticket.letter
        if letter.command is None:
            ticket.fail(StoreError("The ledger's owner cannot read this command: it is of another version."))
            return
        actor = self._system.addressee(letter.stream, letter.command)
        actor.inbox.put_behind([Envelope(letter.command, ticket)])
        actor.drain()
        if actor.stands_for is not None:  # then it was handed on
            self._system.addressee(actor.address, letter.command).drain()


def _outcome(letter: Letter, answer: object) -> _Outcome | None:
    if isinstance(answer, TaskRecord | FlowRecord):
        return _Outcome(letter.sequence, letter.client, answer.stream, answer.version)
    if isinstance(answer, Refused) and answer.position is not None:
        refused = (answer.token, str(answer.status), answer.attempted, answer.position)
        return _Outcome(letter.sequence, letter.client, letter.stream, 0, refused)
    return None


class Porter:
    """Carries between one inbox and one system. For one thread, which is not one of the system's own."""

    def __init__(self, system: System, inbox: CommandInbox, *, heard: Heard | None = None) -> None:
        self._system, self._inbox, self._heard = system, inbox, heard
        self._is_settled = False

    def carry(self) -> set[bytes]:
        """Have the oldest commands that wait decided, and answer them; returns the clients that may look.

        There are none when nothing waits, or nobody decides any more.
        """
        if not self._is_settled:  # an owner before this one, or this one on a full disk, decided and did not answer
            told_late = self._look_back()
            self._is_settled = True
            if told_late:
                return told_late
        letters = self._inbox.waiting(INBOX_SLICE_COMMANDS)
        if not letters:
            return set()
        together, erasures = _Slice(letters, self._inbox.id, self._system), self._system.journal.erasures
        self._system.dispatcher.call_soon(together.decide, otherwise=together.abandon)
        self._is_settled = False
        together.done.wait()
        clients = self._answer(together)
        if self._system.journal.erasures != erasures:  # whoever erased may have looked before these answers were there
            self._unsay(together)
        self._is_settled = True
        return clients

    def _unsay(self, together: _Slice) -> None:
        """Have the answers say of their tasks and flows what the log says now."""
        said = (ticket.answer for ticket in together.tickets)
        streams = {answer.stream for answer in said if isinstance(answer, TaskRecord | FlowRecord)}
        newest: dict[bytes, Record] = {}
        for stream in streams:
            events = [stored for stored in self._system.log.stream(stream) if isinstance(stored, Event)]
            with suppress(Corrupt):
                record = fold_stream(events)
                if record is not None:
                    newest[stream] = record
        self._inbox.renew(newest)

    def _answer(self, together: _Slice) -> set[bytes]:
        answers: dict[int, tuple[bytes, Answer]] = {}
        noted: Mapping[int, _Outcome] | None = None
        for ticket in together.tickets:
            answer, letter = ticket.answer, ticket.letter
            assert answer is not None, "all are answered"
            if isinstance(answer, StoreError):
                # An append that failed may have been written all the same: the log knows.
                noted = self._noted() if noted is None else noted
                answer = self._rebuilt(noted[letter.sequence]) if letter.sequence in noted else answer
            self._hear(ticket)
            if not (isinstance(answer, Closed) and self._system.is_closed()):  # else it waits for the next owner
                answers[letter.sequence] = letter.client, answer
        if answers:
            self._inbox.answer(answers)
        return {client for client, _answer in answers.values()}

    def _hear(self, ticket: _Ticket) -> None:
        """Have a sign of life count of which nothing was written: the log said already that the task gives them."""
        command, answer = ticket.letter.command, ticket.answer
        if self._heard is None or ticket.wrote or command is None or command.data.__class__ is not TaskLeased:
            return
        if isinstance(answer, TaskRecord):
            self._heard(answer)

    def _look_back(self) -> set[bytes]:
        """Answer what was decided and is not answered yet: the log knows it."""
        noted = self._noted()
        if not noted:
            return set()
        waiting = {letter.sequence for letter in self._inbox.waiting(INBOX_SLICE_COMMANDS)}  # they are the oldest
        answers = {
            sequence: (outcome.client, self._rebuilt(outcome))
            for sequence, outcome in noted.items()
            if sequence in waiting
        }
        if answers:
            self._inbox.answer(answers)
        return {client for client, _answer in answers.values()}

    def _noted(self) -> Mapping[int, _Outcome]:
        stored = self._system.log.note(NOTE)
        try:
            note = None if stored is None else _decode(stored)
        except UNREADABLE:
            log.exception("note_unreadable")
            note = None
        if note is None or note.inbox != self._inbox.id:
            return {}
        return {outcome.sequence: outcome for outcome in note.outcomes}

    def _rebuilt(self, outcome: _Outcome) -> Answer:
        """Return the answer that a command got or would have got, from what the log says."""
        if outcome.refused is not None:
            token, status, attempted, position = outcome.refused
            return Refused(token, status=status, attempted=attempted, position=position)
        record = _record_at(self._system.log, outcome)
        if record is None or record.version != outcome.version:
            return StoreError("The command was recorded; its answer cannot be read from the log any more.")
        return record


def _record_at(log: EventLog, outcome: _Outcome) -> Record | None:
    """Return what a task or a flow was at a version; that of a flow which mirrors a task is a position."""
    history = [stored for stored in log.stream(outcome.stream) if isinstance(stored, Event)]
    first = history[0].data if history else None
    try:
        if isinstance(first, FlowCreated) and first.mode is FlowMode.MIRRORED:
            return flow_at(outcome.stream, up_to(log, position=outcome.version, at=None))
        return fold_stream([event for event in history if event.version <= outcome.version])
    except (Corrupt, NotFound):
        return None
