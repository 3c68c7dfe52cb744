"""Decide: what is recorded when somebody asks something of a flow. Pure.

A flow that has ended refuses everything but its removal. Once its cancel is wanted, it only ends. Every write names the
revision that it has seen, and is answered with the present record when that was another one.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from tallystick.ledger import noted
from tallystick.ledger.commands import Command
from tallystick.ledger.content import NOT_ASIDE
from tallystick.ledger.errors import FlowRefused, TallystickError, WrongVersion
from tallystick.ledger.events import FLOW_FACTS, FlowFact
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
)
from tallystick.ledger.flows.record import FlowRecord, needs_tasks, no_flow, pruned_flow
from tallystick.ledger.lifecycle import FlowStatus, Scope
from tallystick.ledger.limits import FLOW_STEPS_MAX
from tallystick.ledger.record import TaskRecord

FlowFacts: TypeAlias = tuple[FlowFact, ...]

NOTHING: FlowFacts = ()

VERBS: dict[type, str] = {
    FlowCreated: "create",
    FlowStepClaimed: "claim",
    FlowWaitingSet: "set_waiting",
    FlowResumed: "resume",
    FlowTaskLinked: "link",
    FlowFinished: "finish",
    FlowFailed: "fail",
    FlowCancelRequested: "cancel",
    FlowCancelled: "cancelled",
    FlowSettled: "settle",
    FlowNoted: "note",
    FlowPruned: "prune",
    FlowErased: "erase",
}
"""What each fact is called when it is asked for."""

JOIN = "link"
"""What it is called when a task is created as one of a flow's, or becomes one."""


def decide_flow(record: FlowRecord | None, command: Command, *, token: str) -> FlowFacts | TallystickError:
    """Return the facts to record when `command` reaches a flow that is known as `record`, or the error to answer with.

    `token` is the flow's id, for the error when there is no such flow.
    """
    data = command.data
    if record is None:
        return (data,) if isinstance(data, FlowCreated) else no_flow(token)
    if isinstance(data, FlowErased):
        return _erase(record, data)
    if record.pruned_at is not None:
        return pruned_flow(record)
    if isinstance(data, FlowCreated):
        return NOTHING  # found by its key
    if isinstance(data, FlowCancelRequested) and record.cancel_requested_at is not None:
        return NOTHING  # a cancel is sticky: whoever wants it again has it
    if isinstance(data, FlowCancelled) and record.status is FlowStatus.CANCELLED:
        return NOTHING
    if not record.is_active and not isinstance(data, FlowPruned):
        return refused(record, VERBS[data.__class__], "terminal", "It has ended.")
    expected = command.expected_version
    if expected is not None and expected != record.revision:
        if isinstance(data, FlowStepClaimed) and record.cancel_requested_at is None and _is_its_own(record, data):
            return NOTHING
        return WrongVersion(record.flow_id, expected=expected, actual=record.revision, current=record, of="Flow")
    return _DECIDERS[data.__class__](record, data)


def refused(record: FlowRecord, attempted: str, code: str, why: str) -> FlowRefused:
    """Return what is answered when a flow does not allow something."""
    return FlowRefused(
        record.flow_id, status=record.status.value, attempted=attempted, code=code, why=why, current=record
    )


def untold(flow: FlowRecord, data: FlowFact) -> FlowRefused:
    """Return what is answered when something is asked of a mirror that only one with events of its own can do."""
    return refused(flow, VERBS[data.__class__], "not_managed", "It has no events of its own: its task tells all of it.")


def not_joined(flow: FlowRecord | None, flow_id: str, owner: str | None, scope: Scope) -> TallystickError | None:
    """Return why a task of this owner cannot become one of a flow's; None when it can."""
    if flow is None:
        return no_flow(flow_id)
    if flow.pruned_at is not None:
        return pruned_flow(flow)
    if scope is Scope.SYSTEM:
        return refused(flow, JOIN, "system_scope", "A task of the system belongs to no session, so to no flow.")
    if owner != flow.owner_key:
        return refused(flow, JOIN, "owner_mismatch", f"The task belongs to {owner}, the flow to {flow.owner_key}.")
    if not flow.is_active:
        return refused(flow, JOIN, "terminal", "It has ended.")
    if flow.cancel_requested_at is not None:
        return refused(flow, JOIN, "cancel_requested", "It is being cancelled: no task joins it any more.")
    return None


def is_linked(flow: FlowRecord, task: TaskRecord) -> bool:
    """Whether a task is one of a managed flow's already."""
    return flow.is_managed and task.parent_flow_id == flow.flow_id


def not_linked(flow: FlowRecord, task: TaskRecord, own_mirror: str | None) -> TallystickError | None:
    """Return why a task that is there already cannot become one of a flow's; None when it can.

    `own_mirror` is the flow that mirrors this very task, which it may leave.
    """
    error = not_joined(flow, flow.flow_id, task.owner_key, task.scope_kind)
    if error is None and task.parent_flow_id not in (None, own_mirror):
        why = f"The task is one of flow {task.parent_flow_id}."
        error = refused(flow, JOIN, "linked_elsewhere", why)
    return error


def _managed(decide: Callable[[FlowRecord, Any], FlowFacts | TallystickError]) -> Any:
    """Let only a controller do it, and nobody once the flow is being cancelled."""

    def decided(record: FlowRecord, data: FlowFact) -> FlowFacts | TallystickError:
        verb = VERBS[data.__class__]
        if not record.is_managed:
            return refused(record, verb, "not_managed", "It mirrors a task, and is moved by that alone.")
        if record.cancel_requested_at is not None:
            return refused(record, verb, "cancel_requested", "It is being cancelled.")
        return decide(record, data)

    return decided


def _is_its_own(record: FlowRecord, data: FlowStepClaimed) -> bool:
    """Whether a claimant that gave itself a name comes back to what it has claimed."""
    claim = record.claim_of(data.step)
    return claim is not None and data.claimant is not None and claim.claimant == data.claimant


def _claim(record: FlowRecord, data: FlowStepClaimed) -> FlowFacts | TallystickError:
    claim = record.claim_of(data.step)
    if claim is not None:
        if _is_its_own(record, data):
            return NOTHING
        who = claim.claimant or claim.actor
        return refused(record, "claim", "claimed", f"Step {data.step} was claimed by {who} at {claim.at} (ms).")
    if record.status in (FlowStatus.WAITING, FlowStatus.BLOCKED):
        return refused(record, "claim", "waiting", "Resume it first.")
    if len(record.claims) >= FLOW_STEPS_MAX:
        return refused(record, "claim", "too_many", f"It has {FLOW_STEPS_MAX} steps, the most that there may be.")
    return (data,)


def _admit(_record: FlowRecord, data: FlowFact) -> FlowFacts | TallystickError:
    return (data,)


def _settle(record: FlowRecord, data: FlowSettled) -> FlowFacts | TallystickError:
    """The operator's way out, also of a cancel that does not come to its end."""
    if not record.is_managed:
        return refused(record, "settle", "not_managed", "It mirrors a task: settle that.")
    return (data,)


def _note(record: FlowRecord, data: FlowNoted) -> FlowFacts | TallystickError:
    if noted.together(record.noted, data.codes) == record.noted:
        return NOTHING
    return noted.too_many(record.noted, data.codes) or (data,)


def _prune(record: FlowRecord, data: FlowPruned) -> FlowFacts | TallystickError:
    """What it was is said. A mirror that is blocked cannot be resumed: it has ended with its newest task."""
    ended_at = record.ended_at if needs_tasks(record) or record.ended_at is not None else record.updated_at
    if ended_at is None:
        return refused(record, "prune", "active", "It has not ended.")
    return (replace(data, status=record.status, ended_at=ended_at),)


def _erase(record: FlowRecord, data: FlowErased) -> FlowFacts | TallystickError:
    """Whatever the flow is, for its history stays. `data` says already what of it is kept beside the log."""
    if not record.is_managed:
        return refused(record, "erase", "not_managed", "It mirrors a task: erase that.")
    if not data.count:
        return NOTHING if record.erased is not None else refused(record, "erase", "not_aside", NOT_ASIDE)
    return (erased(record, data),)


def erased(record: FlowRecord, data: FlowErased) -> FlowErased:
    """Return the erasure of what is known as `record`: that of a pruned flow says what it was."""
    if record.pruned_at is None:
        return data
    return replace(data, status=record.status, ended_at=record.ended_at, pruned_at=record.pruned_at)


def _cancelled(record: FlowRecord, data: FlowCancelled) -> FlowFacts | TallystickError:
    """Only what was asked for; whoever says it has seen the last of the flow's tasks end."""
    if record.cancel_requested_at is None:
        return refused(record, "cancelled", "not_requested", "Nobody has asked for that.")
    return (data,)


_DECIDERS: dict[type, Callable[[FlowRecord, Any], FlowFacts | TallystickError]] = {
    FlowCreated: _admit,
    FlowStepClaimed: _managed(_claim),
    FlowWaitingSet: _managed(_admit),
    FlowResumed: _managed(_admit),
    FlowTaskLinked: _managed(_admit),
    FlowFinished: _managed(_admit),
    FlowFailed: _managed(_admit),
    FlowCancelRequested: _admit,
    FlowCancelled: _cancelled,
    FlowSettled: _settle,
    FlowNoted: _note,
    FlowPruned: _prune,
    FlowErased: _erase,
}

assert set(_DECIDERS) == set(VERBS) == set(FLOW_FACTS), "a fact that nobody decides"
