"""The tasks: the actors of tasks that are in memory, and what they hold back."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tallystick.actors.directory import Directory
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.envelope import Reply
from tallystick.actors.journal import Journal
from tallystick.actors.log import logger
from tallystick.actors.task import TaskActor
from tallystick.actors.telling import Telling
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.facts.deliveries import DeliveryReleased
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.limits import ACTORS_LIVE_MAX
from tallystick.ledger.lineage import root_of
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog

if TYPE_CHECKING:
    from tallystick.actors.flows import Flows

log = logger("actors")

OUTPUT_ERASED = "the outputs of what worked below it were erased"
NEEDED_MAX = 65_536  # tasks and trees of which it is remembered since when what has ended of them is needed again


class Tasks(Directory[TaskActor]):
    """The directory of task actors. `flows` is that of the flows that tasks may join."""

    flows: "Flows"

    def __init__(
        self,
        event_log: EventLog,
        journal: Journal,
        dispatcher: Dispatcher,
        *,
        live_max: int = ACTORS_LIVE_MAX,
        telling: Telling | None = None,
    ) -> None:
        super().__init__(event_log, journal, dispatcher, live_max=live_max)
        self.telling = telling or Telling(event_log)
        self._holding: set[TaskActor] = set()
        self.holds = True
        """Whether an actor may hold something back: not when no timer would come."""
        self._needed: dict[bytes, int] = {}
        self._needed_last = 0
        self._forgotten = journal.position

    def _made(self, stream: bytes, *, newborn: bool = False) -> TaskActor:
        return TaskActor(stream, self, newborn=newborn)

    def known(self, stream: bytes) -> TaskRecord | None:
        """Return what is known of a task in this turn, held events included. Raises `Corrupt`."""
        actor = self.actor(stream)
        record = actor.current()
        if record is None or not record.is_active:
            self.let_go_later(actor)  # asking keeps nobody in memory who has ended, or never was
        return record

    def repeat(self, creation: Command, stream: bytes, future: Reply | None) -> None:
        """Have a task answer, in this turn, a creation that it stands for. On the dispatcher's thread."""
        self.actor(stream).repeat(creation, future)

    def need(self, stream: bytes) -> None:
        """Take note that a task is needed since this turn, and all of the tree of which it is the root.

        None of their own events says so. A turn that cannot be committed leaves no such note.
        """
        forgotten, before = self._forgotten, self._needed.pop(stream, None)
        self._needed[stream] = self._needed_last = self.journal.position
        oldest = next(iter(self._needed.items())) if len(self._needed) > NEEDED_MAX else None
        if oldest is not None:
            del self._needed[oldest[0]]
            self._forgotten = max(forgotten, oldest[1])
        self.journal.undo(partial(self._need_as_before, stream, before, oldest, forgotten))

    def _need_as_before(
        self, stream: bytes, before: int | None, oldest: tuple[bytes, int] | None, forgotten: int
    ) -> None:
        del self._needed[stream]
        if before is not None:
            self._needed[stream] = before
        if oldest is not None:
            self._needed[oldest[0]] = oldest[1]
        self._forgotten = forgotten

    def is_needed_since(self, stream: bytes, position: int) -> bool:
        """Whether somebody began to need a task or its tree behind a position, or nobody can tell.

        Nobody can of what is so far back that it was forgotten. Its root is read only if anybody is needed since.
        Raises `Corrupt` when the task cannot be read.
        """
        if position < self._forgotten:
            return True
        if position >= self._needed_last:
            return False
        if self._needed.get(stream, 0) > position:
            return True
        record = self.known(stream)
        root = None if record is None else root_of(record, self._known_of)
        return root is not None and self._needed.get(id_bytes(root), 0) > position

    def _known_of(self, task_id: str) -> TaskRecord | None:
        return self.known(id_bytes(task_id))

    def with_output(self, run: TaskRecord, fact: DeliveryReleased, outputs: Sequence[str]) -> DeliveryReleased:
        """Put the final outputs of tasks into what releases the message about a run, but for what was erased meanwhile.

        On the dispatcher's thread, on which whatever is erased is.
        """
        told = [(source, said) for source, said in zip(fact.sources, outputs, strict=True) if self._is_there(source)]
        if not told:
            return replace(fact, sources=(), reason=OUTPUT_ERASED)
        sources, left = zip(*told, strict=True)
        return self.telling.with_output(run, replace(fact, sources=sources), left)

    def _is_there(self, task_id: str) -> bool:
        try:
            record = self.known(id_bytes(task_id))
        except Corrupt:
            return False
        return record is not None and record.erased is None

    def hold(self, actor: TaskActor, until_ms: int) -> None:
        """Let the actor write at `until_ms` what it holds back."""
        self._holding.add(actor)
        self.schedule.call_at(until_ms, lambda: self._release(actor, until_ms))

    def _release(self, actor: TaskActor, until_ms: int) -> None:
        if actor.release_due(until_ms):
            self._holding.discard(actor)

    def release_all(self) -> None:
        """Let every actor write now what it holds back."""
        while self._holding:
            actor = self._holding.pop()
            try:
                actor.release_held()
            except Exception:  # one task's damage is its own
                log.exception("release_failed", task=actor.actor_urn)

    def hold_no_more(self) -> None:
        """Let every actor write now what it holds back, and from now on at once."""
        self.holds = False
        self.release_all()
