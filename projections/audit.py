"""The audit: what is amiss, found by indexes and judged by the rules of upkeep, as of one snapshot.

What is about read models is not among it: who keeps them, and whether they move, is nothing that a snapshot shows.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.limits import (
    CANCEL_STUCK_MS,
    FUTURE_END_MS,
    STALE_FLOW_MS,
    STALE_QUEUED_MS,
    STALE_RUNNING_MS,
    UNDELIVERED_MS,
)
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Damaged, Deleted, EventLog, Stored
from tallystick.ledger.upkeep.finding import Code, Finding
from tallystick.ledger.upkeep.flows import Children, findings_of_flow
from tallystick.ledger.upkeep.heard import Heard, heard_in
from tallystick.ledger.upkeep.standing import finding_of_damage
from tallystick.ledger.upkeep.tasks import NO_SIGNS, Signs, findings_of_task
from tallystick.projections import overdue
from tallystick.projections.acknowledged import acknowledged, news, token_of
from tallystick.projections.due import DueRules
from tallystick.projections.quarantine import Quarantined
from tallystick.projections.seen import Seen
from tallystick.projections.watched import Watched, watched


class Found(Struct, frozen=True):
    """What is amiss, and of the tasks and flows that it is about what was looked at, by their ids.

    `broken` are the tasks and flows that cannot be read, `damages` what is told of that. `unjudged` is how many silent
    tasks are not judged, because more are alive than whoever watches can tell of.
    """

    findings: list[Finding]
    tasks: dict[str, TaskRecord]
    flows: dict[str, FlowRecord]
    broken: set[bytes]
    damages: dict[str, Quarantined]
    unjudged: int = 0


AT_ONCE = 256  # tasks of which the histories are read in one transaction

SILENT = frozenset({Code.STALE_QUEUED, Code.STALE_RUNNING})
"""What is found of a task because nothing was heard of it."""

STALE = frozenset({Code.STALE_RUNNING, Code.STALE_WAITING, Code.STALE_BLOCKED, Code.MISSING_LINKED_TASKS})
"""What is found of a flow because it has not moved."""

Judge: TypeAlias = Callable[..., Iterator[Finding]]
"""Yields what is amiss with a task by its `signs`."""

IsAlive: TypeAlias = Callable[[TaskRecord], bool]
"""Answers whether anybody can see that the work behind a task is there; never blocks."""


def nobody_looks(_task: TaskRecord) -> bool:
    """Nobody can see it."""
    return False


def found(seen: Seen, log: EventLog, now: int, rules: DueRules, *, is_alive: IsAlive = nobody_looks) -> Found:
    """Return what is amiss at `now` (ms). Costs what there is to be looked at, not what is stored.

    `is_alive` is asked about running tasks of which nothing was heard for long, also by no owner that watches them.
    """
    watching = watched(log)
    damages = overdue.quarantined(seen)
    broken = {each.stream for each in damages if each.stream is not None}
    all_found = Found([], {}, {}, broken, {})
    unjudged, tasks = 0, _once(_tasks(seen, now, watching))
    while few := list(islice(tasks, AT_ONCE)):
        suspects = [each for each in map(partial(_suspect, watching, now, rules, is_alive), few) if each.findings]
        histories = log.histories([each.task.stream for each in suspects])
        for each in suspects:
            task, history = each.task, histories.get(each.task.stream, [])
            of_task = _heard_out(each, history)
            if _may_be_alive(watching, task, now) and any(finding.code is Code.STALE_RUNNING for finding in of_task):
                of_task = [finding for finding in of_task if finding.code is not Code.STALE_RUNNING]
                unjudged += 1
            if of_task and _is_whole(history, task.stream, broken, damages):
                all_found.findings.extend(of_task)
                all_found.tasks[task.task_id] = task
    for flow in _flows(seen, now):
        of_flow = list(findings_of_flow(flow, now, children_of(seen, flow)))
        if not STALE.isdisjoint(finding.code for finding in of_flow):
            of_flow = list(findings_of_flow(flow, now, _children_heard(seen, log, flow, now)))
        if of_flow and _is_whole(log.stream(flow.stream), flow.stream, broken, damages):
            all_found.findings.extend(of_flow)
            all_found.flows[flow.flow_id] = flow
    for damage in news(damages, acknowledged(log)):
        token = token_of(damage)
        all_found.damages[token] = damage
        all_found.findings.append(finding_of_damage(token, damage.detail, is_stream=damage.stream is not None))
    return replace(all_found, unjudged=unjudged)


class _Suspect(Struct, frozen=True):
    """A task, what is amiss with it as far as its record and its signs tell, and how that was judged."""

    task: TaskRecord
    judge: Judge
    signs: Signs
    findings: list[Finding]


def _suspect(watching: Watched, now: int, rules: DueRules, is_alive: IsAlive, task: TaskRecord) -> _Suspect:
    kept_ms = rules.retention_of(task.runtime, task.status)
    judge: Judge = partial(findings_of_task, task, now, kept_ms=kept_ms)
    signs = _signs(watching, task)
    of_task = list(judge(signs=signs))
    if any(finding.code is Code.STALE_RUNNING for finding in of_task) and is_alive(task):
        signs = replace(signs, alive_at=now)
        of_task = list(judge(signs=signs))
    return _Suspect(task, judge, signs, of_task)


def _heard_out(suspect: _Suspect, history: Iterable[Stored]) -> list[Finding]:
    """Return what is amiss with a task: of one that seems silent, by when the ledger heard of it."""
    if SILENT.isdisjoint(finding.code for finding in suspect.findings):
        return suspect.findings
    heard = _when_heard(history)
    return list(suspect.judge(signs=replace(suspect.signs, first_heard_at=heard.first, last_heard_at=heard.last)))


def _when_heard(history: Iterable[Stored]) -> Heard:
    return heard_in(stored for stored in history if isinstance(stored, Event))


def _may_be_alive(watching: Watched, task: TaskRecord, now: int) -> bool:
    """Whether a task may be one of those that were seen alive and are not told of, for there are too many."""
    beyond_at = watching.beyond_at
    return beyond_at is not None and now - beyond_at < STALE_RUNNING_MS and task.stream not in watching.alive


def _is_whole(history: Iterable[Stored], stream: bytes, broken: set[bytes], damages: list[Quarantined]) -> bool:
    """Whether all of a task or flow can be read: nothing can be asked of one that cannot, and that is what is amiss."""
    if stream in broken:
        return False
    for stored in history:
        if isinstance(stored, Damaged) and not isinstance(stored, Deleted):
            broken.add(stream)
            damages.append(Quarantined(stored.position, stored.position, stored.detail, stream))
            return False
    return True


def _tasks(seen: Seen, now: int, signs: Watched) -> Iterator[TaskRecord]:
    """Yield the tasks with which something may be amiss."""
    yield from overdue.queued_since(seen, now - STALE_QUEUED_MS)
    yield from overdue.silent_since(seen, now - STALE_RUNNING_MS)
    yield from seen.records(list(signs.unknown)).values()
    yield from overdue.lost(seen)
    yield from overdue.with_failed_messages(seen)
    yield from overdue.with_messages_on_their_way(seen, now - UNDELIVERED_MS)
    yield from overdue.ended_after(seen, now + FUTURE_END_MS)
    yield from overdue.contradicted(seen)


def _flows(seen: Seen, now: int) -> Iterator[FlowRecord]:
    """Yield the flows with which something may be amiss, each once."""
    met: set[str] = set()
    for flow in (
        *overdue.silent_flows(seen, now - STALE_FLOW_MS),
        *overdue.blocked_flows(seen),
        *overdue.cancelling_flows(seen, now - CANCEL_STUCK_MS),
    ):
        if flow.flow_id not in met:
            met.add(flow.flow_id)
            yield flow


def _once(tasks: Iterable[TaskRecord]) -> Iterator[TaskRecord]:
    met: set[str] = set()
    for task in tasks:
        if task.task_id not in met:
            met.add(task.task_id)
            yield task


def _signs(signs: Watched, task: TaskRecord) -> Signs:
    """Return what whoever watches has seen of a task."""
    unknown = signs.unknown.get(task.stream)
    if unknown is None:
        alive_at = signs.alive.get(task.stream)
        return NO_SIGNS if alive_at is None else Signs(alive_at=alive_at)
    detail = f"{unknown.probe}: {unknown.detail}" if unknown.detail else unknown.probe
    return Signs(signs.alive.get(task.stream), unknown.since, detail)


def children_of(seen: Seen, flow: FlowRecord) -> Children:
    """Return what the tasks of a flow tell of it."""
    tasks = overdue.tasks_of(seen, flow)
    blocked = None if flow.blocked_task_id is None else id_bytes_or_none(flow.blocked_task_id)
    return Children(
        count=len(tasks),
        active=sum(task.is_active for task in tasks),
        heard_at=max((task.last_event_at for task in tasks), default=0),
        misses_blocked=flow.blocked_task_id is not None and (blocked is None or seen.task(blocked) is None),
    )


def _children_heard(seen: Seen, log: EventLog, flow: FlowRecord, now: int) -> Children:
    """Return the same, with when the ledger heard of the flow or its tasks, whenever that is said to have happened.

    What was written last is asked first, and no more than it takes: nothing in the log is newer than what follows it.
    """
    children, since = children_of(seen, flow), now - STALE_FLOW_MS
    heard_at = _when_heard(log.stream(flow.stream)).last or 0
    for task in sorted(overdue.tasks_of(seen, flow), key=lambda task: -task.position):
        if heard_at > since:
            break
        history = [stored for stored in log.stream(task.stream) if isinstance(stored, Event)]
        heard_at = max(heard_at, heard_in(history).last or 0)
        if not history or history[-1].recorded_at <= since:
            break
    return replace(children, heard_at=max(children.heard_at, heard_at))
