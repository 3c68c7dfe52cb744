"""The rules of an audit about tasks. Pure: a record, and what else is known of it, against the clock."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger.events import NAMES
from tallystick.ledger.facts.tasks import TaskSettled
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Status
from tallystick.ledger.limits import (
    PROBE_FAILING_MS,
    STALE_QUEUED_MS,
    STALE_RUNNING_MS,
    UNDELIVERED_MS,
)
from tallystick.ledger.outbox import MONITOR
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.finding import Action, Code, Finding, Kind, Severity
from tallystick.ledger.upkeep.spans import span
from tallystick.ledger.upkeep.times import INCONSISTENT, cleanup_time, contradiction, is_ahead
from tallystick.ledger.upkeep.treatment import found

_SETTLED = NAMES[TaskSettled]


class Signs(Struct, frozen=True):
    """What is known of a task besides its record.

    When it was seen alive last (ms), and since when its probe cannot tell, with what the probe says. And when the
    ledger heard of it, first and last: a report may come late, and who sends one is there.
    """

    alive_at: int | None = None
    unknown_since: int | None = None
    unknown_detail: str | None = None
    first_heard_at: int | None = None
    last_heard_at: int | None = None


NO_SIGNS = Signs()

assert str(Code.INCONSISTENT_TIMESTAMPS) == INCONSISTENT, "the index leaves out what is noted by this name"


def findings_of_task(
    record: TaskRecord, now: int, *, kept_ms: int | None, signs: Signs = NO_SIGNS
) -> Iterator[Finding]:
    """Yield what is amiss with a task at `now` (ms). `kept_ms` is how long it is kept after its end, None for ever."""
    if record.pruned_at is not None:
        return
    noted = frozenset(record.noted)
    for finding in _all(record, now, kept_ms, signs):
        if finding.code not in noted:  # what an operator has taken note of is not told again
            yield finding


def _all(record: TaskRecord, now: int, kept_ms: int | None, signs: Signs) -> Iterator[Finding]:
    told = contradiction(record)
    if told is not None:
        yield _of(record, Code.INCONSISTENT_TIMESTAMPS, told, now - record.last_event_at)
    if record.is_active:
        yield from _active(record, now, signs)
    else:
        yield from _ended(record, now, kept_ms)
    yield from _stuck(record, now)


def heard_at(record: TaskRecord, signs: Signs = NO_SIGNS) -> int:
    """Return when a running task was last heard of (ms): by an event, by a sign of life, or by its probe."""
    return max(record.last_event_at, signs.last_heard_at or 0, signs.alive_at or 0)


def _active(record: TaskRecord, now: int, signs: Signs) -> Iterator[Finding]:
    if record.status is Status.QUEUED:
        age = now - max(record.created_at, signs.first_heard_at or 0)
        if age >= STALE_QUEUED_MS:
            yield _of(record, Code.STALE_QUEUED, f"nobody has started it for {span(age)}", age)
    else:
        age = now - heard_at(record, signs)
        if age >= STALE_RUNNING_MS:
            yield _of(record, Code.STALE_RUNNING, f"nothing was heard of it for {span(age)}", age)
    if signs.unknown_since is not None:
        age = now - signs.unknown_since
        if age >= PROBE_FAILING_MS:
            said = f": {signs.unknown_detail}" if signs.unknown_detail else ""
            yield _of(record, Code.PROBE_FAILING, f"its probe cannot tell for {span(age)}{said}", age)


def _ended(record: TaskRecord, now: int, kept_ms: int | None) -> Iterator[Finding]:
    assert record.ended_at is not None, "it has ended"
    age = now - record.ended_at
    until = cleanup_time(record, now, kept_ms)
    if record.status is Status.LOST and not is_settled_by_hand(record):
        why = record.error or "what backs it is gone"
        is_over = until is not None and until <= now
        severity = Severity.ERROR if is_over else Severity.WARN
        yield _of(record, Code.LOST, why, age, severity=severity)
    if kept_ms is not None and record.cleanup_after is None and is_ahead(record, now):
        detail = f"it ended at {record.ended_at} (ms) by what was reported, which has not come yet"
        yield _of(record, Code.MISSING_CLEANUP, detail, None)
    yield from _underway(record, now)


def _stuck(record: TaskRecord, now: int) -> Iterator[Finding]:
    """Yield that messages wait for an operator: whom a silent task would not tell, a monitoring route may."""
    is_silent = record.notify_policy is NotifyPolicy.SILENT
    stuck = [each for each in record.outbox if each.is_stuck and (not is_silent or MONITOR in each.delivery)]
    if stuck:
        what = "its message did" if len(stuck) == 1 else f"{len(stuck)} of its messages did"
        age = now - min(each.queued_at for each in stuck)
        yield _of(record, Code.DELIVERY_FAILED, f"{what} not arrive, and nobody sends it again by itself", age)
    elif record.delivery_status is DeliveryStatus.FAILED and record.ended_at is not None and not is_silent:
        detail = "nobody was told how it ended, and there is nothing left to be sent"
        yield _of(record, Code.DELIVERY_FAILED, detail, now - record.ended_at, action=Action.NOTE)


def _underway(record: TaskRecord, now: int) -> Iterator[Finding]:
    """Yield that the message about an end takes long: how long, is counted anew when somebody has it sent again."""
    sent = [max(each.queued_at, record.ended_at or 0) for each in record.outbox if each.is_sent]
    if sent and now - min(sent) >= UNDELIVERED_MS:
        age = now - min(sent)
        yield _of(record, Code.UNDELIVERED, f"its message is on its way for {span(age)}", age)


def is_settled_by_hand(record: TaskRecord) -> bool:
    """Whether an operator ended a task: what somebody has decided is no finding."""
    return record.ended_by == _SETTLED


def _of(
    record: TaskRecord,
    code: Code,
    detail: str,
    age_ms: int | None,
    *,
    severity: Severity | None = None,
    action: Action | None = None,
) -> Finding:
    return found(
        Kind.TASK,
        code,
        detail,
        token=record.task_id,
        age_ms=None if age_ms is None else max(age_ms, 0),
        status=record.shown_status,
        severity=severity,
        action=action,
    )
