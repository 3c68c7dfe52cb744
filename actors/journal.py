"""The journal: where the facts of many actors become one batch, one transaction, one fsync."""

import queue
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from time import perf_counter
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.discretion import Discretion
from tallystick.actors.envelope import Reply
from tallystick.actors.log import logger
from tallystick.actors.meter import Meter
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.folding import Record
from tallystick.ledger.limits import BATCH_EVENTS_MAX
from tallystick.ledger.payloads import Payloads
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import Change, Changes

log = logger("actors")


class Author(Protocol):
    """An actor whose facts the journal holds until they are durable."""

    @property
    def stream(self) -> bytes:
        """The id of the task or the flow that they are about."""
        ...

    @property
    def record(self) -> Record | None:
        """What is known with them."""
        ...

    def committed(self) -> None:
        """Its facts are durable."""
        ...

    def forget(self) -> None:
        """Its facts were not written: what it believes came from them and is void."""
        ...


class Committed(Struct, frozen=True, gc=False):
    """A batch that is durable: its positions, and what it changed."""

    first: int
    last: int
    changes: Changes


Answer: TypeAlias = tuple[Reply, Record | TallystickError | None]


class Journal:
    """Collects events and answers during a turn and commits them at its end.

    Runs on one dispatcher's thread. An answer is given only after the events that it speaks of are durable. When a
    commit fails, every author forgets its state and every caller of the turn gets the error: the log decides what is
    true. A turn ends when it has `events_max` events or answers.
    """

    def __init__(
        self,
        event_log: EventLog,
        clock: Clock,
        told: Callable[[Committed], None],
        *,
        events_max: int = BATCH_EVENTS_MAX,
    ) -> None:
        self._log, self._clock, self._told, self._events_max = event_log, clock, told, events_max
        self.position = event_log.head()
        self.commits = 0
        self.failures = 0
        """How many commits have failed."""
        self.erasures = 0
        """How often content was to be erased: what was said before of what is erased may have to be unsaid."""
        self._trouble: BaseException | None = None
        self.discretion: Discretion | None = None
        """What happens to every fact before it is staged, where anything may."""
        self.meter: Meter | None = None
        """Counts what is committed, where somebody keeps numbers."""
        self._events: list[Event] = []
        self._claims: dict[bytes, bytes] = {}
        self._notes: dict[bytes, bytes] = {}
        self._payloads: dict[int, Payloads] = {}
        self._keeps = False
        self._first_note: Callable[[int], tuple[bytes, bytes]] | None = None
        self._authors: dict[bytes, tuple[Author, Record | None]] = {}
        self._answers: list[Answer] = []
        self._undoing: list[Callable[[], None]] = []
        self._now: int | None = None

    def now(self) -> int:
        """Return the time of this turn: the clock is read once a batch."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def is_full(self) -> bool:
        """Whether the turn should end: the batch is as large as it may get."""
        return len(self._events) >= self._events_max or len(self._answers) >= self._events_max

    def stage(self, author: Author, before: Record | None, event: Event) -> None:
        """Hold an event, which MUST have the position after `position`, until the end of the turn."""
        self.position = event.position
        self._events.append(event)
        if author.stream not in self._authors:
            self._authors[author.stream] = (author, before)

    def put_aside(self, position: int, payloads: Payloads) -> None:
        """Hold what is kept beside the record of a staged event: it becomes durable with it."""
        self._payloads[position] = payloads

    def staged(self, stream: bytes) -> list[Event]:
        """Return the events of a stream that are held."""
        return [event for event in self._events if event.stream == stream]

    def claim(self, claims: Mapping[bytes, bytes]) -> None:
        """Hold claims that become durable with this turn's events; those of `NOBODY` are let go."""
        self._claims.update(claims)

    def note(self, name: bytes, value: bytes) -> None:
        """Hold a note that becomes durable with this turn's events; without any it is forgotten."""
        self._notes[name] = value

    def keep(self, name: bytes, value: bytes, future: Reply | None = None) -> None:
        """Hold a note that becomes durable at the end of this turn, with events or without; then answer."""
        self._notes[name] = value
        self._keeps = True
        self.answer(future, None)

    def note_first(self, made: Callable[[int], tuple[bytes, bytes]]) -> None:
        """Write one note, name and value, with the first batch from now on; `made` is told that batch's position."""
        self._first_note = made

    def claimed(self, claim: bytes) -> bytes | None:
        """Return the stream that has this claim, durable or held."""
        held = self._claims.get(claim)
        return self._log.claimed(claim) if held is None else held or None

    def answer(self, future: Reply | None, answer: Record | TallystickError | None) -> None:
        """Give this answer at the end of the turn, if what it speaks of is durable then."""
        if future is not None:
            self._answers.append((future, answer))

    def check(self, failures: int) -> None:
        """Raise why the last commit failed, if one has since there were so many `failures`. Any thread may ask."""
        if self.failures != failures and self._trouble is not None:
            raise copy(self._trouble)

    def promised(self, future: Reply) -> Record | TallystickError | None:
        """Return what this future will be answered at the end of the turn; None when it is not to be answered."""
        return next((answer for held, answer in reversed(self._answers) if held is future), None)

    def undo(self, undo: Callable[[], None]) -> None:
        """Call this if the turn cannot be committed: what an actor keeps besides its events is as it was before."""
        self._undoing.append(undo)

    def end_turn(self) -> None:
        """Commit what is held, then answer. Does nothing when nothing is held."""
        self._now = None
        if self._events or self._keeps:
            self._commit()
        elif self._answers:
            answers, self._answers = self._answers, []
            _give(answers)
        if self._undoing:
            self._undoing = []
        if self._notes:
            self._notes = {}

    def _commit(self) -> None:
        events, claims, authors, answers = self._events, self._claims, self._authors, self._answers
        self._events, self._claims, self._authors, self._answers = [], {}, {}, []
        notes, self._notes, self._keeps = self._notes, {}, False
        payloads, self._payloads = self._payloads, {}
        began = perf_counter()
        try:
            if self._first_note is not None and events:
                name, value = self._first_note(events[0].position)
                notes[name] = value
            self._log.append(events, claims, notes, payloads)
        except BaseException as error:  # noqa: BLE001 - whatever the store says, the callers hear it
            self._fail(error, authors, answers)
            return
        seconds = perf_counter() - began
        self.commits += 1
        if events:
            self._first_note = None
        _give(answers)
        if not events:
            return
        changes = Changes()
        for stream, (author, before) in authors.items():
            after: Any = author.record
            assert after is not None, "an author of events has a record"
            of_kind: Any = changes.tasks if after.__class__ is TaskRecord else changes.flows
            of_kind[stream] = Change(before, after)
            author.committed()
        if self.meter is not None:
            self.meter.committed(events, changes, seconds)
        self._told(Committed(events[0].position, events[-1].position, changes))

    def _fail(
        self,
        error: BaseException,
        authors: Mapping[bytes, tuple[Author, Record | None]],
        answers: list[Answer],
    ) -> None:
        log.error("commit_failed", error=str(error), kind=type(error).__name__, answers=len(answers))
        self._trouble, self.failures = error, self.failures + 1
        if self.meter is not None:
            self.meter.failed()
        for author, _before in authors.values():
            author.forget()
        undoing, self._undoing = self._undoing, []
        for undo in reversed(undoing):
            undo()
        self._now = None
        for future, _answer in answers:
            # Each gets its own: one exception that many threads raise collects the traces of all of them.
            with suppress(queue.Full):
                future.fail(copy(error) if isinstance(error, TallystickError) else error)
        self.position = self._log.head()  # last, for it fails when the log was closed; the next commit will, too


def _give(answers: list[Answer]) -> None:
    for future, answer in answers:
        try:
            if isinstance(answer, TallystickError):
                future.fail(answer)
            else:
                future.set(answer)
        except queue.Full:
            pass  # its owner has answered it: nobody waits
