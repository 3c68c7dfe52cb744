"""The verbs of a task, written once: the faces differ only in how they wait for the answer."""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from tallystick.ledger import intake
from tallystick.ledger.commands import Command
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.lifecycle import NotifyPolicy, Status
from tallystick.leftovers import resource_closed, resource_opened

A = TypeVar("A")
"""What a verb gives back: a record, an awaitable of one, or nothing yet."""


class TaskVerbs(Generic[A]):
    """What can be reported of a task and asked of it.

    Each verb checks its arguments at once and raises `InvalidInput` for them. The answer is the task's new record,
    given after the event is durable on disk. It raises `Refused` when the lifecycle does not allow it (what was
    reported is kept as a late signal when the task had ended), `WrongVersion` when `expected_version` is not the
    task's, `NotFound` or `Pruned`, `Busy`, `Full`, `Closed`.
    `occurred_at` (UTC, ms) says when it happened, if not now.
    """

    def _send(self, command: Command) -> A:
        raise NotImplementedError

    def _actor_name(self) -> str:
        raise NotImplementedError

    def _report(
        self,
        fact: TaskFact,
        occurred_at: int | None,
        expected_version: int | None,
        *,
        force: bool = False,
    ) -> A:
        if occurred_at is not None:
            occurred_at = intake.moment(occurred_at)
        if expected_version is not None:
            expected_version = intake.expected(expected_version)
        return self._send(Command(fact, self._actor_name(), occurred_at, expected_version, force))

    def start(
        self,
        *,
        backing: Mapping[str, object] | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The work runs. `backing` is what a probe can look for, such as {"pid": 4711, "started": 1790000000000}."""
        return self._report(intake.started(backing), occurred_at, expected_version)

    def progress(
        self,
        message: str | None = None,
        *,
        phase: str | None = None,
        step: int | None = None,
        steps: int | None = None,
        tool: str | None = None,
        usage: Usage | None = None,
        force: bool = False,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The work got further: at most one durable event a second; more are counted and folded into the next.

        An update that is held back is answered at once with the record as it is; it becomes durable within a second,
        or with the task's next event. `force` makes it durable now. Usage adds up.
        """
        fact = intake.progressed(message, phase=phase, step=step, steps=steps, tool=tool, usage=usage)
        return self._report(fact, occurred_at, expected_version, force=force)

    def succeed(
        self,
        summary: str | None = None,
        *,
        artifacts: Iterable[str] = (),
        outcome: str | None = None,
        usage: Usage | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The run ended well; with outcome "blocked" without the result that was asked for. Implies the start."""
        fact = intake.succeeded(summary, artifacts=artifacts, outcome=outcome, usage=usage)
        return self._report(fact, occurred_at, expected_version)

    def fail(
        self,
        error: str,
        *,
        summary: str | None = None,
        artifacts: Iterable[str] = (),
        exit_code: int | None = None,
        signal: str | None = None,
        usage: Usage | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The run ended badly. A text beyond the limit is cut, never refused: the outcome counts more."""
        fact = intake.failed(
            error, summary=summary, artifacts=artifacts, exit_code=exit_code, signal=signal, usage=usage
        )
        return self._report(fact, occurred_at, expected_version)

    def time_out(
        self,
        error: str | None = None,
        *,
        summary: str | None = None,
        artifacts: Iterable[str] = (),
        usage: Usage | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The run was stopped because its time was over."""
        fact = intake.timed_out(error, summary=summary, artifacts=artifacts, usage=usage)
        return self._report(fact, occurred_at, expected_version)

    def cancelled(
        self,
        reason: str | None = None,
        *,
        confirmed: bool = True,
        stopped: str | None = None,
        usage: Usage | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """Whoever runs the work stopped it: `stopped` says what really was, `confirmed` whether that is sure."""
        fact = intake.cancelled(reason, confirmed=confirmed, stopped=stopped, usage=usage)
        return self._report(fact, occurred_at, expected_version)

    def opened(
        self,
        kind: str,
        name: str,
        *,
        pid: int | None = None,
        evidence: Mapping[str, object] | None = None,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """The work opened something that is to be closed when it ends, such as a browser tab; told apart by its name.

        When the task has ended, whoever registered as the closer of that kind closes it, once, with `evidence` to go
        by. Of the kind "process" every ledger does so: give its `pid`, while it is there.
        """
        return self._report(resource_opened(kind, name, pid=pid, evidence=evidence), occurred_at, expected_version)

    def closed(self, kind: str, name: str, *, occurred_at: int | None = None, expected_version: int | None = None) -> A:
        """The work closed itself what it had opened: nobody else need do so."""
        return self._report(resource_closed(kind, name), occurred_at, expected_version)

    def settle(
        self,
        status: Status | str,
        reason: str,
        *,
        occurred_at: int | None = None,
        expected_version: int | None = None,
    ) -> A:
        """End an active task by hand as failed, cancelled or lost, whatever its runtime says."""
        return self._report(intake.settled(status, reason), occurred_at, expected_version)

    def notify(self, policy: NotifyPolicy | str, *, expected_version: int | None = None) -> A:
        """Change which of the task's transitions are told; allowed at any time."""
        return self._report(intake.notify_changed(policy), None, expected_version)

    def hold(self, reason: str | None = None, *, expected_version: int | None = None) -> A:
        """Keep the task from being pruned until `release`."""
        return self._report(intake.held(reason), None, expected_version)

    def release(self, reason: str | None = None, *, expected_version: int | None = None) -> A:
        """End the hold."""
        return self._report(intake.released(reason), None, expected_version)

    def erase(self, reason: str, *, expected_version: int | None = None) -> A:
        """Erase all content of the task that is kept beside the log up to now, also of a task that was pruned.

        Durable on return: from then on no database of the ledger has it. What stands in the log itself stays; `Refused`
        when nothing was kept beside it. What has not been delivered is dismissed. Once erased, nothing brings it back.
        """
        return self._report(intake.erased(reason), None, expected_version)

    def _request_cancel(self, reason: str | None, occurred_at: int | None, expected_version: int | None) -> A:
        return self._report(intake.cancel_requested(reason), occurred_at, expected_version)
