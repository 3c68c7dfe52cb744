"""Evolve: one fact applied to what was known before. Pure, total over the facts, and the only way a record changes."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import (
    FACT_TYPES,
    NAMES,
    Event,
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
    Usage,
)
from tallystick.ledger.lifecycle import ALLOWED, SETTLED_AS, Status
from tallystick.ledger.limits import LATE_SIGNALS_KEPT
from tallystick.ledger.record import TaskRecord

_LOST = Status.LOST

Evolver = Callable[[TaskRecord, Event, Any], TaskRecord]


def evolve(record: TaskRecord | None, event: Event) -> TaskRecord:
    """Return what is known after `event`, given what was known before it.

    Raises `Corrupt` when the event cannot follow: a stream that tells that is damaged.
    """
    data = event.data
    if record is None:
        if not isinstance(data, TaskCreated):
            raise Corrupt(f"task {event.task_id} begins with {event.type}", position=event.position)
        return _born(event, data)
    if event.version != record.version + 1:
        raise Corrupt(
            f"task {record.task_id} has version {record.version}, then {event.version}", position=event.position
        )
    return _EVOLVERS[data.__class__](record, event, data)


def fold(events: Iterable[Event], record: TaskRecord | None = None) -> TaskRecord | None:
    """Return what a whole history tells; None for an empty one."""
    for event in events:
        record = evolve(record, event)
    return record


def _born(event: Event, data: TaskCreated) -> TaskRecord:
    if event.version != 1:
        raise Corrupt(f"task {event.task_id} is created at version {event.version}", position=event.position)
    task_id = event.task_id
    return TaskRecord(
        task_id=task_id,
        runtime=data.runtime,
        task=data.task,
        status=Status.QUEUED,
        scope_kind=data.scope,
        delivery_status=data.delivery,
        notify_policy=data.notify,
        created_at=event.occurred_at,
        last_event_at=event.occurred_at,
        version=1,
        position=event.position,
        task_kind=data.kind,
        source_id=data.source_id,
        owner_key=data.owner,
        requester_session_key=data.requester,
        child_session_key=data.child_session,
        parent_flow_id=data.flow,
        parent_task_id=data.parent,
        root_task_id=data.root or task_id,
        agent_id=data.agent,
        requester_agent_id=data.requester_agent,
        run_id=data.run_id,
        label=data.label,
        origin=data.origin,
        timeout_ms=data.timeout_ms,
        backing=data.backing,
        metadata=data.metadata,
        idempotency_key=data.idempotency_key,
    )


def _step(record: TaskRecord, event: Event, **changes: Any) -> TaskRecord:
    return replace(record, version=event.version, position=event.position, last_event_at=event.occurred_at, **changes)


def _moved(record: TaskRecord, event: Event, status: Status, **changes: Any) -> TaskRecord:
    """Move along the table; whatever the table does not allow is damage, for `decide` never admits it."""
    if status not in ALLOWED[record.status]:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)
    return replace(
        record,
        version=event.version,
        position=event.position,
        last_event_at=event.occurred_at,
        status=status,
        **changes,
    )


def _ended(record: TaskRecord, event: Event, status: Status, **changes: Any) -> TaskRecord:
    if record.status is _LOST:  # from there the table's ends are reached by recovery alone
        _require(event.data.__class__ is TaskRecovered, record, event)
    return _moved(
        record,
        event,
        status,
        ended_at=event.occurred_at,
        ended_by=NAMES[event.data.__class__],
        ended_at_position=event.position,
        backing_missed_at=None,
        **changes,
    )


def _require(condition: object, record: TaskRecord, event: Event) -> None:
    if not condition:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)


def _total(record: TaskRecord, usage: Usage | None) -> Usage | None:
    """Usage is reported in parts and adds up."""
    if not usage or not record.usage:
        return usage or record.usage
    total = dict(record.usage)
    for name, amount in usage.items():
        total[name] = total.get(name, 0) + amount
    return total


def _amended(record: TaskRecord, event: Event, data: TaskAmended) -> TaskRecord:
    """Fill blanks; what the record already says stays."""
    return _step(
        record,
        event,
        task_kind=record.task_kind or data.kind,
        source_id=record.source_id or data.source_id,
        parent_task_id=record.parent_task_id or data.parent,
        root_task_id=data.root or record.root_task_id,
        parent_flow_id=record.parent_flow_id or data.flow,
        agent_id=record.agent_id or data.agent,
        requester_agent_id=record.requester_agent_id or data.requester_agent,
        origin=record.origin or data.origin,
        timeout_ms=record.timeout_ms or data.timeout_ms,
        backing=record.backing or data.backing,
        metadata={**(data.metadata or {}), **(record.metadata or {})} or None,
    )


def _started(record: TaskRecord, event: Event, data: TaskStarted) -> TaskRecord:
    timeout = record.timeout_ms
    return _moved(
        record,
        event,
        Status.RUNNING,
        started_at=event.occurred_at,
        deadline_at=None if timeout is None else event.occurred_at + timeout,
        backing=data.backing or record.backing,
        backing_missed_at=None,
    )


def _progressed(record: TaskRecord, event: Event, data: TaskProgressed) -> TaskRecord:
    _require(record.status is Status.RUNNING, record, event)
    return _step(
        record,
        event,
        progress_at=event.recorded_at,
        progress_count=(record.progress_count or 0) + data.count,
        progress_summary=data.message or record.progress_summary,
        progress_phase=data.phase or record.progress_phase,
        progress_step=record.progress_step if data.step is None else data.step,
        progress_steps=record.progress_steps if data.steps is None else data.steps,
        last_tool_name=data.tool or record.last_tool_name,
        tool_use_count=((record.tool_use_count or 0) + data.tools) or None,
        usage=_total(record, data.usage),
    )


def _succeeded(record: TaskRecord, event: Event, data: TaskSucceeded) -> TaskRecord:
    return _ended(
        record,
        event,
        Status.SUCCEEDED,
        terminal_summary=data.summary,
        terminal_outcome=data.outcome,
        artifacts=data.artifacts,
        usage=_total(record, data.usage),
    )


def _failed(record: TaskRecord, event: Event, data: TaskFailed) -> TaskRecord:
    return _ended(
        record,
        event,
        Status.FAILED,
        error=data.error,
        terminal_summary=data.summary,
        artifacts=data.artifacts,
        usage=_total(record, data.usage),
    )


def _timed_out(record: TaskRecord, event: Event, data: TaskTimedOut) -> TaskRecord:
    return _ended(
        record,
        event,
        Status.TIMED_OUT,
        error=data.error,
        terminal_summary=data.summary,
        artifacts=data.artifacts,
        usage=_total(record, data.usage),
    )


def _cancel_requested(record: TaskRecord, event: Event, data: TaskCancelRequested) -> TaskRecord:
    _require(record.is_active, record, event)
    return _step(record, event, cancel_requested_at=event.occurred_at, cancel_reason=data.reason)


def _cancelled(record: TaskRecord, event: Event, data: TaskCancelled) -> TaskRecord:
    return _ended(
        record,
        event,
        Status.CANCELLED,
        error=data.reason or record.cancel_reason,
        terminal_summary=data.stopped,
        cancel_confirmed=data.confirmed,
        usage=_total(record, data.usage),
    )


def _backing_missed(record: TaskRecord, event: Event, _data: TaskBackingMissed) -> TaskRecord:
    _require(record.is_active, record, event)
    return _step(record, event, backing_missed_at=event.occurred_at)


def _backing_restored(record: TaskRecord, event: Event, _data: TaskBackingRestored) -> TaskRecord:
    _require(record.is_active, record, event)
    return _step(record, event, backing_missed_at=None)


def _lost(record: TaskRecord, event: Event, data: TaskLost) -> TaskRecord:
    return _ended(record, event, Status.LOST, error=data.error or f"lost by rule: {data.rule}")


def _recovered(record: TaskRecord, event: Event, data: TaskRecovered) -> TaskRecord:
    _require(record.status is Status.LOST, record, event)
    return _ended(
        record,
        event,
        data.status,
        error=data.error,
        terminal_summary=data.summary,
        terminal_outcome=data.outcome,
        artifacts=data.artifacts,
        usage=_total(record, data.usage),
    )


def _late(record: TaskRecord, event: Event, data: TaskLateSignal) -> TaskRecord:
    """The state stays as it was; the signal is remembered so that its repetition is recognised."""
    _require(not record.is_active, record, event)
    kept = (*record.late_signals, (signal_key(data), event.position))
    return replace(
        record,
        version=event.version,
        position=event.position,
        late_signals=kept[-LATE_SIGNALS_KEPT:],
        late_signal_count=(record.late_signal_count or 0) + 1,
    )


def signal_key(data: TaskLateSignal) -> str:
    """Return the digest by which a late signal is recognised when it comes again, to the letter."""
    told = f"{data.signal} {sorted(data.content.items())!r}"
    return blake2b(told.encode(), digest_size=8).hexdigest()


def _notify_changed(record: TaskRecord, event: Event, data: TaskNotifyChanged) -> TaskRecord:
    return replace(record, version=event.version, position=event.position, notify_policy=data.policy)


def _settled(record: TaskRecord, event: Event, data: TaskSettled) -> TaskRecord:
    _require(data.status in SETTLED_AS, record, event)
    return _ended(record, event, data.status, error=data.reason)


def _pruned(record: TaskRecord, event: Event, _data: TaskPruned) -> TaskRecord:
    _require(not record.is_active and record.held_at is None and record.pruned_at is None, record, event)
    return replace(record, version=event.version, position=event.position, pruned_at=event.occurred_at)


def _held(record: TaskRecord, event: Event, _data: TaskHeld) -> TaskRecord:
    return replace(record, version=event.version, position=event.position, held_at=event.occurred_at)


def _released(record: TaskRecord, event: Event, _data: TaskReleased) -> TaskRecord:
    return replace(record, version=event.version, position=event.position, held_at=None)


def _born_twice(record: TaskRecord, event: Event, _data: TaskCreated) -> TaskRecord:
    raise Corrupt(f"task {record.task_id} is created twice", position=event.position)


_EVOLVERS: dict[type, Evolver] = {
    TaskCreated: _born_twice,
    TaskAmended: _amended,
    TaskStarted: _started,
    TaskProgressed: _progressed,
    TaskSucceeded: _succeeded,
    TaskFailed: _failed,
    TaskTimedOut: _timed_out,
    TaskCancelRequested: _cancel_requested,
    TaskCancelled: _cancelled,
    TaskBackingMissed: _backing_missed,
    TaskBackingRestored: _backing_restored,
    TaskLost: _lost,
    TaskRecovered: _recovered,
    TaskLateSignal: _late,
    TaskNotifyChanged: _notify_changed,
    TaskSettled: _settled,
    TaskPruned: _pruned,
    TaskHeld: _held,
    TaskReleased: _released,
}

assert set(_EVOLVERS) == set(FACT_TYPES), "a fact that nobody evolves"
