"""Intake: the border where what callers pass becomes facts. Pure; `fields` judges the single values.

Each function returns a fact that is safe to store, or raises `InvalidInput` with the field as the caller spelled it.
Nothing that a caller can change later gets in: mappings and lists are copied.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Required, TypedDict, Unpack

from tallystick.ledger import fields, noted
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.deliveries import DeliveryDismissed, DeliveryRetried
from tallystick.ledger.facts.fact import Evidence, Fact, Origin, Usage
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskCreated,
    TaskErased,
    TaskFailed,
    TaskHeld,
    TaskLeased,
    TaskLost,
    TaskNoted,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import DEFAULT_POLICY, DeliveryStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.limits import (
    ERROR_BYTES_MAX,
    LEASE_MS_MIN,
    MESSAGE_BYTES_MAX,
    REASON_BYTES_MAX,
    SUMMARY_BYTES_MAX,
    TIME_MS_MAX,
    TIMEOUT_MS_MAX,
)

UNEXPLAINED = "no error was given"
"""The error of a failure that came without one: an exception without a message must not hide that a run failed."""

# A creation waits for these: a name of the module is found several times faster than a member of an enumeration.
_SESSION, _SYSTEM = Scope.SESSION, Scope.SYSTEM
_SILENT = NotifyPolicy.SILENT
_PENDING, _NOT_APPLICABLE = DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE
_DEFAULT_POLICY = dict(DEFAULT_POLICY)


class Creation(TypedDict, total=False):
    """What a caller may say about a new task; None is the same as not saying it."""

    runtime: Required[Runtime | str]
    task: Required[str]
    label: str | None
    owner: str | None
    requester: str | None
    child_session: str | None
    run_id: str | None
    kind: str | None
    source_id: str | None
    parent: str | None
    root: str | None
    flow: str | None
    agent: str | None
    requester_agent: str | None
    origin: Origin | Mapping[str, object] | None
    notify: NotifyPolicy | str | None
    timeout_ms: int | None
    backing: Mapping[str, object] | None
    metadata: Mapping[str, str] | None
    idempotency_key: str | None
    request_key: str | None
    scope: Scope | str | None


def _backing(field: str, value: Any) -> Evidence | None:
    """What backs a task, or None when nothing is said about it.

    What names a process has to name one: nobody would look for a pid that is none, and the task would run for ever.
    """
    backing = {} if value is None else fields.evidence(field, value)
    for name, least in _OF_A_PROCESS.items():
        if backing.get(name) is not None:
            fields.whole(f"{field}.{name}", backing[name], least=least)
    return backing or None


_OF_A_PROCESS: Mapping[str, int] = {"pid": 1, "group": 2, "started": 0, "ticks": 0, "runner": 1, "runnerTicks": 0}
"""The least that each number of a backing may be."""


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "runtime": fields.runtime,
    "task": fields.task_text,
    "label": fields.label,
    "owner": fields.key,
    "requester": fields.key,
    "child_session": fields.key,
    "run_id": fields.key,
    "kind": fields.key,
    "source_id": fields.key,
    "parent": fields.task_id,
    "root": fields.task_id,
    "flow": fields.flow_id,
    "agent": fields.key,
    "requester_agent": fields.key,
    "origin": fields.origin,
    "notify": fields.policy,
    "timeout_ms": fields.timeout,
    "backing": _backing,
    "metadata": fields.metadata,
    "idempotency_key": fields.key,
    "request_key": fields.key,
    "scope": fields.scope,
}

assert set(_CHECKS) == set(Creation.__annotations__), "a field that nobody checks"
_OURS = {*Fact.__struct_fields__, "delivery", "imported"}
assert set(_CHECKS) == set(TaskCreated.__struct_fields__) - _OURS, "a field that nobody stores"


def created(**given: Unpack[Creation]) -> TaskCreated:
    """Return the creation that a caller describes, complete: scope, policy and delivery are filled in.

    A cron run without an owner belongs to the system, everything else to the session that asked, which must then be
    named. What belongs to the system is silent and delivered nowhere. A requester that is the owner is not stored:
    the record says the owner for it. Blank keys count as absent.
    """
    kept: dict[str, Any] = {}
    for field, value in given.items():
        if value is not None:
            try:
                check = _CHECKS[field]
            except KeyError:
                raise InvalidInput("a field", field, f"only {', '.join(sorted(_CHECKS))}") from None
            kept[field] = check(field, value)
    if "runtime" not in kept or "task" not in kept:
        missing = "task" if "runtime" in kept else "runtime"
        _CHECKS[missing](missing, None)
    owner = kept.get("owner")
    if "scope" in kept or owner is None:
        kept["scope"] = _scope(kept["runtime"], owner, kept.get("scope"))
    else:
        kept["scope"] = _SESSION
    notify = kept.get("notify")
    if kept["scope"] is _SYSTEM:
        if notify is not None and notify is not _SILENT:
            raise InvalidInput("notify", notify.value, "silent: what belongs to the system tells nobody")
        notify = _SILENT
    elif notify is None:
        notify = _DEFAULT_POLICY[kept["runtime"]]
    kept["notify"] = notify
    kept["delivery"] = _NOT_APPLICABLE if notify is _SILENT else _PENDING
    if "requester" in kept and kept["requester"] == owner:
        kept["requester"] = None
    return TaskCreated(**kept)


def _scope(runtime: Runtime, owner: str | None, asked: Scope | None) -> Scope:
    """Return whom a task belongs to, and refuse what contradicts it."""
    if asked is None:
        asked = Scope.SYSTEM if owner is None and runtime is Runtime.CRON else Scope.SESSION
    if asked is Scope.SESSION and owner is None:
        raise InvalidInput("owner", owner, 'the key of the session that asked, or scope="system" for work of nobody')
    if asked is Scope.SYSTEM and owner is not None:
        raise InvalidInput("owner", owner, 'no owner with scope="system"')
    return asked


def started(backing: Mapping[str, object] | None = None) -> TaskStarted:
    """Return the fact that work began; `backing` is flat and says what can be probed."""
    return TaskStarted(backing=_backing("backing", backing))


def progressed(
    message: str | None = None,
    *,
    phase: str | None = None,
    step: int | None = None,
    steps: int | None = None,
    tool: str | None = None,
    usage: Usage | None = None,
) -> TaskProgressed:
    """Return the fact that work got further: one update, of one tool if it names one.

    The message loses control characters except line breaks and tabs, and is cut at its limit.
    """
    named = None if tool is None else fields.key("tool", tool)
    return TaskProgressed(
        message=fields.report("message", message, bytes_max=MESSAGE_BYTES_MAX, controls=False),
        phase=None if phase is None else fields.key("phase", phase),
        step=fields.count("step", step),
        steps=fields.count("steps", steps),
        tool=named,
        tools=0 if named is None else 1,
        usage=fields.usage("usage", usage),
    )


def succeeded(
    summary: str | None = None,
    *,
    artifacts: Iterable[str] = (),
    outcome: str | None = None,
    usage: Usage | None = None,
) -> TaskSucceeded:
    """Return the fact that a run ended well; a long summary is cut. `outcome` is None or "blocked"."""
    return TaskSucceeded(
        summary=_summary("summary", summary),
        artifacts=fields.artifacts("artifacts", artifacts),
        outcome=fields.outcome("outcome", outcome),
        usage=fields.usage("usage", usage),
    )


def failed(
    error: str,
    *,
    summary: str | None = None,
    artifacts: Iterable[str] = (),
    exit_code: int | None = None,
    signal: str | None = None,
    usage: Usage | None = None,
) -> TaskFailed:
    """Return the fact that a run ended badly; a long error is cut, and a blank one becomes `UNEXPLAINED`."""
    if error is None:
        raise InvalidInput("error", error, "text that says what went wrong")
    return TaskFailed(
        error=_error("error", error) or UNEXPLAINED,
        summary=_summary("summary", summary),
        artifacts=fields.artifacts("artifacts", artifacts),
        exit_code=None if exit_code is None else fields.integer("exit_code", exit_code),
        signal=None if signal is None else fields.key("signal", signal),
        usage=fields.usage("usage", usage),
    )


def timed_out(
    error: str | None = None,
    *,
    summary: str | None = None,
    artifacts: Iterable[str] = (),
    usage: Usage | None = None,
) -> TaskTimedOut:
    """Return the fact that a run was stopped because its time was over; long texts are cut."""
    return TaskTimedOut(
        error=_error("error", error),
        summary=_summary("summary", summary),
        artifacts=fields.artifacts("artifacts", artifacts),
        usage=fields.usage("usage", usage),
    )


def cancel_requested(reason: str | None = None) -> TaskCancelRequested:
    """Return the fact that somebody wants the work stopped; a long reason is cut."""
    return TaskCancelRequested(reason=_reason("reason", reason))


def cancelled(
    reason: str | None = None,
    *,
    confirmed: bool = True,
    stopped: str | None = None,
    usage: Usage | None = None,
) -> TaskCancelled:
    """Return the fact that work was stopped: whether that is certain, and what really was; long texts are cut."""
    return TaskCancelled(
        reason=_reason("reason", reason),
        confirmed=fields.flag("confirmed", confirmed),
        stopped=_summary("stopped", stopped),
        usage=fields.usage("usage", usage),
    )


def settled(status: Status | str, reason: str) -> TaskSettled:
    """Return the fact that an operator ended a task; a reason is required, and cut when it is long."""
    return TaskSettled(status=fields.settled_as("as", status), reason=fields.required_reason("reason", reason))


def notify_changed(policy: NotifyPolicy | str) -> TaskNotifyChanged:
    """Return the fact that somebody changed what is told."""
    return TaskNotifyChanged(policy=fields.policy("policy", policy))


def held(reason: str | None = None) -> TaskHeld:
    """Return the fact that a task must not be pruned; a long reason is cut."""
    return TaskHeld(reason=_reason("reason", reason))


def released(reason: str | None = None) -> TaskReleased:
    """Return the fact that a hold is over; a long reason is cut."""
    return TaskReleased(reason=_reason("reason", reason))


def retried(reason: str | None = None) -> DeliveryRetried:
    """Return the fact that an operator has sent again what could not be delivered; a long reason is cut."""
    return DeliveryRetried(reason=_reason("reason", reason))


def dismissed(reason: str | None = None) -> DeliveryDismissed:
    """Return the fact that an operator gave up what has not arrived; a long reason is cut."""
    return DeliveryDismissed(reason=_reason("reason", reason))


def pruned(reason: str | None = None) -> TaskPruned:
    """Return the fact that retention removed a task; a long reason is cut."""
    return TaskPruned(reason=_reason("reason", reason))


def erased(reason: str) -> TaskErased:
    """Return the fact that the content of a task is erased; a reason is required, and cut when it is long."""
    return TaskErased(reason=fields.required_reason("reason", reason))


def taken_note_of(codes: Iterable[str], reason: str | None = None) -> TaskNoted:
    """Return the fact that an operator knows about findings of these codes; a long reason is cut."""
    return TaskNoted(codes=noted.codes("codes", codes), reason=_reason("reason", reason))


def stamped(cleanup_after: int) -> TaskCleanupStamped:
    """Return the fact that the retention of a task ends at a moment (ms)."""
    return TaskCleanupStamped(cleanup_after=fields.whole("cleanup_after", cleanup_after, most=TIME_MS_MAX))


def missed(evidence: Mapping[str, object]) -> TaskBackingMissed:
    """Return the fact that a probe did not find what backs a task, with what it saw."""
    return TaskBackingMissed(evidence=fields.evidence("evidence", evidence))


def leased(ttl_ms: int) -> TaskLeased:
    """Return the fact that the work itself will say that it lives, at least once in `ttl_ms` milliseconds."""
    return TaskLeased(ttl_ms=fields.whole("ttl_ms", ttl_ms, least=LEASE_MS_MIN, most=TIMEOUT_MS_MAX))


def restored(evidence: Mapping[str, object]) -> TaskBackingRestored:
    """Return the fact that what backs a task is back, with what the probe saw."""
    return TaskBackingRestored(evidence=fields.evidence("evidence", evidence))


def lost(evidence: Mapping[str, object], *, rule: str, error: str | None = None) -> TaskLost:
    """Return the inference that a task is lost: by which rule, and from what evidence."""
    return TaskLost(
        rule=fields.required_key("rule", rule),
        evidence=fields.evidence("evidence", evidence),
        error=_error("error", error),
    )


def recovered(
    status: Status | str,
    *,
    corrects: int,
    evidence: Mapping[str, object],
    signal: str = "recover",
    summary: str | None = None,
    error: str | None = None,
) -> TaskRecovered:
    """Return how a lost task really ended, as `evidence` shows; `corrects` is the position of the loss."""
    return TaskRecovered(
        status=fields.recovered_as("status", status),
        corrects=fields.whole("corrects", corrects, least=1),
        signal=fields.required_key("signal", signal),
        evidence=fields.evidence("evidence", evidence),
        summary=_summary("summary", summary),
        error=_error("error", error),
    )


def moment(occurred_at: int | None) -> int | None:
    """Return when something happened, as reported; None leaves it to the moment of recording."""
    return fields.moment("occurred_at", occurred_at)


def expected(expected_version: int | None) -> int | None:
    """Return the version that a caller expects a task to have; None expects nothing."""
    return fields.count("expected_version", expected_version)


def _summary(field: str, value: str | None) -> str | None:
    return fields.report(field, value, bytes_max=SUMMARY_BYTES_MAX)


def _error(field: str, value: str | None) -> str | None:
    return fields.report(field, value, bytes_max=ERROR_BYTES_MAX)


def _reason(field: str, value: str | None) -> str | None:
    return fields.report(field, value, bytes_max=REASON_BYTES_MAX, controls=False)
