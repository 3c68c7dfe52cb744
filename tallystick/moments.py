"""The moment: as of when somebody asks, by which of the two times, and what a history had told by then. Never writes.

*Recorded* time is the ledger's own: what it knew. *Reported* time is that of whoever speaks: what had happened, as far
as is known now. A position is a moment of recorded time that no clock can blur.
"""

from enum import StrEnum

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.evolve import fold
from tallystick.ledger.flows.evolve import fold_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.reported import Reported
from tallystick.ledger.store.port import EventLog
from tallystick.projections import flow_history
from tallystick.projections.flow_history import Events

NOT_YET = "It had not been created then."


class By(StrEnum):
    """By which time a moment is meant."""

    RECORDED = "recorded"
    """When the ledger wrote it."""

    REPORTED = "reported"
    """When it happened, as reported."""


class When(Struct, frozen=True):
    """As of when: a position, or a moment (ms) by one of the two times; now without either. Raises `InvalidInput`.

    By reported time a position says as far as which the log is believed: what had happened by `at`, as the ledger knew
    it at `position`.
    """

    position: int | None = None
    at: int | None = None
    by: By = By.RECORDED

    def __post_init__(self) -> None:
        if self.position is not None:
            fields.whole("position", self.position, least=0)
        if self.at is not None:
            fields.moment("at", self.at)
        if self.by is By.REPORTED and self.at is None:
            raise InvalidInput("by", self.by.value, 'a moment with it: "reported" says which of its times is meant')
        if self.by is By.RECORDED and self.at is not None and self.position is not None:
            raise InvalidInput("at", self.at, "a position or a moment, not both")

    @classmethod
    def of(cls, position: int | None, at: int | None, by: str) -> "When":
        """Return the moment that is meant. Raises `InvalidInput`."""
        if by not in tuple(By):
            raise InvalidInput("by", by, " or ".join(By))
        return cls(position, at, By(by))


class Told:
    """What a log tells of single tasks and flows as of one moment."""

    def __init__(self, log: EventLog, when: When) -> None:
        self._when = when
        at = when.at if when.by is By.RECORDED else None
        self._until = flow_history.up_to(log, position=when.position, at=at)

    def events(self, stream: bytes) -> Events:
        """Return the events of a stream that count, in the order in which they do. Raises `Corrupt`.

        By reported time a loss that was inferred later may be among them, right before the recovery that corrects it.
        """
        return list(self._until(stream)) if self._when.by is By.RECORDED else self._reported(stream)[1]

    def task(self, stream: bytes) -> TaskRecord | None:
        """Return what a task was, None when there was none. Raises `Corrupt`."""
        if self._when.by is By.RECORDED:
            return fold(self._until(stream))
        return self._reported(stream)[0].records.get(stream)

    def own(self, stream: bytes) -> FlowRecord | None:
        """Return what a flow's own events told of it. Raises `Corrupt`."""
        if self._when.by is By.RECORDED:
            return fold_flow(self._until(stream))
        return self._reported(stream)[0].flows.get(stream)

    def record(self, stream: bytes, *, is_flow: bool, token: str) -> Record:
        """Return what a task or a flow was. Raises `NotFound` when there was none, `Corrupt`."""
        if is_flow:
            return flow_history.flow_of(stream, self.own(stream), self.task)
        record = self.task(stream)
        if record is None:
            raise NotFound(token, hint=NOT_YET)
        return record

    def history(self, stream: bytes, *, is_flow: bool) -> Events:
        """Return the events of a task, or of a flow with those of the tasks that it mirrors. Raises `Corrupt`."""
        return flow_history.merged(stream, self.events) if is_flow else self.events(stream)

    def _reported(self, stream: bytes) -> tuple[Reported, Events]:
        assert self._when.at is not None, "reported time is asked by a moment"
        reported = Reported(self._when.at)
        events = [taken for event in self._until(stream) for taken in reported.take(event)]
        if stream in reported.skipped:
            raise reported.skipped[stream]
        return reported, events
