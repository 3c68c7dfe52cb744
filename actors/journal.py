"""The journal: where the facts of many actors become one batch, one transaction, one fsync."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from tallystick.actors.future import LightFuture
from tallystick.actors.log import logger
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.limits import BATCH_EVENTS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import Change, Changes

log = logger("actors")


class Author(Protocol):
    """An actor whose facts the journal holds until they are durable."""

    stream: bytes
    record: TaskRecord | None

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


Answer: TypeAlias = tuple[LightFuture, TaskRecord | TallystickError | None]


class Journal:
    """Collects events and answers during a turn and commits them at its end.

    Runs on one dispatcher's thread. An answer is given only after the events that it speaks of are durable. When a
    commit fails, every author forgets its state and every caller of the turn gets the error: the log decides what is
    true.
    """

    def __init__(self, event_log: EventLog, clock: Clock, told: Callable[[Committed], None]) -> None:
        self._log, self._clock, self._told = event_log, clock, told
        self.position = event_log.head()
        self.commits = 0
        self._events: list[Event] = []
        self._claims: dict[bytes, bytes] = {}
        self._authors: dict[bytes, tuple[Author, TaskRecord | None]] = {}
        self._answers: list[Answer] = []
        self._now: int | None = None

    def now(self) -> int:
        """Return the time of this turn: the clock is read once a batch."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def is_full(self) -> bool:
        """Whether the turn should end: the batch is as large as it may get."""
        return len(self._events) >= BATCH_EVENTS_MAX or len(self._answers) >= BATCH_EVENTS_MAX

    def stage(self, author: Author, before: TaskRecord | None, event: Event) -> None:
        """Hold an event, which MUST have the position after `position`, until the end of the turn."""
        self.position = event.position
        self._events.append(event)
        if author.stream not in self._authors:
            self._authors[author.stream] = (author, before)

    def claim(self, claims: Mapping[bytes, bytes]) -> None:
        """Hold claims that become durable with this turn's events."""
        self._claims.update(claims)

    def claimed(self, claim: bytes) -> bytes | None:
        """Return the stream that has this claim, durable or held."""
        return self._claims.get(claim) or self._log.claimed(claim)

    def answer(self, future: LightFuture | None, answer: TaskRecord | TallystickError | None) -> None:
        """Give this answer at the end of the turn, if what it speaks of is durable then."""
        if future is not None:
            self._answers.append((future, answer))

    def end_turn(self) -> None:
        """Commit what is held, then answer. Does nothing when nothing is held."""
        self._now = None
        if self._events:
            self._commit()
        elif self._answers:
            answers, self._answers = self._answers, []
            _give(answers)

    def _commit(self) -> None:
        events, claims, authors, answers = self._events, self._claims, self._authors, self._answers
        self._events, self._claims, self._authors, self._answers = [], {}, {}, []
        try:
            self._log.append(events, claims)
        except Exception as error:  # noqa: BLE001 - whatever the store says, the callers hear it
            self._fail(error, authors, answers)
            return
        self.commits += 1
        _give(answers)
        changes: Changes = {}
        for stream, (author, before) in authors.items():
            assert author.record is not None, "an author of events has a record"
            changes[stream] = Change(before, author.record)
            author.committed()
        self._told(Committed(events[0].position, events[-1].position, changes))

    def _fail(
        self,
        error: Exception,
        authors: Mapping[bytes, tuple[Author, TaskRecord | None]],
        answers: list[Answer],
    ) -> None:
        log.error("commit_failed", error=str(error), kind=type(error).__name__, answers=len(answers))
        for author, _before in authors.values():
            author.forget()
        self.position = self._log.head()
        for future, _answer in answers:
            future.fail(error)


def _give(answers: list[Answer]) -> None:
    for future, answer in answers:
        if isinstance(answer, TallystickError):
            future.fail(answer)
        else:
            future.set(answer)
