"""Evolve: one fact applied to what was known before. Pure, total over the facts, and the only way a record changes."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import force_setattr, replace

from tallystick.ledger import kept, leftovers, outcome
from tallystick.ledger.ends import (
    after_cancel,
    after_failure,
    after_loss,
    after_recovery,
    after_settling,
    after_success,
    after_time_out,
    moved,
    require,
)
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import TASK_FACTS, Event
from tallystick.ledger.facts.deliveries import OF_DELIVERIES
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskCreated,
    TaskErased,
    TaskFailed,
    TaskLateSignal,
    TaskLeased,
    TaskLinked,
    TaskLost,
    TaskNoted,
    TaskNotifyChanged,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.flows.mirror import is_detached, mirror_of
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Status, lets_end_through
from tallystick.ledger.limits import FURTHER_KEYS_KEPT, LATE_SIGNALS_KEPT
from tallystick.ledger.progress import total
from tallystick.ledger.record import TaskRecord

_PENDING, _NOT_APPLICABLE = DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE

_encode = msgspec.msgpack.Encoder(order="deterministic").encode

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""

BESIDE_THE_WORK = OF_DELIVERIES | {TaskCleanupBegun, TaskCleanedUp, TaskCleanupStamped, TaskNoted, TaskErased}
"""The facts that are not about the work: who has not seen them knows it all the same."""

Evolver = Callable[[TaskRecord, Event, Any], Changes]


def evolve(record: TaskRecord | None, event: Event) -> TaskRecord:
    """Return what is known after `event`, given what was known before it.

    Raises `Corrupt` when the event cannot follow: a stream that tells that is damaged.
    """
    return begun(event) if record is None else replace(record, **_changes(record, event))


def begun(event: Event) -> TaskRecord:
    """Return what is known after the first event of a task. Raises `Corrupt` as `evolve`."""
    data = event.data
    if not isinstance(data, TaskCreated):
        raise Corrupt(f"task {event.task_id} begins with {event.type}", position=event.position)
    return _born(event, data)


def grow(record: TaskRecord, event: Event) -> None:
    """Do to a record what `evolve` does to its copy: only for one that nobody else has seen yet.

    Who folds a whole log makes a record once for each task instead of once for each event. Raises `Corrupt` as
    `evolve`; then the record is as it was.
    """
    for name, value in _changes(record, event).items():
        force_setattr(record, name, value)


def _changes(record: TaskRecord, event: Event) -> Changes:
    """Return the fields that an event changes, if it can follow."""
    data = event.data
    if event.version != record.version + 1:
        raise Corrupt(
            f"task {record.task_id} has version {record.version}, then {event.version}", position=event.position
        )
    evolver = _EVOLVERS.get(data.__class__)
    if evolver is None:
        raise Corrupt(f"task {record.task_id}: {event.type} is no event of a task", position=event.position)
    changes = evolver(record, event, data)
    changes["version"] = event.version
    changes["position"] = event.position
    if data.__class__ in BESIDE_THE_WORK:
        if record.work_version is None:
            changes["work_version"] = record.version
    elif record.work_version is not None:
        changes["work_version"] = None
    return changes


def fold(events: Iterable[Event], record: TaskRecord | None = None) -> TaskRecord | None:
    """Return what a whole history tells; None for an empty one."""
    for event in events:
        record = evolve(record, event)
    return record


def _born(event: Event, data: TaskCreated) -> TaskRecord:
    if event.version != 1:
        raise Corrupt(f"task {event.task_id} is created at version {event.version}", position=event.position)
    task_id, flow = event.task_id, data.flow
    if flow is None and is_detached(data.runtime, data.scope, data.delivery):
        flow = mirror_of(task_id)
    # By place, in the order of the record's fields: by name, making a record would take twice as long.
    record = TaskRecord(
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
        flow,
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
    return record if data.imported is None else replace(record, imported=data.imported)


def _amended(record: TaskRecord, event: Event, data: TaskAmended) -> Changes:
    """Fill blanks; what the record already says stays."""
    return {
        "last_event_at": event.occurred_at,
        "task_kind": record.task_kind or data.kind,
        "source_id": record.source_id or data.source_id,
        "parent_task_id": record.parent_task_id or data.parent,
        "root_task_id": data.root or record.root_task_id,
        "parent_flow_id": _flow_after(record, data),
        "agent_id": record.agent_id or data.agent,
        "requester_agent_id": record.requester_agent_id or data.requester_agent,
        "origin": record.origin or data.origin,
        "timeout_ms": record.timeout_ms or data.timeout_ms,
        "backing": record.backing or data.backing,
        "metadata": {**(data.metadata or {}), **(record.metadata or {})} or None,
        **_keys(record, data.idempotency_key),
    }


def _flow_after(record: TaskRecord, data: TaskAmended) -> str | None:
    """A flow of its own gives way to one that the task joins."""
    is_free = record.parent_flow_id in (None, mirror_of(record.task_id))
    return data.flow if is_free and data.flow is not None else record.parent_flow_id


def _keys(record: TaskRecord, key: str | None) -> Changes:
    """A task that was found by its run may get a key, and further ones: each gives the same task from then on."""
    if key is None:
        return {}
    if record.idempotency_key is None:
        return {"idempotency_key": key}
    return {"further_keys": (*record.further_keys, key)[-FURTHER_KEYS_KEPT:]}


def _started(record: TaskRecord, event: Event, data: TaskStarted) -> Changes:
    changes = moved(record, event, Status.RUNNING)
    changes["started_at"] = event.occurred_at
    if record.timeout_ms is not None:
        changes["deadline_at"] = event.occurred_at + record.timeout_ms
    if data.backing is not None:
        changes["backing"] = data.backing
    return changes


def _progressed(record: TaskRecord, event: Event, data: TaskProgressed) -> Changes:
    require(record.status is Status.RUNNING, record, event)
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


def _cancel_requested(record: TaskRecord, event: Event, data: TaskCancelRequested) -> Changes:
    require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "cancel_requested_at": event.occurred_at, "cancel_reason": data.reason}


def _backing_missed(record: TaskRecord, event: Event, _data: TaskBackingMissed) -> Changes:
    require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "backing_missed_at": event.occurred_at}


def _backing_restored(record: TaskRecord, event: Event, _data: TaskBackingRestored) -> Changes:
    require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "backing_missed_at": None}


def _leased(record: TaskRecord, event: Event, data: TaskLeased) -> Changes:
    require(record.is_active, record, event)
    return {"last_event_at": event.occurred_at, "lease_ms": data.ttl_ms}


def _task_linked(_record: TaskRecord, _event: Event, data: TaskLinked) -> Changes:
    return {"parent_flow_id": data.flow}


def _late(record: TaskRecord, event: Event, data: TaskLateSignal) -> Changes:
    """The state stays as it was; the signal is remembered so that its repetition is recognised."""
    require(not record.is_active, record, event)
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


def _born_twice(record: TaskRecord, event: Event, _data: TaskCreated) -> Changes:
    raise Corrupt(f"task {record.task_id} is created twice", position=event.position)


_EVOLVERS: dict[type, Evolver] = {
    TaskCreated: _born_twice,
    TaskAmended: _amended,
    TaskStarted: _started,
    TaskProgressed: _progressed,
    TaskSucceeded: after_success,
    TaskFailed: after_failure,
    TaskTimedOut: after_time_out,
    TaskCancelRequested: _cancel_requested,
    TaskCancelled: after_cancel,
    TaskBackingMissed: _backing_missed,
    TaskBackingRestored: _backing_restored,
    TaskLinked: _task_linked,
    TaskLost: after_loss,
    TaskRecovered: after_recovery,
    TaskLateSignal: _late,
    TaskLeased: _leased,
    TaskNotifyChanged: _notify_changed,
    TaskSettled: after_settling,
    **outcome.EVOLVERS,
    **leftovers.EVOLVERS,
    **kept.EVOLVERS,
}

assert set(_EVOLVERS) == set(TASK_FACTS), "a fact that nobody evolves"
