"""Evolve: one fact applied to what was known before. Pure, total over the facts, and the only way a record changes."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from tallystick.ledger import deliveries
from tallystick.ledger.deliveries import OF_DELIVERIES
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import FACT_TYPES, NAMES, Event
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryRetried,
    DeliveryUnknown,
)
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLeased,
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
)
from tallystick.ledger.lifecycle import (
    ALLOWED,
    SETTLED_AS,
    DeliveryStatus,
    NotifyPolicy,
    Status,
    lets_end_through,
)
from tallystick.ledger.limits import FURTHER_KEYS_KEPT, LATE_SIGNALS_KEPT
from tallystick.ledger.progress import total
from tallystick.ledger.record import TaskRecord

_LOST = Status.LOST
_PENDING, _NOT_APPLICABLE = DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE

_encode = msgspec.msgpack.Encoder(order="deterministic").encode

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""

Evolver = Callable[[TaskRecord, Event, Any], Changes]


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
    changes = _EVOLVERS[data.__class__](record, event, data)
    changes["version"] = event.version
    changes["position"] = event.position
    if data.__class__ in OF_DELIVERIES:
        if record.work_version is None:
            changes["work_version"] = record.version
    elif record.work_version is not None:
        changes["work_version"] = None
    return replace(record, **changes)


def fold(events: Iterable[Event], record: TaskRecord | None = None) -> TaskRecord | None:
    """Return what a whole history tells; None for an empty one."""
    for event in events:
        record = evolve(record, event)
    return record


def _born(event: Event, data: TaskCreated) -> TaskRecord:
    if event.version != 1:
        raise Corrupt(f"task {event.task_id} is created at version {event.version}", position=event.position)
    task_id = event.task_id
    # By place, in the order of the record's fields: by name, making a record would take twice as long.
    return TaskRecord(
        task_id,
        data.runtime,
        data.task,
        Status.QUEUED,
        data.scope,
        data.delivery,
        data.notify,
        event.occurred_at,  # created
        event.occurred_at,  # last event
        1,
        event.position,
        data.kind,
        data.source_id,
        data.owner,
        data.requester or data.owner,
        data.child_session,
        data.flow,
        data.parent,
        data.root or task_id,
        data.agent,
        data.requester_agent,
        data.run_id,
        data.label,
        data.origin,
        None,  # started
        None,  # ended
        None,  # cleanup
        data.timeout_ms,
        None,  # deadline
        data.backing,
        data.metadata,
        data.idempotency_key,
    )


def _moved(record: TaskRecord, event: Event, status: Status) -> Changes:
    """Move along the table; whatever the table does not allow is damage, for `decide` never admits it."""
    if status not in ALLOWED[record.status]:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)
    changes: Changes = {"status": status, "last_event_at": event.occurred_at}
    if record.backing_missed_at is not None:
        changes["backing_missed_at"] = None
    return changes


def _ended(record: TaskRecord, event: Event, status: Status, usage: Usage | None = None) -> Changes:
    if record.status is _LOST:  # from there the table's ends are reached by recovery alone
        _require(event.data.__class__ is TaskRecovered, record, event)
    changes = _moved(record, event, status)
    told = lets_end_through(record.notify_policy, status, getattr(event.data, "outcome", None))
    changes["delivery_status"] = _PENDING if told else _NOT_APPLICABLE
    changes["ended_at"] = event.occurred_at
    changes["ended_by"] = NAMES[event.data.__class__]
    changes["ended_at_position"] = event.position
    if usage:
        changes["usage"] = total(record.usage, usage)
    return changes


def _require(condition: object, record: TaskRecord, event: Event) -> None:
    if not condition:
        raise Corrupt(f"task {record.task_id}: {event.type} cannot follow {record.status}", position=event.position)


def _amended(record: TaskRecord, event: Event, data: TaskAmended) -> Changes:
    """Fill blanks; what the record already says stays."""
    return {
        "last_event_at": event.occurred_at,
        "task_kind": record.task_kind or data.kind,
        "source_id": record.source_id or data.source_id,
        "parent_task_id": record.parent_task_id or data.parent,
        "root_task_id": data.root or record.root_task_id,
        "parent_flow_id": record.parent_flow_id or data.flow,
        "agent_id": record.agent_id or data.agent,
        "requester_agent_id": record.requester_agent_id or data.requester_agent,
        "origin": record.origin or data.origin,
        "timeout_ms": record.timeout_ms or data.timeout_ms,
        "backing": record.backing or data.backing,
        "metadata": {**(data.metadata or {}), **(record.metadata or {})} or None,
        **_keys(record, data.idempotency_key),
    }


def _keys(record: TaskRecord, key: str | None) -> Changes:
    """A task that was found by its run may get a key, and further ones: each gives the same task from then on."""
    if key is None:
        return {}
    if record.idempotency_key is None:
        return {"idempotency_key": key}
    return {"further_keys": (*record.further_keys, key)[-FURTHER_KEYS_KEPT:]}


def _started(record: TaskRecord, event: Event, data: TaskStarted) -> Changes:
    changes = _moved(record, event, Status.RUNNING)
    changes["started_at"] = event.occurred_at
    if record.timeout_ms is not None:
        changes["deadline_at"] = event.occurred_at + record.timeout_ms
    if data.backing is not None:
        changes["backing"] = data.backing
    return changes


def _progressed(record: TaskRecord, event: Event, data: TaskProgressed) -> Changes:
    _require(record.status is Status.RUNNING, record, event)
    changes: Changes = {
        "last_event_at": event.occurred_at,
        "progress_at": event.recorded_at,
        "progress_count": (record.progress_count or 0) + data.count,
    }
    if data.message is not None:
        changes["progress_summary"] = data.message
    if data.phase is not None:
        changes["progress_phase"] = data.phase
    if data.step is not None:
        changes["progress_step"] = data.step
    if data.steps is not None:
        changes["progress_steps"] = data.steps
    if data.tool is not None:
        changes["last_tool_name"] = data.tool
    if data.tools:
        changes["tool_use_count"] = (record.tool_use_count or 0) + data.tools
    if data.usage:
        changes["usage"] = total(record.usage, data.usage)
    return changes


def _succeeded(record: TaskRecord, event: Event, data: TaskSucceeded) -> Changes:
    changes = _ended(record, event, Status.SUCCEEDED, data.usage)
    changes["terminal_summary"] = data.summary
    if data.outcome is not None:
        changes["terminal_outcome"] = data.outcome
    if data.artifacts:
        changes["artifacts"] = data.artifacts
    return changes


def _failed(record: TaskRecord, event: Event, data: TaskFailed) -> Changes:
    changes = _ended(record, event, Status.FAILED, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    changes["artifacts"] = data.artifacts
    return changes


def _timed_out(record: TaskRecord, event: Event, data: TaskTimedOut) -> Changes:
    changes = _ended(record, event, Status.TIMED_OUT, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    changes["artifacts"] = data.artifacts
    return changes


def _cancel_requested(record: TaskRecord, event: Event, data: TaskCancelRequested) -> Changes:
    _require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "cancel_requested_at": event.occurred_at, "cancel_reason": data.reason}


def _cancelled(record: TaskRecord, event: Event, data: TaskCancelled) -> Changes:
    changes = _ended(record, event, Status.CANCELLED, data.usage)
    changes["error"] = data.reason or record.cancel_reason
    changes["terminal_summary"] = data.stopped
    changes["cancel_confirmed"] = data.confirmed
    return changes


def _backing_missed(record: TaskRecord, event: Event, _data: TaskBackingMissed) -> Changes:
    _require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "backing_missed_at": event.occurred_at}


def _backing_restored(record: TaskRecord, event: Event, _data: TaskBackingRestored) -> Changes:
    _require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "backing_missed_at": None}


def _leased(record: TaskRecord, event: Event, data: TaskLeased) -> Changes:
    _require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "lease_ms": data.ttl_ms}


def _lost(record: TaskRecord, event: Event, data: TaskLost) -> Changes:
    changes = _ended(record, event, Status.LOST)
    changes["error"] = loss_in_words(data)
    return changes


def loss_in_words(data: TaskLost) -> str:
    """Return what a record has as the error of a task that was lost."""
    return data.error or f"lost by rule: {data.rule}"


def _recovered(record: TaskRecord, event: Event, data: TaskRecovered) -> Changes:
    _require(record.status is Status.LOST, record, event)
    changes = _ended(record, event, data.status, data.usage)
    changes["error"] = data.error
    changes["terminal_summary"] = data.summary
    if data.outcome is not None:
        changes["terminal_outcome"] = data.outcome
    if data.artifacts:
        changes["artifacts"] = data.artifacts
    return changes


def _late(record: TaskRecord, event: Event, data: TaskLateSignal) -> Changes:
    """The state stays as it was; the signal is remembered so that its repetition is recognised."""
    _require(not record.is_active, record, event)
    kept = (*record.late_signals, (signal_key(data), event.position))
    return {
        "late_signals": kept[-LATE_SIGNALS_KEPT:],
        "late_signal_count": (record.late_signal_count or 0) + 1,
    }


def signal_key(data: TaskLateSignal) -> str:
    """Return the digest by which a late signal is recognised when it comes again, to the letter."""
    return blake2b(_encode((data.signal, data.content)), digest_size=8).hexdigest()


def _notify_changed(record: TaskRecord, _event: Event, data: TaskNotifyChanged) -> Changes:
    """What of a task's end was told already stays told; the rest is pending as far as the policy lets it through."""
    changes: Changes = {"notify_policy": data.policy}
    if record.delivery_status in (_PENDING, _NOT_APPLICABLE) and not any(
        each.tells(record.status) for each in record.outbox
    ):
        told = (
            data.policy is not NotifyPolicy.SILENT
            if record.is_active
            else lets_end_through(data.policy, record.status, record.terminal_outcome)
        )
        changes["delivery_status"] = _PENDING if told else _NOT_APPLICABLE
    return changes


def _settled(record: TaskRecord, event: Event, data: TaskSettled) -> Changes:
    _require(data.status in SETTLED_AS, record, event)
    changes = _ended(record, event, data.status)
    changes["error"] = data.reason
    return changes


def _pruned(record: TaskRecord, event: Event, _data: TaskPruned) -> Changes:
    _require(not record.is_active and record.held_at is None and record.pruned_at is None, record, event)
    return {"pruned_at": event.occurred_at}


def _held(_record: TaskRecord, event: Event, _data: TaskHeld) -> Changes:
    return {"held_at": event.occurred_at}


def _released(_record: TaskRecord, _event: Event, _data: TaskReleased) -> Changes:
    return {"held_at": None}


def _born_twice(record: TaskRecord, event: Event, _data: TaskCreated) -> Changes:
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
    TaskLeased: _leased,
    TaskNotifyChanged: _notify_changed,
    TaskSettled: _settled,
    TaskPruned: _pruned,
    TaskHeld: _held,
    TaskReleased: _released,
    DeliveryQueued: deliveries.after_queued,
    DeliveryAttempted: deliveries.after_attempted,
    DeliveryUnknown: deliveries.after_unknown,
    DeliveryDelivered: deliveries.after_delivered,
    DeliveryFailed: deliveries.after_failed,
    DeliveryRetried: deliveries.after_retried,
    DeliveryDismissed: deliveries.after_dismissed,
}

assert set(_EVOLVERS) == set(FACT_TYPES), "a fact that nobody evolves"
