"""The agenda: every step that upkeep would take now, and what it leaves alone though its retention is over.

Whoever does it by itself asks for some steps at a time; an operator sees all of them before any is taken.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.flows.mirror import has_mirror
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
    """Where a look at what retention says is over goes on; `is_past_flows` when it has seen all flows."""

    tasks: Due | None = None
    flows: FlowRecord | None = None
    is_past_flows: bool = False
    is_end: bool = False


class Over(Struct, frozen=True):
    """What retention says is over: the steps that prune it, what is kept all the same, and where the look goes on.

    Of the tasks that are kept for their flow, `firsts` are those with which a flow that mirrors them goes.
    """

    steps: list[Step]
    kept: list[Kept]
    place: Place
    firsts: list[bytes]


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
    place, steps, kept, firsts = Place(), list[Step](), list[Kept](), list[bytes]()
    while not place.is_end and len(steps) < UPKEEP_STEPS_MAX:
        page = over_from(reader, now, rules, place, broken=broken)
        place = page.place
        steps.extend(page.steps)
        firsts.extend(page.firsts)
        kept.extend(page.kept[: UPKEEP_KEPT_SHOWN + len(firsts) - len(kept)])
    steps = list({(step.kind, step.token): step for step in steps}.values())
    last = reader.answer(lambda seen: _last_of_mirrors(seen, now, rules, firsts, steps)) if firsts else []
    leaving = {step.token for step in last}
    kept = [each for each in kept if each.token not in leaving]
    return Over([*steps, *last], kept[:UPKEEP_KEPT_SHOWN], place, [])


def _last_of_mirrors(
    seen: Seen, now: int, rules: DueRules, firsts: Sequence[bytes], steps: Sequence[Step]
) -> list[Step]:
    """Return the steps that prune flows with their first tasks, of which all others are pruned by the steps before."""
    leaving = {step.token for step in steps if step.kind is Kind.TASK}
    blocked, last = overdue.Blocked(seen), list[Step]()
    for first in firsts:
        task = seen.task(first)
        one = None if task is None else overdue.another_of_mirror(seen, task)
        if task is None or one is None or one.task_id not in leaving:
            continue
        others = tuple(each.task_id for each in seen.of_flow(task.parent_flow_id or ""))
        family = replace(family_of(seen, task, blocked), another=None)
        kept_ms = rules.retention_of(task.runtime, task.status)
        why, mirror = keeping(task, now, kept_ms=kept_ms, family=family), overdue.own_mirror(seen, task)
        if why.is_over and mirror is not None and leaving.issuperset(others):
            goes = Keeping(Rule.OVER, f"its task {task.task_id} is pruned")
            pair = pruning(mirror, goes, as_of=seen.head), pruning(task, why, as_of=seen.head)
            last.extend(replace(step, after=others) for step in pair)
    return last


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
    found_over = Over([], [], place, [])
    ended = [] if place.is_past_flows else _flows_over(seen, now, rules, place, limit=limit)
    for flow, why in ended:
        pause()
        _take(found_over, flow, UNREADABLE if flow.stream in broken else why, seen.head)
    tasks = overdue.over(seen, now, limit, rules, place.tasks)
    blocked = overdue.Blocked(seen)
    for each in tasks:
        pause()
        task = each.record
        if task.stream in broken:
            _take(found_over, task, UNREADABLE, seen.head)
            continue
        why = why_kept(seen, task, now, rules, blocked)
        mirror = overdue.own_mirror(seen, task) if why.is_over else None
        if mirror is not None:  # it goes with its task, before it
            _take(found_over, mirror, Keeping(Rule.OVER, f"its task {task.task_id} is pruned"), seen.head)
        if why.rule is Rule.FLOW and has_mirror(task):
            found_over.firsts.append(task.stream)
        _take(found_over, task, why, seen.head)
    is_past_flows = len(ended) < limit
    at = Place(
        tasks[-1].due if tasks else place.tasks,
        ended[-1][0] if ended else place.flows,
        is_past_flows=is_past_flows,
        is_end=is_past_flows and len(tasks) < limit,
    )
    return replace(found_over, place=at)


def _flows_over(seen: Seen, now: int, rules: DueRules, place: Place, *, limit: int) -> list[tuple[FlowRecord, Keeping]]:
    """Return the next flows of which the retention is over, each with why it is kept all the same, if it is."""
    kept_ms = {status: flow_kept_ms(rules, status) for status in FLOW_TERMINAL}
    until = {status: now - span for status, span in kept_ms.items() if span is not None}
    ended = overdue.ended_flows(seen, until, limit, place.flows)
    return [
        (flow, keeping_flow(flow, now, kept_ms=kept_ms[flow.status], active_task=task_at_work(seen, flow)))
        for flow in ended
    ]


def why_kept(
    seen: Seen, task: TaskRecord, now: int, rules: DueRules, blocked: overdue.Blocked | None = None
) -> Keeping:
    """Return why a task is kept at `now` (ms), by all that belongs to it. Whoever asks of many has `blocked`."""
    family = family_of(seen, task, blocked or overdue.Blocked(seen))
    return keeping(task, now, kept_ms=rules.retention_of(task.runtime, task.status), family=family)


def family_of(seen: Seen, task: TaskRecord, blocked: overdue.Blocked) -> Family:
    """Return what a task belongs to and what it is needed for."""
    flow, another = overdue.flow_of(seen, task), overdue.another_of_mirror(seen, task)
    if flow is None or not needs_tasks(flow):
        flow = blocked.by(task.task_id)
    below = overdue.active_below(seen, task.task_id, 1)
    return Family(
        flow,
        another=None if another is None else another.task_id,
        active_below=below[0].task_id if below else None,
    )


def task_at_work(seen: Seen, flow: FlowRecord) -> str | None:
    """Return the id of a task of a flow that is at work; None when there is none."""
    task = overdue.at_work_of(seen, flow)
    return None if task is None else task.task_id


def _take(found_over: Over, record: TaskRecord | FlowRecord, why: Keeping, as_of: int) -> None:
    if why.is_over:
        found_over.steps.append(pruning(record, why, as_of=as_of))
    elif isinstance(record, TaskRecord):
        found_over.kept.append(Kept(Kind.TASK, record.task_id, why))
    else:
        found_over.kept.append(Kept(Kind.FLOW, record.flow_id, why))
