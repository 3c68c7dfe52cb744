"""Judge: what the ledger infers from a verdict. Pure: the record, the verdict, the time and the grace are all.

An inference is only a proposal: the task's own actor decides it, on what it knows then.
"""

from tallystick.ledger.decide import MISSING_SINCE, RULE_DEAD, RULE_GRACE
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import TaskBackingMissed, TaskBackingRestored, TaskLost
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict

GRACE_MS = "graceMs"
WATCHED_SINCE = "watchedSince"


def inferred(
    record: TaskRecord, verdict: Verdict, now: int, *, grace_ms: int, watching_since: int = 0
) -> TaskFact | None:
    """Return the fact that a verdict leads to at a moment (ms), or None when it changes nothing.

    A miss begins the grace; the loss comes when `grace_ms` have passed since the miss and since `watching_since`, from
    when on somebody watched without a break. What is proved dead is lost at once; what the runtime itself has on
    record ends the task as that, or recovers it. Nobody can tell: nothing.
    """
    if record.pruned_at is not None:
        return None
    finding = verdict.finding
    if finding is Finding.ENDED:
        return verdict.outcome if record.is_active or record.status is Status.LOST else None
    if not record.is_active:
        return None
    missed_at = record.backing_missed_at
    if finding is Finding.ALIVE:
        return None if missed_at is None else TaskBackingRestored(evidence=verdict.evidence)
    if finding is Finding.DEAD:
        return TaskLost(rule=RULE_DEAD, evidence=verdict.evidence, error=_in_words(verdict))
    if finding is Finding.MISSING:
        if missed_at is None:
            return TaskBackingMissed(evidence=verdict.evidence)
        watched_since = max(missed_at, watching_since)
        if now >= watched_since + grace_ms:
            seen: Evidence = {
                **verdict.evidence,
                MISSING_SINCE: missed_at,
                WATCHED_SINCE: watched_since,
                GRACE_MS: grace_ms,
            }
            return TaskLost(rule=RULE_GRACE, evidence=seen, error=_in_words(verdict))
    return None


def _in_words(verdict: Verdict) -> str | None:
    detail = verdict.evidence.get("detail")
    return detail if isinstance(detail, str) else None
