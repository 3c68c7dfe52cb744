"""The finding: one thing that is amiss, as an audit tells it, and how a list of them is ordered and counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    """How bad a finding is."""

    WARN = "warn"
    ERROR = "error"


class Kind(StrEnum):
    """What a finding is about, or what a step of upkeep is done to."""

    TASK = "task"
    FLOW = "flow"
    PROJECTION = "projection"
    STREAM = "stream"
    """A task or flow of which the log cannot be read, or a place in the log."""

    LOG = "log"
    """The log itself: nothing is found of it here, for that is what a verification does."""


class Code(StrEnum):
    """What is amiss. The order is that of the summary."""

    STALE_QUEUED = "stale_queued"
    STALE_RUNNING = "stale_running"
    LOST = "lost"
    DELIVERY_FAILED = "delivery_failed"
    MISSING_CLEANUP = "missing_cleanup"
    INCONSISTENT_TIMESTAMPS = "inconsistent_timestamps"
    PROBE_FAILING = "probe_failing"
    UNDELIVERED = "undelivered"
    PROJECTION_STALLED = "projection_stalled"
    STALE_WAITING = "stale_waiting"
    STALE_BLOCKED = "stale_blocked"
    CANCEL_STUCK = "cancel_stuck"
    MISSING_LINKED_TASKS = "missing_linked_tasks"
    BLOCKED_TASK_MISSING = "blocked_task_missing"
    RESTORE_FAILED = "restore_failed"


class Action(StrEnum):
    """What upkeep does."""

    # By evidence and policy: the live owner does it by itself.
    RECONCILE = "reconcile"  # what is due by the clock: a grace, a deadline, a cancel
    FINISH_CANCEL = "finish_cancel"  # a flow whose tasks have ended ends as cancelled
    STAMP = "stamp"  # a cleanup time
    PRUNE = "prune"  # what retention says is over
    ARCHIVE = "archive"  # a sealed range of the log moves into a segment

    # By an operator alone, who applies it.
    SETTLE = "settle"  # as lost, which a later outcome corrects
    NOTE = "note"  # somebody has taken note of it
    RETRY = "retry"  # messages that did not arrive
    ASK = "ask"  # a probe, again
    REBUILD = "rebuild"  # a read model
    QUARANTINE = "quarantine"  # what cannot be read is left alone, and everybody knows


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One thing that is amiss. Encoded as JSON it has the names of the interface.

    `token` names what it is about as other commands take it: the id of a task or a flow, the name of a read model, a
    position of the log. `age_ms` counts from when it began; `remedy` says what makes it go away, and `action` what of
    that maintenance does when it is applied.
    """

    kind: Kind
    severity: Severity
    code: Code
    detail: str
    token: str
    remedy: str
    action: Action
    age_ms: int | None = None
    status: str | None = None


class Summary(Struct, frozen=True, rename="camel"):
    """How many findings there are, whatever of them is shown."""

    total: int
    warnings: int
    errors: int
    by_code: Mapping[str, int]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with errors first, then the oldest; those of unknown age are the newest."""
    return sorted(findings, key=_rank)


def _rank(finding: Finding) -> tuple[bool, int, str, str]:
    age = -1 if finding.age_ms is None else finding.age_ms
    return finding.severity is not Severity.ERROR, -age, finding.token, finding.code.value


def summary_of(findings: Sequence[Finding]) -> Summary:
    """Count findings."""
    codes = Counter(finding.code for finding in findings)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    return Summary(
        total=len(findings),
        warnings=len(findings) - errors,
        errors=errors,
        by_code={code.value: codes[code] for code in Code if codes[code]},
    )


def chosen(findings: Iterable[Finding], severity: Severity | None = None, code: Code | None = None) -> list[Finding]:
    """Return the findings of this severity and code; None means any."""
    return [each for each in findings if severity in (None, each.severity) and code in (None, each.code)]
