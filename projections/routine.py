"""The routine: the steps of upkeep about what is at work or ended oddly, that an owner takes by itself, few at a time.

What retention says is over is asked of the agenda. The rules are the audit's, and what settles it, too.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.limits import CANCEL_STUCK_MS, FUTURE_END_MS
from tallystick.ledger.upkeep.finding import Action, Finding
from tallystick.ledger.upkeep.flows import findings_of_flow
from tallystick.ledger.upkeep.plan import Step, settling
from tallystick.ledger.upkeep.tasks import findings_of_task
from tallystick.projections import overdue
from tallystick.projections.agenda import stamped
from tallystick.projections.audit import children_of
from tallystick.projections.due import DueRules
from tallystick.projections.seen import Seen


class Cancels(Struct, frozen=True):
    """The steps that end flows as cancelled, and the last flow that was looked at; None when there is no other."""

    steps: list[Step]
    last: FlowRecord | None


def stamps(seen: Seen, now: int, rules: DueRules, limit: int) -> list[Step]:
    """Return the steps that stamp a cleanup time on tasks that ended in the future, by what was reported."""
    tasks = {task.task_id: task for task in overdue.ended_after(seen, now + FUTURE_END_MS, limit, rules)}
    findings = [
        finding
        for task in tasks.values()
        for finding in findings_of_task(task, now, kept_ms=rules.retention_of(task.runtime, task.status))
    ]
    steps = _settling(findings, Action.STAMP, {token: task.version for token, task in tasks.items()})
    return [stamped(step, tasks[step.token], now, rules) for step in steps]


def stuck_cancels(seen: Seen, now: int, limit: int, after: FlowRecord | None = None) -> Cancels:
    """Return the steps that end cancelled flows of which no task is at work, looking at so many behind `after`."""
    flows = overdue.cancelling_flows(seen, now - CANCEL_STUCK_MS, limit, after)
    findings = [finding for flow in flows for finding in findings_of_flow(flow, now, children_of(seen, flow))]
    steps = _settling(findings, Action.FINISH_CANCEL, {flow.flow_id: flow.version for flow in flows})
    return Cancels(steps, flows[-1] if len(flows) == limit else None)


def _settling(findings: Iterable[Finding], action: Action, versions: Mapping[str, int]) -> list[Step]:
    return list(settling([finding for finding in findings if finding.action is action], versions))
