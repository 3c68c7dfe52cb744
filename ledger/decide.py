"""Decide: what the ledger records when somebody reports a fact. Pure: the record, the command and the time are all.

The answer is a tuple of facts (empty: nothing new, the same signal came twice) or a `Refusal`, which carries the error
that the caller gets and, when a task had already ended, the late signal that keeps what was reported.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tallystick.ledger import cleanup, deliveries, retention
from tallystick.ledger.commands import Command
from tallystick.ledger.ends import loss_in_words
from tallystick.ledger.errors import InvalidInput, NotFound, Refused, WrongVersion
from tallystick.ledger.events import NAMES, TASK_FACTS, AnyFact, TaskFact
from tallystick.ledger.evolve import signal_key
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryWithheld
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.resources import TaskResourceOpened
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskErased,
    TaskFailed,
    TaskLateSignal,
    TaskLeased,
    TaskLinked,
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.lifecycle import ALLOWED, SETTLED_AS, NotifyPolicy, Scope, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, SIGNALS, Facts, Refusal, pruned, refused

RULE_GRACE = "gone for the whole grace"
"""The rule of a loss that a grace led to. Its evidence names the miss, by when it was found."""

RULE_DEAD = "proved dead"
"""The rule of a loss that needed no grace."""

MISSING_SINCE = "missingSince"

Decider = Callable[[TaskRecord, Command, Any], "Facts | Refusal"]


def decide(record: TaskRecord | None, command: Command, *, token: str) -> Facts | Refusal:
    """Return the facts to record when `command` reaches a task that is known as `record`, or a refusal.

    `token` is the task's id, for the error when there is no such task.
    """
    data = command.data
    if record is None:
        if data.__class__ is TaskCreated:
            return (data,)
        return Refusal(NotFound(token))
    if record.pruned_at is not None and data.__class__ is not TaskErased:
        return Refusal(pruned(record))
    expected = command.expected_version
    if expected is not None and not _is_as_expected(record, expected) and not _repeats(record, command, data):
        return Refusal(WrongVersion(record.task_id, expected=expected, actual=record.version, current=record))
    return _DECIDERS[data.__class__](record, command, data)


def _is_as_expected(record: TaskRecord, expected: int) -> bool:
    """Whether a task has the version that somebody has seen: what became of telling since is no other version of it."""
    since = record.version if record.work_version is None else record.work_version
    return since <= expected <= record.version


def _late(record: TaskRecord, command: Command, data: TaskFact) -> Refusal:
    """The task has ended: keep what came as evidence, once, and tell the caller. An inference is no evidence."""
    if command.inferred:
        return refused(record, data)
    # As whoever reads the log will find it; but nothing brings back what was erased.
    content = msgspec.msgpack.decode(msgspec.msgpack.encode(data)) if record.erased is None else {}
    for name in ("type", "redacted"):  # the late signal has marks of its own
        content.pop(name, None)
    if command.occurred_at is not None:
        content["occurredAt"] = command.occurred_at
    late = TaskLateSignal(signal=SIGNALS[data.__class__], status=record.status, content=content)
    key = signal_key(late)
    for known, position in record.late_signals:
        if known == key:  # the same late signal again: answer as the first time, write nothing
            error = Refused(record.task_id, status=record.shown_status, attempted=late.signal, position=position)
            return Refusal(error)
    return Refusal(Refused(record.task_id, status=record.shown_status, attempted=late.signal), evidence=late)


def _repeats(record: TaskRecord, command: Command, data: AnyFact) -> bool:
    """Whether this is the very signal that ended the task, to the letter."""
    if record.ended_at is None or (command.occurred_at is not None and command.occurred_at != record.ended_at):
        return False
    by_operator = record.ended_by == NAMES[TaskSettled]
    if by_operator != isinstance(data, TaskSettled):
        return False
    same: tuple[Status, str | None, tuple[str, ...], str | None, str | None]
    match data:
        case TaskSucceeded():
            same = Status.SUCCEEDED, data.summary, data.artifacts, data.outcome, None
        case TaskFailed():
            same = Status.FAILED, data.summary, data.artifacts, None, data.error
        case TaskTimedOut():
            same = Status.TIMED_OUT, data.summary, data.artifacts, None, data.error
        case TaskCancelled():
            if record.cancel_confirmed not in (None, data.confirmed):
                return False
            same = Status.CANCELLED, data.stopped, (), None, data.reason or record.cancel_reason
        case TaskLost():
            same = Status.LOST, None, (), None, loss_in_words(data)
        case TaskSettled():
            same = data.status, None, (), None, data.reason
        case TaskRecovered():
            same = data.status, data.summary, data.artifacts, data.outcome, data.error
        case _:
            return False
    return same == (
        record.status,
        record.terminal_summary,
        record.artifacts,
        record.terminal_outcome,
        record.error,
    )


def _may_join(record: TaskRecord, flow: str | None) -> bool:
    """Whether a task that is in no flow, or only in the one that mirrors it, is to be in this one."""
    return record.parent_flow_id in (None, mirror_of(record.task_id)) and flow != record.parent_flow_id


def _create(record: TaskRecord, _command: Command, data: TaskCreated) -> Facts | Refusal:
    """The same creation again gives the same task; blanks are filled in, nothing is overwritten.

    What was erased is no blank: nothing brings it back.
    """
    known = record.metadata or {}
    is_root = record.parent_task_id is None and record.root_task_id == record.task_id
    filled = TaskAmended(
        kind=None if record.task_kind else data.kind,
        source_id=None if record.source_id else data.source_id,
        parent=None if record.parent_task_id else data.parent,
        root=data.root if is_root and data.root != record.task_id else None,
        flow=data.flow if _may_join(record, data.flow) else None,
        agent=None if record.agent_id else data.agent,
        requester_agent=None if record.requester_agent_id else data.requester_agent,
        origin=None if record.origin or record.erased else data.origin,
        timeout_ms=None if record.timeout_ms or record.status is not Status.QUEUED else data.timeout_ms,
        backing=None if record.backing else data.backing,
        metadata={k: v for k, v in (data.metadata or {}).items() if k not in known and not record.erased} or None,
        idempotency_key=None
        if data.idempotency_key in (record.idempotency_key, *record.further_keys)
        else data.idempotency_key,
    )
    return NOTHING if filled == TaskAmended() else (filled,)


def _start(record: TaskRecord, command: Command, data: TaskStarted) -> Facts | Refusal:
    if record.status is Status.QUEUED:
        return (data,)
    if record.status is Status.RUNNING:
        same = data.backing is None or data.backing == record.backing
        return NOTHING if same else refused(record, data)
    return _late(record, command, data)


def _progress(record: TaskRecord, command: Command, data: TaskProgressed) -> Facts | Refusal:
    if record.status is Status.RUNNING:
        if record.backing_missed_at is not None:  # what reports is there
            return (TaskBackingRestored(evidence={"signal": SIGNALS[TaskProgressed]}), data)
        return (data,)
    if record.status is Status.QUEUED:
        return (TaskStarted(implied=True), data)
    return _late(record, command, data)


def _succeed(record: TaskRecord, command: Command, data: TaskSucceeded) -> Facts | Refusal:
    if record.status is Status.RUNNING:
        return (data,)
    if record.status is Status.QUEUED:
        return (TaskStarted(implied=True), data)
    return _after_the_end(record, command, data)


def _end(record: TaskRecord, command: Command, data: TaskFact) -> Facts | Refusal:
    return (data,) if record.is_active else _after_the_end(record, command, data)


def _after_the_end(record: TaskRecord, command: Command, data: TaskFact) -> Facts | Refusal:
    """An observed outcome outranks an inferred loss; to any other end it comes too late.

    A cancel that nobody confirmed is no observation when the ledger itself infers it.
    """
    if _repeats(record, command, data):
        return NOTHING
    if record.status is Status.LOST and not (
        command.inferred and isinstance(data, TaskCancelled) and not data.confirmed
    ):
        return (_recovery(record, data),)
    return _late(record, command, data)


def _recovery(record: TaskRecord, data: TaskFact) -> TaskRecovered:
    """Say what the signal said, all of it: what a recovery has no field for is its evidence."""
    corrects = record.ended_at_position
    assert corrects is not None, "a lost record knows the event that ended it"
    signal = SIGNALS[data.__class__]
    match data:
        case TaskSucceeded():
            return TaskRecovered(
                status=Status.SUCCEEDED,
                corrects=corrects,
                signal=signal,
                summary=data.summary,
                artifacts=data.artifacts,
                outcome=data.outcome,
                usage=data.usage,
            )
        case TaskFailed():
            seen: Evidence = {"exitCode": data.exit_code, "signal": data.signal}
            return TaskRecovered(
                status=Status.FAILED,
                corrects=corrects,
                signal=signal,
                evidence={name: value for name, value in seen.items() if value is not None} or None,
                summary=data.summary,
                error=data.error,
                artifacts=data.artifacts,
                usage=data.usage,
            )
        case TaskTimedOut():
            return TaskRecovered(
                status=Status.TIMED_OUT,
                corrects=corrects,
                signal=signal,
                summary=data.summary,
                error=data.error,
                artifacts=data.artifacts,
                usage=data.usage,
            )
        case TaskCancelled():
            return TaskRecovered(
                status=Status.CANCELLED,
                corrects=corrects,
                signal=signal,
                evidence=None if data.confirmed else {"confirmed": False},
                summary=data.stopped,
                error=data.reason or record.cancel_reason,
                usage=data.usage,
            )
        case _:
            raise AssertionError(f"{type(data).__name__} is not an outcome")


def _cancel(record: TaskRecord, command: Command, data: TaskCancelRequested) -> Facts | Refusal:
    """Work that never began needs nobody to stop it; running work is asked to stop, once."""
    if record.status is Status.QUEUED:
        return (data, TaskCancelled(reason=data.reason, stopped="it had not started"))
    if record.status is Status.RUNNING:
        return (data,) if record.cancel_requested_at is None else NOTHING
    if record.status is Status.CANCELLED and data.reason == record.cancel_reason:
        return NOTHING
    return _late(record, command, data)


def _miss(record: TaskRecord, command: Command, data: TaskBackingMissed) -> Facts | Refusal:
    if not record.is_active:
        return _late(record, command, data)
    return (data,) if record.backing_missed_at is None else NOTHING


def _restore(record: TaskRecord, command: Command, data: TaskBackingRestored) -> Facts | Refusal:
    if not record.is_active:
        return _late(record, command, data)
    return NOTHING if record.backing_missed_at is None else (data,)


def _lose(record: TaskRecord, command: Command, data: TaskLost) -> Facts | Refusal:
    """A loss is inferred: a task that ended in between is never marked, and leaves no trace of the attempt.

    When its grace is over, it must be the grace of this very miss: a task whose backing came back in between is not.
    """
    if not record.is_active:
        return NOTHING if _repeats(record, command, data) else refused(record, data)
    if data.rule == RULE_GRACE and data.evidence.get(MISSING_SINCE) != record.backing_missed_at:
        return refused(record, data)
    return (data,)


def _lease(record: TaskRecord, command: Command, data: TaskLeased) -> Facts | Refusal:
    if not record.is_active:
        return _late(record, command, data)
    return NOTHING if record.lease_ms == data.ttl_ms else (data,)


def _link(record: TaskRecord, _command: Command, data: TaskLinked) -> Facts | Refusal:
    """A flow's actor asks for it, and has looked whether it may."""
    return NOTHING if record.parent_flow_id == data.flow else (data,)


def _recover(record: TaskRecord, command: Command, data: TaskRecovered) -> Facts | Refusal:
    known = ALLOWED[Status.LOST]
    if data.status not in known:
        return Refusal(InvalidInput("status", str(data.status), ", ".join(sorted(known))))
    if record.is_active:
        return refused(record, data)
    if record.status is not Status.LOST:
        return NOTHING if _repeats(record, command, data) else _late(record, command, data)
    if data.corrects != record.ended_at_position:
        error = InvalidInput("corrects", data.corrects, f"the position of the loss, {record.ended_at_position}")
        return Refusal(error)
    return (data,)


def _settle(record: TaskRecord, command: Command, data: TaskSettled) -> Facts | Refusal:
    if data.status not in SETTLED_AS:
        return Refusal(InvalidInput("as", str(data.status), ", ".join(sorted(SETTLED_AS))))
    if record.is_active:
        return (data,)
    return NOTHING if _repeats(record, command, data) else _late(record, command, data)


def _notify(record: TaskRecord, _command: Command, data: TaskNotifyChanged) -> Facts | Refusal:
    if record.scope_kind is Scope.SYSTEM and data.policy is not NotifyPolicy.SILENT:
        return Refusal(InvalidInput("policy", str(data.policy), "silent: what belongs to the system tells nobody"))
    return NOTHING if record.notify_policy is data.policy else (data,)


def _open(record: TaskRecord, command: Command, data: TaskResourceOpened) -> Facts | Refusal:
    return cleanup.opened(record, command, data) if record.is_active else _late(record, command, data)


def _only_the_ledger(record: TaskRecord, _command: Command, data: TaskFact) -> Facts | Refusal:
    """Amendments and late signals are what the rules make of other commands; nobody can ask for one."""
    return refused(record, data)


_DECIDERS: dict[type, Decider] = {
    TaskCreated: _create,
    TaskAmended: _only_the_ledger,
    TaskStarted: _start,
    TaskProgressed: _progress,
    TaskSucceeded: _succeed,
    TaskFailed: _end,
    TaskTimedOut: _end,
    TaskCancelRequested: _cancel,
    TaskCancelled: _end,
    TaskBackingMissed: _miss,
    TaskBackingRestored: _restore,
    TaskLeased: _lease,
    TaskLinked: _link,
    TaskLost: _lose,
    TaskRecovered: _recover,
    TaskLateSignal: _only_the_ledger,
    TaskNotifyChanged: _notify,
    TaskSettled: _settle,
    TaskResourceOpened: _open,
    DeliveryQueued: _only_the_ledger,
    DeliveryWithheld: _only_the_ledger,
    **deliveries.DECIDERS,
    **cleanup.DECIDERS,
    **retention.DECIDERS,
}

assert set(_DECIDERS) == set(TASK_FACTS) == set(SIGNALS), "a fact that nobody decides"
