"""The agenda: every step that upkeep would take now, and what it leaves alone though its retention is over.

Whoever does it by itself asks for some steps at a time; an operator sees all of them before any is taken.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.flows.record import FlowRecord, needs_tasks
from tallystick.ledger.ids import id_bytes, id_text
from tallystick.ledger.lifecycle import FLOW_TERMINAL, FlowStatus
from tallystick.ledger.limits import UPKEEP_KEPT_SHOWN, UPKEEP_STEPS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.upkeep.finding import Action, Finding, Kind, ordered
from tallystick.ledger.upkeep.plan import Step, pruning, settling, unsettled
from tallystick.ledger.upkeep.retention import UNREADABLE, Family, Keeping, Rule, keeping, keeping_flow
from tallystick.projections import overdue
from tallystick.projections.audit import IsAlive, found, nobody_looks
from tallystick.projections.due import Due, DueKind, DueRules
from tallystick.projections.quarantine import Quarantined
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen

AT_ONCE = 512  # tasks whose retention is over that are looked at in one snapshot

_BY_THE_CLOCK = {
    DueKind.DEADLINE: "its deadline is over",
    DueKind.GRACE: "what backs it is gone for the whole grace",
    DueKind.CANCEL: "somebody wants it cancelled, and nobody has said that it stopped",
}

NOTHING: Collection[bytes] = frozenset()

Damages: TypeAlias = dict[str, Quarantined]


class Kept(Struct, frozen=True):
    """A task or flow whose retention is over and that is kept all the same, and why."""

    kind: Kind
    token: str
    why: Keeping


class Place(Struct, frozen=True):
    """Where a look at what retention says is over goes on."""

    tasks: Due | None = None
    flows: FlowRecord | None = None
    is_end: bool = False


class Over(Struct, frozen=True):
    """What retention says is over: the steps that prune it, what is kept all the same, and where the look goes on."""

    steps: list[Step]
    kept: list[Kept]
    place: Place


class Agenda(Struct, frozen=True):
    """Every step that upkeep would take, and the findings that are left when it has.

    `is_cut` says that there is more: what is done with makes room for it. `damages` has what steps of a quarantine are
    about, by their tokens.
    """

    findings: list[Finding]
    steps: list[Step]
    kept: list[Kept]
    left: list[Finding]
    damages: Damages
    is_cut: bool


def _at_once() -> None:
    """Go on without a pause."""


def flow_kept_ms(rules: DueRules, status: FlowStatus) -> int | None:
    """Return how long a flow is kept after its end, None for ever: as a task that ended so, whatever ran it."""
    for known, kept_ms in rules.retention.items():
        if known[0] is None and known[1].value == status.value:
            return kept_ms
    return rules.retention_lost if status is FlowStatus.LOST else rules.retention_default


def agenda(
    reader: Reader,
    log: EventLog,
    now: int,
    rules: DueRules,
    *,
    judging: DueRules | None = None,
    more: Sequence[Finding] = (),
    is_alive: IsAlive = nobody_looks,
) -> Agenda:
    """Return what upkeep would do at `now` (ms).

    `judging` are the rules of whoever may judge what is due by the clock, if somebody here may. `more` are findings
    that no snapshot shows. `is_alive` is asked as in an audit.
    """
    seen_now = reader.answer(lambda seen: found(seen, log, now, rules, is_alive=is_alive))
    findings = ordered([*seen_now.findings, *more])
    over = _all_over(reader, now, rules, seen_now.broken)
    by_clock = [] if judging is None else reader.answer(lambda seen: by_the_clock(seen, now, judging))
    by_clock = [step for step in by_clock if id_bytes(step.token) not in seen_now.broken]
    leaving = {step.token for step in (*over.steps, *by_clock)}
    versions = {
        **{token: task.version for token, task in seen_now.tasks.items()},
        **{token: flow.version for token, flow in seen_now.flows.items()},
    }
    settled = [
        stamped(step, seen_now.tasks[step.token], now, rules) if step.action is Action.STAMP else step
        for step in settling(findings, versions, leaving)
    ]
    steps = [*by_clock, *settled, *over.steps][:UPKEEP_STEPS_MAX]
    return Agenda(
        findings,
        steps,
        over.kept,
        unsettled(findings, steps, leaving.intersection(step.token for step in steps)),
        seen_now.damages,
        is_cut=not over.place.is_end or len(settled) + len(by_clock) + len(over.steps) > UPKEEP_STEPS_MAX,
    )


def stamped(step: Step, task: TaskRecord, now: int, rules: DueRules) -> Step:
    """Say until when a stamp keeps its task: as long from now on as others of its kind from their end."""
    kept_ms = rules.retention_of(task.runtime, task.status)
    assert kept_ms is not None, "what is kept for ever needs no stamp"
    return replace(step, until=now + kept_ms)


def by_the_clock(seen: Seen, now: int, judging: DueRules) -> list[Step]:
    """Return what is due of tasks at work: a deadline, a grace, a cancel. Each task once."""
    reasons: dict[bytes, list[str]] = {}
    for due in seen.due(now, judging, UPKEEP_STEPS_MAX, _BY_THE_CLOCK):
        reasons.setdefault(due.stream, []).append(_BY_THE_CLOCK[due.kind])
    records = seen.records(list(reasons))
    return [
        Step(
            kind=Kind.TASK,
            token=id_text(stream),
            action=Action.RECONCILE,
            reason="; ".join(why),
            version=records[stream].version,
        )
        for stream, why in reasons.items()
        if stream in records
    ]


def _all_over(reader: Reader, now: int, rules: DueRules, broken: Collection[bytes]) -> Over:
    place, steps, kept = Place(), list[Step](), list[Kept]()
    while not place.is_end and len(steps) < UPKEEP_STEPS_MAX:
        page = over_from(reader, now, rules, place, broken=broken)
        place = page.place
        steps.extend(page.steps)
        kept.extend(page.kept[: UPKEEP_KEPT_SHOWN - len(kept)])
    return Over(list({(step.kind, step.token): step for step in steps}.values()), kept, place)


def over_from(
    reader: Reader,
    now: int,
    rules: DueRules,
    place: Place,
    limit: int = AT_ONCE,
    *,
    broken: Collection[bytes] = NOTHING,
    pause: Callable[[], None] = _at_once,
) -> Over:
    """Return the next of what retention says is over, looking at no more than `limit` tasks and flows each.

    Flows come before the tasks that they mirror. A look that goes on at the returned place gets to the others; at the
    end of it, it begins anew. `pause` is called between: whoever looks beside writers lets them go first there.
    """
    return reader.answer(lambda seen: _over(seen, now, rules, place, limit=limit, broken=broken, pause=pause))


def _over(
    seen: Seen,
    now: int,
    rules: DueRules,
    place: Place,
    *,
    limit: int,
    broken: Collection[bytes],
    pause: Callable[[], None],
) -> Over:
    found_over = Over([], [], place)
    kept_ms = {status: flow_kept_ms(rules, status) for status in FLOW_TERMINAL}
    until = {status: now - span for status, span in kept_ms.items() if span is not None}
    ended = overdue.ended_flows(seen, until, limit, place.flows)
    for flow in ended:
        why = keeping_flow(flow, now, kept_ms=kept_ms[flow.status], active_task=task_at_work(seen, flow))
        _take(found_over, flow, UNREADABLE if flow.stream in broken else why)
    tasks = overdue.over(seen, now, limit, rules, place.tasks)
    blocking = blocked_by(seen) if tasks else {}
    for each in tasks:
        pause()
        task = each.record
        if task.stream in broken:
            _take(found_over, task, UNREADABLE)
            continue
        family = family_of(seen, task, blocking.get(task.task_id))
        why = keeping(task, now, kept_ms=rules.retention_of(task.runtime, task.status), family=family)
        mirror = overdue.own_mirror(seen, task) if why.is_over else None
        if mirror is not None:  # it goes with its task, before it
            _take(found_over, mirror, Keeping(Rule.OVER, f"its task {task.task_id} is pruned"))
        _take(found_over, task, why)
    at = Place(
        tasks[-1].due if tasks else place.tasks,
        ended[-1] if ended else place.flows,
        is_end=len(tasks) < limit and len(ended) < limit,
    )
    return replace(found_over, place=at)


def blocked_by(seen: Seen) -> dict[str | None, FlowRecord]:
    """Return the flows that a task blocks, by the ids of those tasks."""
    return {flow.blocked_task_id: flow for flow in overdue.blocked_flows(seen)}


def family_of(seen: Seen, task: TaskRecord, blocked: FlowRecord | None = None) -> Family:
    """Return what a task belongs to and what it is needed for; `blocked` is a flow that it blocks, if one is known."""
    flow = overdue.flow_of(seen, task)
    if flow is None or not needs_tasks(flow):
        flow = blocked
    below = overdue.active_below(seen, task.task_id, 1)
    return Family(flow, below[0].task_id if below else None)


def task_at_work(seen: Seen, flow: FlowRecord) -> str | None:
    """Return the id of a task of a flow that is at work; None when there is none."""
    return next((task.task_id for task in overdue.tasks_of(seen, flow) if task.is_active), None)


def _take(found_over: Over, record: TaskRecord | FlowRecord, why: Keeping) -> None:
    if why.is_over:
        found_over.steps.append(pruning(record, why))
    elif isinstance(record, TaskRecord):
        found_over.kept.append(Kept(Kind.TASK, record.task_id, why))
    else:
        found_over.kept.append(Kept(Kind.FLOW, record.flow_id, why))
