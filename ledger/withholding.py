"""Withholding: what an isolated cron run has to tell waits for the work below it. Pure.

Only a success is withheld, and what is told of the run's progress: both are interim while others are still at work on
it. That a run failed is news at once, whoever is still at work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryDismissed, DeliveryQueued, DeliveryReleased, DeliveryWithheld
from tallystick.ledger.lifecycle import Runtime, Scope, Status
from tallystick.ledger.limits import CRON_OUTPUTS_MAX, CRON_STALE_MS
from tallystick.ledger.outbox import Waiting
from tallystick.ledger.record import TaskRecord

MS_PER_HOUR = 3_600_000

STALE = f"stale: it was not told within {CRON_STALE_MS // MS_PER_HOUR} h"
"""Why a message is skipped that has become too old."""

OUTPUT_GAP = "\n\n"
"""Stands between the final outputs of several tasks."""


class Proposal(Struct, frozen=True):
    """What is to become of a message that is withheld, and the texts that a release makes its output of."""

    fact: DeliveryReleased | DeliveryDismissed
    outputs: tuple[str, ...] = ()


def is_isolated(record: TaskRecord) -> bool:
    """Whether this is a run of a cron job in a session of its own, of which somebody is told."""
    session = record.child_session_key
    return (
        record.runtime is Runtime.CRON
        and record.scope_kind is Scope.SESSION
        and session is not None
        and session not in (record.owner_key, record.requester_session_key)
    )


def is_withheld_end(record: TaskRecord) -> bool:
    """Whether what is told of this end waits for the work below it."""
    return record.status is Status.SUCCEEDED and is_isolated(record)


def held_back(notice: DeliveryQueued, event: Event) -> DeliveryWithheld:
    """Return a message that is not sent before it is released."""
    return DeliveryWithheld(
        delivery=notice.delivery,
        kind=notice.kind,
        text=notice.text,
        artifacts=notice.artifacts,
        until=event.recorded_at + CRON_STALE_MS,
    )


def proposed(
    run: TaskRecord, waiting: Waiting, below: Iterable[TaskRecord], *, now: int, as_of: int
) -> Proposal | None:
    """Return what becomes of a withheld message of a run, None when it has to wait.

    `below` is all that worked below the run, as of the position `as_of`.
    """
    if waiting.due_at is not None and now >= waiting.due_at:
        return Proposal(DeliveryDismissed(delivery=waiting.delivery, reason=STALE))
    known = list(below)
    at_work = sum(record.is_active for record in known)
    if not waiting.is_main:
        if at_work:
            reason = f"interim: {_counted(at_work, 'task')} below it at work"
            return Proposal(DeliveryDismissed(delivery=waiting.delivery, reason=reason))
        return Proposal(DeliveryReleased(delivery=waiting.delivery, as_of=as_of))
    if at_work:
        return None
    later = [record for record in known if _ended_after(record, run)]
    last = list(_with_output(later))[-CRON_OUTPUTS_MAX:]
    fact = DeliveryReleased(
        delivery=waiting.delivery,
        as_of=as_of,
        sources=tuple(record.task_id for record in last),
        reason=None if last or not later else _without_output(later),
    )
    return Proposal(fact, tuple(record.terminal_summary or "" for record in last))


def _ended_after(record: TaskRecord, other: TaskRecord) -> bool:
    """Whether one ended after another: what had ended before, the other could have known."""
    return (record.ended_at_position or 0) > (other.ended_at_position or 0)


def _with_output(later: list[TaskRecord]) -> Iterator[TaskRecord]:
    """Yield what has a final output, in the order of the ends.

    That of a task is interim as long as what it started goes on: then what that says counts instead.
    """
    done = sorted(filter(_has_output, later), key=lambda record: record.ended_at_position or 0)
    by_id = {record.task_id: record for record in later}
    by_session = {record.child_session_key: record for record in later if record.child_session_key is not None}
    interim = set()
    for child in done:
        above = by_id.get(child.parent_task_id or "") or by_session.get(child.requester_session_key or "")
        if above is not None and _ended_after(child, above):
            interim.add(above.task_id)
    return (record for record in done if record.task_id not in interim)


def _has_output(record: TaskRecord) -> bool:
    is_done = record.status is Status.SUCCEEDED and record.terminal_outcome is None
    return is_done and bool(record.terminal_summary and record.terminal_summary.strip())


def _without_output(later: list[TaskRecord]) -> str:
    """Say how everything ended that ended without an output."""
    ends = Counter(record.shown_status for record in later)
    told = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in sorted(ends.items()))
    return f"what worked below it ended without a final output: {told}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"
