"""The rules of an audit about flows. Pure. A mirrored flow is what its tasks are: the rules about tasks judge those."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.ledger.limits import CANCEL_FINISHED_MS, CANCEL_STUCK_MS, STALE_FLOW_MS
from tallystick.ledger.upkeep.finding import Code, Finding, Kind, Severity
from tallystick.ledger.upkeep.spans import span
from tallystick.ledger.upkeep.treatment import found


class Children(Struct, frozen=True):
    """What is known of a flow's tasks: how many there are, how many are at work, and when the newest was heard of (ms).

    `misses_blocked` says that the task which blocks the flow is not there, or was pruned.
    """

    count: int = 0
    active: int = 0
    heard_at: int = 0
    misses_blocked: bool = False


def findings_of_flow(flow: FlowRecord, now: int, children: Children) -> Iterator[Finding]:
    """Yield what is amiss with a flow at `now` (ms)."""
    if flow.is_active:
        noted = frozenset(flow.noted)  # whatever happens to the flow clears that
        yield from (finding for finding in _all(flow, now, children) if finding.code not in noted)


def _all(flow: FlowRecord, now: int, children: Children) -> Iterator[Finding]:
    if flow.cancel_requested_at is not None:
        age = now - max(flow.cancel_requested_at, children.heard_at)
        is_over = now - flow.cancel_requested_at >= CANCEL_STUCK_MS and now - children.heard_at >= CANCEL_FINISHED_MS
        if is_over and not children.active:
            detail = "somebody wants it cancelled, none of its tasks is at work, and it has not ended"
            yield _of(flow, Code.CANCEL_STUCK, detail, max(age, 0))
        return
    if not flow.is_managed:
        return
    if flow.blocked_task_id is not None and children.misses_blocked:
        detail = f"the task that blocks it, {flow.blocked_task_id}, is not there"
        yield _of(flow, Code.BLOCKED_TASK_MISSING, detail, now - flow.updated_at)
    age = now - max(flow.updated_at, children.heard_at)
    if age < STALE_FLOW_MS or children.active:
        return
    for_long = f"for {span(age)}"
    if flow.status is FlowStatus.WAITING:
        yield _of(flow, Code.STALE_WAITING, f"it waits {for_long}", age)
    elif flow.status is FlowStatus.BLOCKED:
        yield _of(flow, Code.STALE_BLOCKED, f"it is blocked {for_long}", age)
    else:
        if flow.status is FlowStatus.RUNNING or children.count:
            yield _of(flow, Code.STALE_RUNNING, f"its tasks have ended and its controller is silent {for_long}", age)
        if not children.count:
            severity = Severity.ERROR if flow.status is FlowStatus.RUNNING else Severity.WARN
            detail = f"it has no task, waits for nothing, and did not advance {for_long}"
            yield _of(flow, Code.MISSING_LINKED_TASKS, detail, age, severity=severity)


def _of(flow: FlowRecord, code: Code, detail: str, age_ms: int, *, severity: Severity | None = None) -> Finding:
    return found(
        Kind.FLOW,
        code,
        detail,
        token=flow.flow_id,
        age_ms=max(age_ms, 0),
        status=flow.status.value,
        severity=severity,
    )
