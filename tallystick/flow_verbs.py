"""The verbs of a flow, written once: the faces differ only in how they wait for the answer."""

from typing import Any, Generic, TypeVar

from tallystick.ledger import intake as moments
from tallystick.ledger.commands import Command
from tallystick.ledger.events import FlowFact
from tallystick.ledger.flows import intake
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus, Status

A = TypeVar("A")
"""What a verb gives back: a record, or an awaitable of one."""


class FlowVerbs(Generic[A]):
    """What a controller can do with a flow.

    Each verb checks its arguments at once and raises `InvalidInput` for them. The answer is the flow's new record,
    given after the event is durable on disk. Each names the revision that it expects the flow to have, the one that
    this handle has seen when none is given: when somebody else was first, it raises `WrongVersion` with the present
    record as `.current`, and nothing is written. What a flow does not allow raises `FlowRefused`, whose `.code` says
    why; `NotFound`, `Pruned`, `Busy`, `Full`, `Closed` as everywhere. `occurred_at` (UTC, ms) says when it happened, if
    not now. State and what is waited for are JSON values of at most 16 KiB.
    """

    def _send(self, command: Command) -> A:
        raise NotImplementedError

    def _actor_name(self) -> str:
        raise NotImplementedError

    def _revision(self) -> int | None:
        """Return the revision that is expected when the caller names none."""
        raise NotImplementedError

    def _write(self, fact: FlowFact, expected_revision: int | None, occurred_at: int | None = None) -> A:
        expected = intake.expected(expected_revision)
        if expected is None:
            expected = self._revision()
        return self._send(Command(fact, self._actor_name(), moments.moment(occurred_at), expected))

    def claim(
        self,
        step: str,
        *,
        claimant: str | None = None,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> A:
        """Take a step: nobody else can, ever, also when this process dies in the middle of it.

        Whoever comes second is refused with code "claimed". A claimant that gives itself a name, the same after a
        restart, gets its own claim again instead: then it must look how far it came, by the tasks of the flow say.
        """
        return self._write(intake.claimed(step, claimant=claimant), expected_revision, occurred_at)

    def set_waiting(
        self,
        wait: Any,
        *,
        step: str | None = None,
        blocked: Any = None,
        state: Any = None,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> A:
        """The flow waits; `wait` says what for. With `blocked` it is blocked: by a task, by what a text says, or both.

        Both as {"task": …, "summary": …}. It waits until `resume`, for however long: it is never pruned meanwhile.
        """
        fact = intake.waiting(wait, step=step, state=state, blocked=blocked)
        return self._write(fact, expected_revision, occurred_at)

    def resume(
        self,
        *,
        step: str | None = None,
        state: Any = None,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> A:
        """The flow runs, or runs on: what it waited for, and what blocked it, is over."""
        return self._write(intake.resumed(step=step, state=state), expected_revision, occurred_at)

    def finish(
        self,
        summary: str | None = None,
        *,
        state: Any = None,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> A:
        """The goal was reached. A flow that has ended refuses everything from then on."""
        return self._write(intake.finished(summary, state=state), expected_revision, occurred_at)

    def fail(
        self, error: str, *, state: Any = None, expected_revision: int | None = None, occurred_at: int | None = None
    ) -> A:
        """The goal will not be reached."""
        return self._write(intake.failed(error, state=state), expected_revision, occurred_at)

    def link(self, task: Any, *, expected_revision: int | None = None, occurred_at: int | None = None) -> A:
        """Make a task that is there already one of the flow's: its handle, its record or its id.

        It must belong to the flow's owner and to no other flow. A task can also be created as one of a flow's, with
        `flow=flow.id`; that is no write of the flow. To link a task again changes nothing.
        """
        return self._write(intake.linked(task), expected_revision, occurred_at)

    def erase(self, reason: str) -> A:
        """Erase all content of a managed flow that is kept beside the log up to now, also of a flow that was pruned.

        Durable on return. Its tasks keep theirs. It needs no revision. `FlowRefused` when nothing was kept there.
        """
        return self._send(Command(intake.erased(reason), self._actor_name()))

    def settle(
        self,
        status: FlowStatus | Status | str,
        reason: str,
        *,
        expected_revision: int | None = None,
        occurred_at: int | None = None,
    ) -> A:
        """End a managed flow by hand as failed, cancelled or lost, whatever its controller says; its tasks go on.

        It needs no revision: whatever the flow has become, an operator ends it.
        """
        fact, expected = intake.settled(status, reason), intake.expected(expected_revision)
        return self._send(Command(fact, self._actor_name(), moments.moment(occurred_at), expected))

    def _request_cancel(self, reason: str | None, expected_revision: int | None, occurred_at: int | None) -> A:
        """A cancel needs no revision: whatever the flow has become, it is to stop."""
        fact, expected = intake.cancel_requested(reason), intake.expected(expected_revision)
        return self._send(Command(fact, self._actor_name(), moments.moment(occurred_at), expected))


class FlowHandle(FlowVerbs[A]):
    """What a handle knows of its flow: the newest record that it has seen."""

    _record: FlowRecord

    @property
    def id(self) -> str:
        """The flow's id."""
        return self._record.flow_id

    @property
    def status(self) -> str:
        """The status as of the newest record that this handle has seen."""
        return self._record.status.value

    @property
    def record(self) -> FlowRecord:
        """The newest record that this handle has seen: the answer to its last verb."""
        return self._record

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status} revision {self._record.revision}>"

    def _revision(self) -> int:
        return self._record.revision

    def _see(self, record: FlowRecord) -> FlowRecord:
        """Take note of a newer record: several may speak through one handle."""
        if record.revision >= self._record.revision:
            self._record = record
        return record
