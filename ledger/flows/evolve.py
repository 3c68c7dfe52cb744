"""Evolve: one fact applied to what was known of a flow before. Pure, and the only way a flow's record changes."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from msgspec.structs import replace

from tallystick.ledger import noted
from tallystick.ledger.content import OF_FLOWS, after_erasure
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import FLOW_FACTS, Event
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowCreated,
    FlowErased,
    FlowFailed,
    FlowFinished,
    FlowNoted,
    FlowPruned,
    FlowResumed,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
    FlowWaitingSet,
    Json,
)
from tallystick.ledger.flows.record import Claim, FlowRecord
from tallystick.ledger.lifecycle import FLOW_SETTLED_AS, FlowStatus

Changes: TypeAlias = dict[str, Any]


def evolve_flow(record: FlowRecord | None, event: Event) -> FlowRecord:
    """Return what is known of a flow after `event`, given what was known before it.

    Raises `Corrupt` when the event cannot follow: a stream that tells that is damaged.
    """
    data = event.data
    if record is None:
        if not isinstance(data, FlowCreated) or event.version != 1:
            detail = f"flow {event.task_id} begins with {event.type} at version {event.version}"
            raise Corrupt(detail, position=event.position)
        return _born(event, data)
    evolver = _EVOLVERS.get(data.__class__)
    is_over = record.pruned_at is not None or (not record.is_active and data.__class__ is not FlowPruned)
    if evolver is None or event.version != record.revision + 1 or (is_over and data.__class__ is not FlowErased):
        raise _out_of_place(record, event)
    changes = {"updated_at": event.occurred_at, **_UNNOTED, **evolver(record, event, data)}
    return replace(record, revision=event.version, position=event.position, **changes)


def _out_of_place(record: FlowRecord, event: Event) -> Corrupt:
    was = "pruned" if record.pruned_at is not None else record.status.value
    detail = f"flow {record.flow_id} is {was} at {record.revision}: {event.type} cannot follow at {event.version}"
    return Corrupt(detail, position=event.position)


def fold_flow(events: Iterable[Event], record: FlowRecord | None = None) -> FlowRecord | None:
    """Return what a whole history tells; None for an empty one."""
    for event in events:
        record = evolve_flow(record, event)
    return record


def _born(event: Event, data: FlowCreated) -> FlowRecord:
    return FlowRecord(
        flow_id=event.task_id,
        sync_mode=data.mode,
        owner_key=data.owner,
        status=FlowStatus.QUEUED,
        goal=data.goal,
        revision=1,
        created_at=event.occurred_at if data.began_at is None else data.began_at,
        updated_at=event.occurred_at,
        position=event.position,
        controller_id=data.controller,
        current_step=data.step,
        state_json=data.state,
        idempotency_key=data.idempotency_key,
        imported=data.imported,
    )


def _said(step: str | None, state: Json) -> Changes:
    """What several facts may say; what they leave out stays."""
    changes: Changes = {}
    if step is not None:
        changes["current_step"] = step
    if state is not None:
        changes["state_json"] = state
    return changes


def _claimed(record: FlowRecord, event: Event, data: FlowStepClaimed) -> Changes:
    claim = Claim(data.step, event.actor, event.occurred_at, data.claimant)
    return {
        "claims": (*record.claims, claim),
        "current_step": data.step,
        "status": FlowStatus.RUNNING,
    }


def _waiting(_record: FlowRecord, _event: Event, data: FlowWaitingSet) -> Changes:
    is_blocked = data.blocked_task is not None or data.blocked_summary is not None
    return {
        **_said(data.step, data.state),
        "status": FlowStatus.BLOCKED if is_blocked else FlowStatus.WAITING,
        "wait_json": data.wait,
        "blocked_task_id": data.blocked_task,
        "blocked_summary": data.blocked_summary,
    }


_UNNOTED: Changes = {"noted": (), "noted_at": None}
_FREE: Changes = {"wait_json": None, "blocked_task_id": None, "blocked_summary": None}


def _resumed(_record: FlowRecord, _event: Event, data: FlowResumed) -> Changes:
    return {**_said(data.step, data.state), **_FREE, "status": FlowStatus.RUNNING}


def _linked(record: FlowRecord, _event: Event, data: FlowTaskLinked) -> Changes:
    """A managed flow keeps no list: each task says in its own record which flow it is of."""
    return {} if record.is_managed else {"followed_task_id": data.task}


def _ended(event: Event, status: FlowStatus) -> Changes:
    return {"status": status, "ended_at": event.occurred_at, "wait_json": None}


def _finished(_record: FlowRecord, event: Event, data: FlowFinished) -> Changes:
    ended = _ended(event, FlowStatus.SUCCEEDED)
    return {**_said(None, data.state), **_FREE, **ended, "summary": data.summary}


def _failed(_record: FlowRecord, event: Event, data: FlowFailed) -> Changes:
    """What blocked it stays: it may be why."""
    return {**_said(None, data.state), **_ended(event, FlowStatus.FAILED), "error": data.error}


def _cancel_requested(_record: FlowRecord, event: Event, data: FlowCancelRequested) -> Changes:
    return {"cancel_requested_at": event.occurred_at, "cancel_reason": data.reason}


def _cancelled(record: FlowRecord, event: Event, _data: FlowCancelled) -> Changes:
    if record.cancel_requested_at is None:
        raise Corrupt(f"flow {record.flow_id} is cancelled and nobody wanted that", position=event.position)
    return {**_ended(event, FlowStatus.CANCELLED), "error": record.cancel_reason}


def _settled(record: FlowRecord, event: Event, data: FlowSettled) -> Changes:
    if not record.is_managed or data.status not in FLOW_SETTLED_AS:
        raise _out_of_place(record, event)
    return {**_ended(event, data.status), "error": data.reason}


def _noted(record: FlowRecord, event: Event, data: FlowNoted) -> Changes:
    """A note does not move the flow: since when that stands still is what it is about."""
    codes = noted.together(record.noted, data.codes)
    return {"updated_at": record.updated_at, "noted": codes, "noted_at": event.occurred_at}


def _pruned(record: FlowRecord, event: Event, data: FlowPruned) -> Changes:
    """Of one that mirrors tasks, what it was is told by them, and so by this fact alone."""
    ended = {"status": data.status or record.status, "ended_at": data.ended_at}
    if not record.is_managed:
        if record.cancel_requested_at is not None and record.is_active:
            raise _out_of_place(record, event)
        return {"pruned_at": event.occurred_at, **ended}
    is_told = data.status is None or ended == {"status": record.status, "ended_at": record.ended_at}
    if record.is_active or not is_told:
        raise _out_of_place(record, event)
    return {"pruned_at": event.occurred_at}


def _erased(record: FlowRecord, event: Event, data: FlowErased) -> Changes:
    """Nothing of its content is left. That does not move the flow, and nothing is found of it anew."""
    if data.pruned_at != record.pruned_at:
        raise _out_of_place(record, event)
    as_before = {"updated_at": record.updated_at, "noted": record.noted, "noted_at": record.noted_at}
    return {**as_before, **after_erasure(record, event, data, OF_FLOWS)}


def _born_twice(record: FlowRecord, event: Event, _data: FlowCreated) -> Changes:
    raise Corrupt(f"flow {record.flow_id} is created twice", position=event.position)


_EVOLVERS: dict[type, Callable[[FlowRecord, Event, Any], Changes]] = {
    FlowCreated: _born_twice,
    FlowStepClaimed: _claimed,
    FlowWaitingSet: _waiting,
    FlowResumed: _resumed,
    FlowTaskLinked: _linked,
    FlowFinished: _finished,
    FlowFailed: _failed,
    FlowCancelRequested: _cancel_requested,
    FlowCancelled: _cancelled,
    FlowSettled: _settled,
    FlowNoted: _noted,
    FlowPruned: _pruned,
    FlowErased: _erased,
}

assert set(_EVOLVERS) == set(FLOW_FACTS), "a fact that nobody evolves"
