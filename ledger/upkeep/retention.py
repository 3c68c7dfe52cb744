"""Retention: until when a task or a flow is kept, and by which rule. Pure."""

from enum import StrEnum

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord, needs_tasks
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.spans import span
from tallystick.ledger.upkeep.times import cleanup_time


class Rule(StrEnum):
    """By which something is kept, or not. Of several that hold the first is told."""

    DAMAGED = "damaged"
    ACTIVE = "active"
    HELD = "held"
    RESOURCES = "resources"
    UNDELIVERED = "undelivered"
    FLOW = "flow"
    BELOW = "below"
    FOREVER = "forever"
    MISSING_CLEANUP = "missing_cleanup"
    RETENTION = "retention"
    OVER = "over"


class Keeping(Struct, frozen=True):
    """Why something is kept, and until when (ms); None when no moment ends it. `is_over` says that it may be pruned."""

    rule: Rule
    reason: str
    until: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing keeps it any more."""
        return self.rule is Rule.OVER


class Family(Struct, frozen=True):
    """What a task belongs to that may need it longer than its own retention has it.

    `flow` is the flow that it is one of, or that mirrors it, or that it blocks. `another` is the id of another task of
    the flow that mirrors it: that flow goes with its first task, so this stays until no other is left. `active_below`
    is the id of a task at work below it, however deep.
    """

    flow: FlowRecord | None = None
    another: str | None = None
    active_below: str | None = None


NO_FAMILY = Family()
UNREADABLE = Keeping(Rule.DAMAGED, 'the log cannot be read there; see "tally verify"')


def keeping(record: TaskRecord, now: int, *, kept_ms: int | None, family: Family = NO_FAMILY) -> Keeping:
    """Return why a task is kept at `now`. `kept_ms` is how long its kind is kept after its end, None for ever.

    What is over may be pruned: the task's own rules let it go, too.
    """
    needed = _needed(record, family)
    if needed is not None:
        return needed
    if kept_ms is None:
        return Keeping(Rule.FOREVER, "its kind is kept for ever")
    until = cleanup_time(record, now, kept_ms)
    if until is None:
        return Keeping(Rule.MISSING_CLEANUP, "it ended in the future by what was reported, and has no cleanup time")
    when = "as stamped" if record.cleanup_after is not None else f"{span(kept_ms)} after its end"
    if until > now:
        return Keeping(Rule.RETENTION, f"its retention ends {when}", until)
    return Keeping(Rule.OVER, f"its retention ended {when}", until)


def _needed(record: TaskRecord, family: Family) -> Keeping | None:
    """Return by which rule somebody still needs a task, whatever its age."""
    if record.is_active:
        return Keeping(Rule.ACTIVE, f"it is {record.status}")
    if record.held_at is not None:
        return Keeping(Rule.HELD, f'somebody holds it; "tally release {record.task_id}" ends that')
    if record.resources:
        return Keeping(Rule.RESOURCES, f"{len(record.resources)} of what it opened is not closed yet")
    for waiting in record.outbox:
        if waiting.is_withheld:
            return Keeping(Rule.UNDELIVERED, "its message waits for the work below it")
        if waiting.is_sent:
            return Keeping(Rule.UNDELIVERED, f'its message is on its way; see "tally deliveries {record.task_id}"')
        if not waiting.is_stuck:
            where = f"its message waits in the session {waiting.session} to be taken"
            return Keeping(Rule.UNDELIVERED, f'{where}; "tally dismiss {record.task_id}" gives it up')
    if family.flow is not None and needs_tasks(family.flow):
        return Keeping(Rule.FLOW, f"its flow {family.flow.flow_id} is {family.flow.status}")
    if family.another is not None:
        return Keeping(Rule.FLOW, f"the flow that mirrors it goes with it, and {family.another} of that is kept")
    if family.active_below is not None:
        return Keeping(Rule.BELOW, f"{family.active_below} below it is at work")
    return None


def keeping_flow(flow: FlowRecord, now: int, *, kept_ms: int | None, active_task: str | None = None) -> Keeping:
    """Return why a flow is kept at `now`. One that waits or is blocked has not ended, and is never pruned.

    `active_task` is the id of a task of the flow that is at work although that has ended. Of a flow that mirrors tasks
    ask `keeping_mirror` while its first one is there.
    """
    if flow.ended_at is None or flow.is_active:
        return Keeping(Rule.ACTIVE, f"it is {flow.status}")
    if active_task is not None:
        return Keeping(Rule.BELOW, f"{active_task}, a task of it, is at work")
    if kept_ms is None:
        return Keeping(Rule.FOREVER, "its kind is kept for ever")
    until = flow.ended_at + kept_ms
    when = f"{span(kept_ms)} after its end"
    if until > now:
        return Keeping(Rule.RETENTION, f"its retention ends {when}", until)
    return Keeping(Rule.OVER, f"its retention ended {when}", until)


def keeping_mirror(flow: FlowRecord, first_task: str, first: Keeping) -> Keeping:
    """Return why a flow that mirrors tasks is kept. It goes with its first task; `first` says why that is kept."""
    if needs_tasks(flow):
        return Keeping(Rule.ACTIVE, f"it is {flow.status}")
    return Keeping(first.rule, f"it goes with its first task {first_task}: {first.reason}", first.until)
