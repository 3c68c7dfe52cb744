"""The times of a task, as they were reported: against each other, against the clock, and how long it is kept. Pure.

Light to import: whoever reads a list needs no more of upkeep than this.
"""

from typing import Final

from tallystick.ledger.limits import FUTURE_END_MS, TIMES_APART_MS
from tallystick.ledger.record import TaskRecord

INCONSISTENT: Final = "inconsistent_timestamps"
"""What an audit calls it when they contradict each other."""


def contradiction(record: TaskRecord) -> str | None:
    """Return how the reported times of a task contradict each other, None when they do not.

    Less than TIMES_APART_MS says nothing: clocks are set now and then, and those of two who report are never the same.
    """
    started, ended = record.started_at, record.ended_at
    if started is not None and _is_before(started, record.created_at):
        return f"it started at {started}, before it was created at {record.created_at} (ms)"
    if ended is not None and _is_before(ended, record.created_at):
        return f"it ended at {ended}, before it was created at {record.created_at} (ms)"
    if ended is not None and started is not None and _is_before(ended, started):
        return f"it ended at {ended}, before it started at {started} (ms)"
    return None


def _is_before(one: int, other: int) -> bool:
    return other - one >= TIMES_APART_MS


def is_ahead(record: TaskRecord, now: int) -> bool:
    """Whether a task ended in the future by what was reported, so that retention cannot count from its end."""
    return record.ended_at is not None and record.ended_at > now + FUTURE_END_MS


def cleanup_time(record: TaskRecord, now: int, kept_ms: int | None) -> int | None:
    """Return when a task's retention ends (ms): as stamped, else `kept_ms` after its end. None: never, or unknown."""
    if record.ended_at is None or kept_ms is None:
        return None
    if record.cleanup_after is not None:
        return record.cleanup_after
    return None if is_ahead(record, now) else record.ended_at + kept_ms
