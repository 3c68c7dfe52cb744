"""The projector: an actor that keeps one read model up with the log."""

from typing import Protocol

from msgspec import Struct

from tallystick.actors.actor import DispatchedActor
from tallystick.actors.envelope import Envelope
from tallystick.actors.future import LightFuture
from tallystick.actors.inbox import Schedule
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.ledger.errors import StoreError
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import Changes, merge

log = logger("actors")

PENDING_TASKS_MAX = 50_000  # beyond it the changes are dropped and read from the log again: memory stays bounded


class ReadModel(Protocol):
    """What a projector keeps: a projection in its store, which knows its own position."""

    @property
    def name(self) -> str:
        """The projection's name."""
        ...

    def position(self) -> int:
        """Return the position of the newest event that it has seen."""
        ...

    def apply(self, changes: Changes, *, first: int, last: int) -> None:
        """Write what the events `first` … `last` changed, and the position, in one transaction."""
        ...

    def catch_up(self, event_log: EventLog, until: int) -> None:
        """Fold what it has not seen from the log itself."""
        ...


class Reach(Struct, frozen=True):
    """Asks the projector to have seen `position`; the answer is the position that it has."""

    position: int


class GoOn(Struct, frozen=True):
    """Tells the projector that what it keeps up was made anew: it may follow again."""


class Standing(Struct, frozen=True):
    """How a read model stands: what it has seen, what the log has, and why it is parked if it is."""

    name: str
    position: int
    lag: int
    parked: str | None = None


class ProjectorActor(DispatchedActor):
    """Follows the journal. What failed once is parked and reported; it never stops a fact.

    Batches that arrive while it works are folded together and written once.
    """

    def __init__(self, schedule: Schedule, model: ReadModel, event_log: EventLog) -> None:
        super().__init__(schedule, f"urn:tallystick:projector:{model.name}")
        self.model, self._log = model, event_log
        self.parked: str | None = None
        self._seen = model.position()
        self._pending = Changes()
        self._first = self._last = self._seen
        self._gap = False

    def on_receive(self, message: object) -> object:
        """Take note of a batch, or answer where the model stands once it has caught up."""
        if isinstance(message, Committed):
            self._note(message)
            return None
        if isinstance(message, Reach):
            self._write()
            if self._seen < message.position and self.parked is None:
                self._catch_up()
            return self._seen
        if isinstance(message, GoOn):
            self.parked = None
            self._seen = self._last = self.model.position()
            self._gap, self._pending = True, Changes()
            return None
        return super().on_receive(message)

    def drain(self) -> None:
        """Handle what waits, then write what it changed in one transaction."""
        super().drain()
        self._write()

    def standing(self, head: int) -> Standing:
        """Return how the model stands against a log with this head."""
        return Standing(self.model.name, self._seen, max(head - self._seen, 0), self.parked)

    def _note(self, batch: Committed) -> None:
        if self.parked is not None or batch.last <= self._last:  # a catch-up has seen it
            return
        if self._gap or batch.first != self._last + 1 or len(self._pending) > PENDING_TASKS_MAX:
            self._gap, self._pending = True, Changes()  # the log has it all
            return
        if not self._pending:
            self._first = batch.first
        self._last = batch.last
        self._pending = merge(self._pending, batch.changes) if self._pending else batch.changes

    def _write(self) -> None:
        if self._gap:
            self._catch_up()
        elif self._pending and self.parked is None:
            changes, self._pending = self._pending, Changes()
            try:
                if self.model.position() != self._first - 1:  # a neighbour's catch-up took it along
                    self._catch_up()
                    return
                self.model.apply(changes, first=self._first, last=self._last)
                self._seen = self._last
            except BaseException as error:  # noqa: BLE001 - a read model is never worth a fact
                self._failed_on(error)

    def _catch_up(self) -> None:
        if self.parked is not None:
            return
        head = self._log.head()
        try:
            self.model.catch_up(self._log, head)
        except BaseException as error:  # noqa: BLE001 - as above
            self._failed_on(error)
            return
        self._seen = self._last = head
        self._gap, self._pending = False, Changes()

    def _failed_on(self, error: BaseException) -> None:
        """Try again with the next batch when the store could not do it now, a full disk say; else give up."""
        self._pending = Changes()
        if isinstance(error, StoreError):
            self._gap = True
            log.error("projection_behind", projection=self.model.name, position=self._seen, error=str(error))
            return
        self.parked = f"{type(error).__name__}: {error}"
        log.error("projection_parked", projection=self.model.name, position=self._seen, error=self.parked)


def reach(projector: ProjectorActor, position: int) -> LightFuture:
    """Ask a projector to have seen `position`; the future has the position that it has seen then."""
    future: LightFuture = projector.actor_ref.ask(Reach(position), block=False)  # type: ignore[assignment]  # ours
    return future


def go_on(projector: ProjectorActor) -> None:
    """Have a projector follow again after its read model was made anew."""
    projector.inbox.put_behind([Envelope(GoOn())])
