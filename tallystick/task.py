"""The task for threads: its verbs, each of which waits until its event is durable."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from pykka import Timeout

from tallystick.actors.future import LightFuture
from tallystick.actors.stream import AwaitEnd
from tallystick.cascade import active_descendants, reason_below
from tallystick.erasing import let_go
from tallystick.facts import Addressee
from tallystick.house import House
from tallystick.ledger import fields, intake
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Refused, TallystickError
from tallystick.ledger.limits import CANCEL_WAIT_MS, LEASE_MS, TIMEOUT_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.verbs import TaskVerbs

MS_PER_S = 1_000

Records: TypeAlias = list[TaskRecord]


class Task(TaskVerbs[TaskRecord]):
    """One task: its newest known record, and what can be reported of it. Every verb waits for the disk."""

    def __init__(
        self, house: House, record: TaskRecord, actor: Addressee | None = None, *, is_new: bool = False
    ) -> None:
        self._house, self._record, self._actor, self._is_new = house, record, actor, is_new

    @property
    def id(self) -> str:
        """The task's id."""
        return self._record.task_id

    @property
    def status(self) -> str:
        """The status as of the newest record that this handle has seen."""
        return self._record.status.value

    @property
    def record(self) -> TaskRecord:
        """The newest record that this handle has seen: the answer to its last verb."""
        return self._record

    @property
    def is_new(self) -> bool:
        """Whether the call that gave this handle created the task; False when it gave back one that was there."""
        return self._is_new

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.status}>"

    def cancel(
        self,
        reason: str | None = None,
        *,
        cascade: bool = False,
        wait_ms: int = CANCEL_WAIT_MS,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> TaskRecord:
        """Ask for the work to be stopped; answer when the task has ended, or after `wait_ms` with what is known.

        Queued work is cancelled at once. Running work is stopped by the runtime's canceller, or by whoever runs it and
        says so with `cancelled`; when nobody has within 30 s (`[cancel] grace`) the task is cancelled, unconfirmed.
        A task that ends by itself in between keeps its real outcome: the answer says which. With `cascade` every active
        task below is asked to stop, too.
        """
        wait_ms = fields.whole("wait_ms", wait_ms, most=TIMEOUT_MS_MAX)
        cascade = fields.flag("cascade", cascade)
        record = self._request_cancel(reason, occurred_at, expected_version)
        if cascade:
            self._cancel_below(reason)
        if record.is_active and wait_ms:
            ended = LightFuture()
            self._house.facts().send(self._speak(), AwaitEnd(), ended)
            with suppress(Timeout):
                record = self._see(ended.get(timeout=wait_ms / MS_PER_S))
        return record

    def _cancel_below(self, reason: str | None) -> None:
        asked = []
        for child in active_descendants(self._house.readings.reader, self.id):
            fact = intake.cancel_requested(reason_below(reason, self.id))
            future = LightFuture()
            self._house.facts().send(
                self._house.facts().actor(child.stream), Command(fact, self._actor_name(), inferred=True), future
            )
            asked.append(future)
        for future in asked:
            with suppress(Refused):  # it ended in between
                future.get()

    def keep_alive(self, ttl_ms: int = LEASE_MS) -> TaskRecord:
        """Say that the work lives, and that it will say so again within `ttl_ms`.

        The first time this is an event; further signs of life are kept in memory and cost next to nothing. A task that
        breaks its promise is missing, and lost when its grace is over. Raises `Refused` when the task has ended.
        """
        fact = intake.leased(ttl_ms)
        if self._house.keep_alive(self._record.stream, fact.ttl_ms):
            return self._record
        record = self._report(fact, None, None)
        self._house.promised(record)
        return record

    def erase(self, reason: str, *, expected_version: int | None = None) -> TaskRecord:
        """Erase all content of the task that is kept beside the log up to now.

        On return no database of the ledger has it any more, neither the log nor a read model. What stands in the log
        itself stays; `Ledger.erase` says what that is, and also reaches tasks that were pruned. Raises `Refused` when
        nothing was kept beside the log, `TimeoutError` when it is erased and a read model lags behind.
        """
        record = super().erase(reason, expected_version=expected_version)
        let_go(self._house, [record.stream])
        return record

    def _actor_name(self) -> str:
        return self._house.actor

    def _speak(self) -> Addressee:
        if self._actor is None:
            self._actor = self._house.facts().actor(self._record.stream)
        return self._actor

    def _send(self, command: Command) -> TaskRecord:
        future = LightFuture()
        self._house.facts().send(self._speak(), command, future)
        return self._see(future.get())

    def _see(self, record: TaskRecord) -> TaskRecord:
        if record.version >= self._record.version:  # several threads may speak through one handle
            self._record = record
        return record


def answers_of(futures: Sequence[LightFuture]) -> Records:
    """Return what was answered; when something was refused, raise that after all have been heard."""
    answers: Records = []
    refusals: list[TallystickError] = []
    for future in futures:
        try:
            answers.append(future.get())
        except TallystickError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    return answers
