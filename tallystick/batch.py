"""The batch: one caller's commands, pipelined."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, Unpack

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.actors.future import LightFuture
from tallystick.creating import created
from tallystick.erasing import let_go
from tallystick.facts import Addressee
from tallystick.house import House
from tallystick.ledger import intake
from tallystick.ledger.claims import may_exist
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import BatchFailed, Busy, Closed
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.ids import id_text
from tallystick.ledger.intake import Creation
from tallystick.ledger.record import TaskRecord
from tallystick.verbs import TaskVerbs

WINDOW = 8_192  # commands on their way at once; at that many the caller waits until half of them are answered


Refusals: TypeAlias = Sequence[tuple[int, Exception]]
"""What was refused of a batch: each error with the place of its command, from 0."""


def tell(refusals: Refusals, raised: BaseException | None) -> None:
    """Raise `BatchFailed` if anything was refused; what the block itself raised goes on, with a note of it."""
    if refusals:
        failed = BatchFailed(refusals)
        if raised is None:
            raise failed
        raised.add_note(f"tallystick: {failed}")


class _Answers:
    """Counts the answers to a batch and keeps the refusals. One thread sends and waits, another one answers."""

    def __init__(self) -> None:
        self.sent = self.given = 0
        self.refusals: list[tuple[int, Exception]] = []
        self._awaited = -1
        self._reached = threading.Event()

    def give(self) -> None:
        """One more command was answered."""
        self.given += 1
        if self.given == self._awaited:
            self._reached.set()

    def refuse(self, place: int, error: BaseException) -> None:
        """One more command was answered: it was refused."""
        if isinstance(error, Exception):
            self.refusals.append((place, error))
        self.give()

    def wait_until_left(self, most: int) -> None:
        """Wait until at most so many commands are still on their way."""
        self._reached.clear()
        self._awaited = self.sent - most
        if self.given < self._awaited:
            self._reached.wait()


class _Ticket(Struct, gc=False):
    """Where the answer to one command goes: a success is only counted, a refusal is kept with its place."""

    answers: _Answers
    place: int

    def set(self, _value: Any | None = None) -> None:
        """It is durable."""
        self.answers.give()

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """It was refused."""
        error = None if exc_info is None else exc_info[1]
        assert error is not None, "who answers says what"
        self.answers.refuse(self.place, error)

    def fail(self, error: BaseException) -> None:
        """It was refused."""
        self.answers.refuse(self.place, error)

    def take(self, future: LightFuture) -> None:
        """Take over what a future was answered."""
        try:
            future.get()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end of the batch
            self.fail(error)
        else:
            self.set()


class BatchTask(TaskVerbs[None]):
    """A task inside a batch: its verbs return at once."""

    __slots__ = ("_actor", "_batch", "_created")

    def __init__(self, batch: "Batch", actor: Addressee, created: LightFuture | None) -> None:
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
        self._answers = _Answers()
        self._erased: set[bytes] = set()
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._wait_until_left(0)
        try:
            if self._erased:
                let_go(self._house, self._erased)
        finally:
            tell(self.refusals, error)

    def __len__(self) -> int:
        """How many commands were given."""
        return self._answers.sent

    @property
    def refusals(self) -> tuple[tuple[int, Exception], ...]:
        """The refusals that are known so far, each with its place, in order; after the block all of them."""
        return tuple(sorted(self._answers.refusals, key=lambda refusal: refusal[0]))

    def create(self, *, occurred_at: int | None = None, **given: Unpack[Creation]) -> BatchTask:
        """Record that somebody asked for work; returns at once."""
        fact = created(self._house, **given)
        command = Command(fact, self.speaker, intake.moment(occurred_at))
        actor = self._house.facts().newborn(self._house.new_id())
        if not may_exist(fact):
            self.put(actor, command)
            return BatchTask(self, actor, None)
        future = LightFuture()  # its id is in the answer
        future.when_done(self._ticket().take)
        self._send(actor, command, future)
        return BatchTask(self, actor, future)

    def task(self, task_id: str) -> BatchTask:
        """Return a handle for a task that exists."""
        return BatchTask(self, self._house.facts().actor(self._house.stream(task_id)), None)

    def put(self, actor: Addressee, command: Command) -> None:
        """Send one command; waits while too many are on their way."""
        if command.data.__class__ is TaskErased:
            self._erased.add(actor.stream)
        self._send(actor, command, self._ticket())

    def _ticket(self) -> _Ticket:
        return _Ticket(self._answers, self._answers.sent)

    def _send(self, actor: Addressee, command: Command, reply: Reply) -> None:
        if self._is_over:
            raise Closed("The batch")
        answers, facts = self._answers, self._house.facts()
        if answers.sent - answers.given >= WINDOW:
            self._wait_until_left(WINDOW // 2)
        while True:
            answers.sent += 1
            try:
                facts.send(actor, command, reply)
            except Busy:
                answers.sent -= 1
                left = answers.sent - answers.given
                if not left:
                    raise
                self._wait_until_left(left // 2)
            except BaseException:
                answers.sent -= 1
                raise
            else:
                return

    def _wait_until_left(self, most: int) -> None:
        if self._answers.sent - self._answers.given > most:
            self._house.facts()  # which raises in a forked child, where no answer comes
            self._answers.wait_until_left(most)
