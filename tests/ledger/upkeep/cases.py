"""One case for every kind and code that a pure rule judges: what it is about, and from when on it is told."""

from collections.abc import Callable

from msgspec import Struct

from tallystick.ledger.facts.deliveries import DeliveryFailed
from tallystick.ledger.facts.tasks import TaskLost, TaskStarted, TaskSucceeded
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.limits import (
    CANCEL_STUCK_MS,
    FUTURE_END_MS,
    PROBE_FAILING_MS,
    RETENTION_TERMINAL_MS,
    STALE_FLOW_MS,
    STALE_QUEUED_MS,
    STALE_RUNNING_MS,
    UNDELIVERED_MS,
)
from tallystick.ledger.upkeep.finding import Code, Finding, Kind
from tallystick.ledger.upkeep.flows import Children, findings_of_flow
from tallystick.ledger.upkeep.tasks import NO_SIGNS, Signs, findings_of_task
from tests.announced import Announced, asked
from tests.ledger.flows.tale import Tale
from tests.story import OTHER_ID, Story, created

KEPT_MS = RETENTION_TERMINAL_MS
NAME = "terminal:succeeded:default"

Findings = list[Finding]


class Case(Struct, frozen=True):
    """Something that is amiss from `since` (ms) on, and not a millisecond before."""

    kind: Kind
    code: Code
    look: Callable[[int], Findings]
    since: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.code}"


def of_task(story: Story, signs: Signs = NO_SIGNS, kept_ms: int | None = KEPT_MS) -> Callable[[int], Findings]:
    """Return what is found of a task at a moment."""
    return lambda now: list(findings_of_task(story.record, now, kept_ms=kept_ms, signs=signs))


def of_flow(tale: Tale, children: Children | None = None) -> Callable[[int], Findings]:
    """Return what is found of a flow at a moment."""
    return lambda now: list(findings_of_flow(tale.record, now, children or Children()))


def _task_cases() -> list[Case]:
    queued, running = Story(created()), Story(created(), TaskStarted())
    lost = Story(created(), TaskStarted(), TaskLost(rule="proved dead", evidence={}))
    ahead = Story(created(), TaskStarted())
    ahead.tell(TaskSucceeded(), occurred_at=ahead.now_ms + FUTURE_END_MS + 5_000)
    early = Story(created())
    early.tell(TaskStarted(), occurred_at=early.now_ms - 60_000)
    told = Announced(asked(), TaskStarted(), TaskSucceeded())
    failed = Announced(asked(), TaskStarted(), TaskSucceeded())
    failed.tell(DeliveryFailed(delivery=NAME, attempt=3, error="410 Gone"))
    unknown = Signs(alive_at=None, unknown_since=running.now_ms, unknown_detail="no route to host")
    return [
        Case(Kind.TASK, Code.STALE_QUEUED, of_task(queued), queued.now_ms + STALE_QUEUED_MS),
        Case(Kind.TASK, Code.STALE_RUNNING, of_task(running), running.now_ms + STALE_RUNNING_MS),
        Case(Kind.TASK, Code.LOST, of_task(lost), lost.now_ms),
        Case(Kind.TASK, Code.DELIVERY_FAILED, of_task(failed), failed.now_ms),
        Case(Kind.TASK, Code.MISSING_CLEANUP, of_task(ahead), ahead.now_ms),
        Case(Kind.TASK, Code.INCONSISTENT_TIMESTAMPS, of_task(early), early.now_ms),
        Case(Kind.TASK, Code.PROBE_FAILING, of_task(running, unknown), running.now_ms + PROBE_FAILING_MS),
        Case(Kind.TASK, Code.UNDELIVERED, of_task(told), told.now_ms + UNDELIVERED_MS),
    ]


def _flow_cases() -> list[Case]:
    running = Tale(of_flows.resumed())
    waiting = Tale(of_flows.waiting({"for": "approval"}))
    blocked = Tale(of_flows.waiting(None, blocked="a key is missing"))
    missing = Tale(of_flows.waiting(None, blocked=OTHER_ID))
    cancelled = Tale(of_flows.cancel_requested("enough"))
    ended = Children(count=2, heard_at=running.now_ms)
    return [
        Case(Kind.FLOW, Code.STALE_RUNNING, of_flow(running, ended), running.now_ms + STALE_FLOW_MS),
        Case(Kind.FLOW, Code.STALE_WAITING, of_flow(waiting), waiting.now_ms + STALE_FLOW_MS),
        Case(Kind.FLOW, Code.STALE_BLOCKED, of_flow(blocked), blocked.now_ms + STALE_FLOW_MS),
        Case(Kind.FLOW, Code.CANCEL_STUCK, of_flow(cancelled), cancelled.now_ms + CANCEL_STUCK_MS),
        Case(Kind.FLOW, Code.MISSING_LINKED_TASKS, of_flow(Tale()), Tale().now_ms + STALE_FLOW_MS),
        Case(Kind.FLOW, Code.BLOCKED_TASK_MISSING, of_flow(missing, Children(misses_blocked=True)), missing.now_ms),
    ]


CASES = [*_task_cases(), *_flow_cases()]

AT_ONCE = frozenset(
    {
        Code.LOST,
        Code.DELIVERY_FAILED,
        Code.MISSING_CLEANUP,
        Code.INCONSISTENT_TIMESTAMPS,
        Code.BLOCKED_TASK_MISSING,
    }
)
"""What does not wait for a time to pass."""
