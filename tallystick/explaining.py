"""Explaining: why a task or a flow is kept, until when, and by which rule. Never writes."""

from msgspec import Struct
from msgspec.structs import replace

from tallystick.flow_readings import FlowReadings
from tallystick.ledger.errors import NotFound, Pruned
from tallystick.ledger.flows.mirror import mirror_stream
from tallystick.ledger.flows.record import FlowRecord, needs_tasks
from tallystick.ledger.lifecycle import FlowStatus, Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.finding import Kind
from tallystick.ledger.upkeep.retention import Keeping, Rule, keeping_flow, keeping_mirror
from tallystick.ledger.upkeep.times import cleanup_time
from tallystick.projections.agenda import flow_kept_ms, task_at_work, why_kept
from tallystick.projections.due import DueRules
from tallystick.projections.seen import Seen
from tallystick.readings import Readings


class Policy(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the configuration says of how long a kind is kept after its end: by which name, and for how long.

    Without `kept_ms` it is kept for ever.
    """

    name: str
    kept_ms: int | None = None


class Explanation(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Why a task or a flow is kept: the rule in a word, the reason in words, and until when (ms) if a moment ends it.

    When `is_over`, nothing keeps it any more, and the next upkeep prunes it. `cleanup_after` is when its retention ends
    by its end and its policy, or as stamped, whatever else keeps it.
    """

    kind: Kind
    token: str
    status: str
    rule: Rule
    reason: str
    policy: Policy
    is_over: bool
    until: int | None = None
    cleanup_after: int | None = None


def explain(readings: Readings, now: int, token: str) -> Explanation:
    """Return why what a token names is kept at `now` (ms): a task as `find` does, else a flow.

    Raises `NotFound`, `Pruned`, `Ambiguous`.
    """
    try:
        task = readings.find(token)
    except Pruned:
        raise
    except NotFound as not_found:
        try:
            flow = FlowReadings(readings.reader).find(token)
        except Pruned:
            raise
        except NotFound:
            raise not_found from None
        return readings.reader.answer(lambda seen: of_flow(seen, flow, now, readings.rules))
    return readings.reader.answer(lambda seen: of_task(seen, task, now, readings.rules))


def of_task(seen: Seen, task: TaskRecord, now: int, rules: DueRules) -> Explanation:
    """Return why a task is kept."""
    kept_ms = rules.retention_of(task.runtime, task.status)
    why = why_kept(seen, task, now, rules)
    return Explanation(
        kind=Kind.TASK,
        token=task.task_id,
        status=task.shown_status,
        policy=Policy(_policy_name(rules, task.status, task.runtime), kept_ms),
        rule=why.rule,
        reason=why.reason,
        is_over=why.is_over,
        until=why.until,
        cleanup_after=cleanup_time(task, now, kept_ms),
    )


def of_flow(seen: Seen, flow: FlowRecord, now: int, rules: DueRules) -> Explanation:
    """Return why a flow is kept. One that mirrors tasks goes with its first one, by whose policy it is kept."""
    first = None if flow.is_managed else seen.task(mirror_stream(flow.stream))
    if first is not None:
        of_first = of_task(seen, first, now, rules)
        kept = keeping_mirror(flow, first.task_id, Keeping(of_first.rule, of_first.reason, of_first.until))
        return replace(
            of_first,
            kind=Kind.FLOW,
            token=flow.flow_id,
            status=flow.status.value,
            rule=kept.rule,
            reason=kept.reason,
            is_over=kept.is_over,
            until=kept.until,
            cleanup_after=None if needs_tasks(flow) else of_first.cleanup_after,
        )
    kept_ms = flow_kept_ms(rules, flow.status)
    why = keeping_flow(flow, now, kept_ms=kept_ms, active_task=task_at_work(seen, flow))
    until = None if flow.ended_at is None or kept_ms is None or flow.is_active else flow.ended_at + kept_ms
    return Explanation(
        kind=Kind.FLOW,
        token=flow.flow_id,
        status=flow.status.value,
        policy=Policy(_policy_name(rules, flow.status), kept_ms),
        rule=why.rule,
        reason=why.reason,
        is_over=why.is_over,
        until=why.until,
        cleanup_after=until,
    )


def _policy_name(rules: DueRules, status: Status | FlowStatus, runtime: Runtime | None = None) -> str:
    """Return the name in the configuration by which a kind is kept."""
    if runtime is not None and any(known[0] is runtime for known in rules.retention):
        return f"retention.{runtime}"
    if any(known[0] is None and known[1].value == status.value for known in rules.retention):
        return f"retention.{status}"
    return "retention.lost" if status.value == Status.LOST.value else "retention.terminal"
