"""The batch: one caller's commands, pipelined."""

from collections import deque
from types import TracebackType
from typing import Self, Unpack

from tallystick.actors.future import LightFuture
from tallystick.actors.task import TaskActor
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import BatchFailed, Busy, Closed
from tallystick.ledger.events import TaskCreated
from tallystick.ledger.ids import id_text
from tallystick.ledger.intake import Creation
from tallystick.ledger.record import TaskRecord
from tallystick.verbs import TaskVerbs

WINDOW = 8_192  # commands on their way at once; the next one waits for the oldest answer


def may_exist(creation: TaskCreated) -> bool:
    """Whether a creation may give back an existing task."""
    return creation.run_id is not None or creation.idempotency_key is not None


class Outcome:
    """What became of a batch's commands so far, in the order in which they were given."""

    def __init__(self) -> None:
        self.answered = 0
        self.refusals: list[tuple[int, Exception]] = []

    def note(self, error: BaseException | None) -> None:
        """Take the next answer: the error, or None for a command that is durable."""
        if isinstance(error, Exception):
            self.refusals.append((self.answered, error))
        self.answered += 1

    def tell(self, raised: BaseException | None) -> None:
        """Raise `BatchFailed` if anything was refused; what the block itself raised goes on, with a note of it."""
        if self.refusals:
            failed = BatchFailed(self.refusals)
            if raised is None:
                raise failed
            raised.add_note(f"tallystick: {failed}")


class BatchTask(TaskVerbs[None]):
    """A task inside a batch: its verbs return at once."""

    __slots__ = ("_actor", "_batch", "_created")

    def __init__(self, batch: "Batch", actor: TaskActor, created: LightFuture | None) -> None:
        self._batch, self._actor, self._created = batch, actor, created

    @property
    def id(self) -> str:
        """The task's id. Of a creation that may give back an existing task, waits for the answer."""
        if self._created is not None:
            record: TaskRecord = self._created.get()
            return record.task_id
        return id_text(self._actor.stream)

    def _actor_name(self) -> str:
        return self._batch.speaker

    def _send(self, command: Command) -> None:
        self._batch.put(self._actor, command)

    def cancel(self, reason: str | None = None, *, expected_version: int | None = None) -> None:
        """Ask for the work to be stopped; queued work is cancelled at once."""
        self._request_cancel(reason, None, expected_version)


class Batch:
    """Commands that return at once; leaving the block waits until every one of them is durable or refused.

    The commands of one task are decided in the order of the calls. Leaving raises `BatchFailed` with every refusal
    and its place, counted from 0 over the batch's commands; whatever was not refused is durable then. An exception of
    the block itself goes on after the same wait. For one thread.
    """

    def __init__(self, house: House) -> None:
        house.facts()
        self._house = house
        self.speaker = house.actor
        self._waiting: deque[LightFuture] = deque()
        self._outcome = Outcome()
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        while self._waiting:
            self._settle_oldest()
        self._outcome.tell(error)

    def __len__(self) -> int:
        """How many commands were given."""
        return self._outcome.answered + len(self._waiting)

    @property
    def refusals(self) -> tuple[tuple[int, Exception], ...]:
        """The refusals that are known so far, each with its place; after the block all of them."""
        return tuple(self._outcome.refusals)

    def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> BatchTask:
        """Record that somebody asked for work; returns at once."""
        fact = intake.created(**given)
        command = Command(fact, self.speaker, intake.moment(occurred_at))
        actor = self._house.facts().newborn(self._house.new_id())
        future = self.put(actor, command)
        return BatchTask(self, actor, future if may_exist(fact) else None)

    def task(self, task_id: str) -> BatchTask:
        """Return a handle for a task that exists."""
        return BatchTask(self, self._house.facts().actor(self._house.stream(task_id)), None)

    def put(self, actor: TaskActor, command: Command) -> LightFuture:
        """Send one command; waits for the oldest answer while too many are on their way."""
        if self._is_over:
            raise Closed("The batch")
        if len(self._waiting) >= WINDOW:
            self._settle_oldest()
        future = LightFuture()
        facts = self._house.facts()
        while True:
            try:
                facts.send(actor, command, future)
            except Busy:
                if not self._waiting:
                    raise
                self._settle_oldest()
            else:
                self._waiting.append(future)
                return future

    def _settle_oldest(self) -> None:
        future = self._waiting[0]
        if not future.is_done():
            self._house.facts()  # which raises in a forked child, where no answer comes
        try:
            future.get()
        except Exception as error:  # noqa: BLE001 - every refusal is told at the end, whatever it is
            self._outcome.note(error)
        else:
            self._outcome.note(None)
        self._waiting.popleft()
