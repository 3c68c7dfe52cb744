"""Intake: what a caller says about a flow, checked and made a fact. Pure. Everything here raises `InvalidInput`."""

from collections.abc import Iterable, Mapping
from typing import Any

from tallystick.ledger import fields, noted
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.flows import (
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
from tallystick.ledger.flows.json import json_value
from tallystick.ledger.intake import UNEXPLAINED
from tallystick.ledger.lifecycle import FlowMode, FlowStatus, Status
from tallystick.ledger.limits import ERROR_BYTES_MAX, REASON_BYTES_MAX, SUMMARY_BYTES_MAX

_BLOCKED = 'a task or its id, a text that says by what, or a dict with "task" and "summary"'
_OF_BLOCKED = frozenset({"task", "summary"})


def created(
    *,
    owner: str,
    goal: str,
    controller: str,
    step: str | None = None,
    state: Any = None,
    idempotency_key: str | None = None,
) -> FlowCreated:
    """Return the fact that a controller begins a flow for a session."""
    return FlowCreated(
        mode=FlowMode.MANAGED,
        owner=fields.required_key("owner", owner),
        goal=fields.task_text("goal", goal),
        controller=fields.required_key("controller", controller),
        step=_step(step),
        state=json_value("state", state),
        idempotency_key=None if idempotency_key is None else fields.key("idempotency_key", idempotency_key),
    )


def claimed(step: str, *, claimant: str | None = None) -> FlowStepClaimed:
    """Return the fact that somebody does a step."""
    return FlowStepClaimed(
        step=fields.required_key("step", step),
        claimant=None if claimant is None else fields.required_key("claimant", claimant),
    )


def waiting(wait: Any, *, step: str | None = None, state: Any = None, blocked: Any = None) -> FlowWaitingSet:
    """Return the fact that a flow waits. `blocked` names a task, says by what, or both."""
    task, summary = _blocked(blocked)
    fact = FlowWaitingSet(
        wait=json_value("wait", wait),
        step=_step(step),
        state=json_value("state", state),
        blocked_task=task,
        blocked_summary=summary,
    )
    if wait is None and blocked is None:
        raise InvalidInput("wait", wait, 'what the flow waits for, a JSON value such as {"for": "approval"}')
    return fact


def _blocked(blocked: Any) -> tuple[str | None, str | None]:
    task: str | None = None
    summary: str | None = None
    if blocked is None:
        return None, None
    if not isinstance(blocked, Mapping):
        task, summary = _blocked_by(blocked)
    elif _OF_BLOCKED.issuperset(blocked):
        named = blocked.get("task")
        task = None if named is None else task_id_of("blocked.task", named)
        summary = _summary("blocked.summary", blocked.get("summary"))
    if task is None and (summary is None or not summary.strip()):
        raise InvalidInput("blocked", blocked, _BLOCKED)
    return task, summary


def _blocked_by(blocked: Any) -> tuple[str | None, str | None]:
    if not isinstance(blocked, str):
        return task_id_of("blocked", blocked), None
    try:
        return fields.task_id("blocked", blocked), None
    except InvalidInput:
        return None, _summary("blocked", blocked)


def task_id_of(field: str, task: Any) -> str:
    """Return the id of a task that was given as one: as its handle, its record or its id."""
    record = getattr(task, "record", task)
    if hasattr(record, "flow_id"):  # a flow has an id, too
        raise InvalidInput(field, task, "a task, or its id")
    for name in ("id", "task_id"):
        named = getattr(task, name, None)
        if isinstance(named, str):
            task = named
    found = fields.task_id(field, task) if isinstance(task, str) else None
    if found is None:
        raise InvalidInput(field, task, "a task, or its id")
    return found


def resumed(*, step: str | None = None, state: Any = None) -> FlowResumed:
    """Return the fact that a flow goes on."""
    return FlowResumed(step=_step(step), state=json_value("state", state))


def linked(task: Any) -> FlowTaskLinked:
    """Return the fact that a task becomes one of the flow's."""
    return FlowTaskLinked(task=task_id_of("task", task))


def finished(summary: str | None = None, *, state: Any = None) -> FlowFinished:
    """Return the fact that the goal was reached; a long summary is cut."""
    return FlowFinished(summary=_summary("summary", summary), state=json_value("state", state))


def failed(error: str, *, state: Any = None) -> FlowFailed:
    """Return the fact that the goal will not be reached; a long error is cut."""
    if error is None:
        raise InvalidInput("error", error, "text that says what went wrong")
    said = fields.report("error", error, bytes_max=ERROR_BYTES_MAX)
    return FlowFailed(error=said or UNEXPLAINED, state=json_value("state", state))


def cancel_requested(reason: str | None = None) -> FlowCancelRequested:
    """Return the fact that somebody wants all of it stopped; a long reason is cut."""
    return FlowCancelRequested(reason=_reason(reason))


def settled(status: FlowStatus | Status | str, reason: str) -> FlowSettled:
    """Return the fact that an operator ended a flow; a reason is required, and cut when it is long."""
    kept = fields.required_reason("reason", reason)
    return FlowSettled(status=FlowStatus(fields.settled_as("as", status).value), reason=kept)


def erased(reason: str) -> FlowErased:
    """Return the fact that the content of a flow is erased; a reason is required, and cut when it is long."""
    return FlowErased(reason=fields.required_reason("reason", reason))


def taken_note_of(codes: Iterable[str], reason: str | None = None) -> FlowNoted:
    """Return the fact that an operator knows about findings of these codes; a long reason is cut."""
    return FlowNoted(codes=noted.codes("codes", codes), reason=_reason(reason))


def pruned(reason: str | None = None) -> FlowPruned:
    """Return the fact that retention removed a flow; a long reason is cut."""
    return FlowPruned(reason=_reason(reason))


def unseen() -> InvalidInput:
    """Return what those hear who write to a flow by its id and do not say which revision they have seen."""
    return InvalidInput("expected_revision", None, "the revision that you have seen: flow.record.revision")


def expected(expected_revision: int | None) -> int | None:
    """Return the revision that a caller has seen."""
    return None if expected_revision is None else fields.whole("expected_revision", expected_revision, least=1)


def _step(step: str | None) -> str | None:
    return None if step is None else fields.required_key("step", step)


def _reason(reason: str | None) -> str | None:
    return fields.report("reason", reason, bytes_max=REASON_BYTES_MAX, controls=False)


def _summary(field: str, value: str | None) -> str | None:
    return fields.report(field, value, bytes_max=SUMMARY_BYTES_MAX)
