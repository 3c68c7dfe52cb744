"""The facts of a task: past tense, frozen, each with a name on disk that is not a Python path.

A name ends in the version of its shape. When a shape changes, the new one gets the next version and the codec
learns to lift the old one; what is in the log is never rewritten. Fields that have their default are not stored.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeAlias, get_args

from msgspec import Meta, Struct

from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus, NotifyPolicy, Runtime, Scope, Status

Evidence: TypeAlias = dict[str, str | int | float | bool | None]
"""What was seen, flat: the probe, the pid, the file, the exit code."""

Usage: TypeAlias = dict[str, int | float]
"""What the work cost, by name: inputTokens, outputTokens, costUsd …"""

VERSION_MAX = 2**32 - 1  # a key on disk gives a version four bytes

# Held when a record is read: what is stored with another stream or number is damaged.
Position: TypeAlias = Annotated[int, Meta(ge=1)]
Stream: TypeAlias = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=VERSION_MAX)]


class Origin(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where the request came from, and where its completion goes: kept to the letter, a number stays a number.

    What it does not say is filled in from the route that the asking session has then.
    """

    channel: str | None = None
    to: str | int | None = None
    account: str | None = None
    thread: str | int | None = None


class Fact(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"):
    """What every fact of a task has in common: how it is stored."""


class TaskCreated(Fact, frozen=True, kw_only=True, tag="task-created.1"):
    """Somebody asked for work."""

    runtime: Runtime
    task: str
    scope: Scope
    notify: NotifyPolicy
    delivery: DeliveryStatus
    label: str | None = None
    owner: str | None = None
    requester: str | None = None
    child_session: str | None = None
    run_id: str | None = None
    kind: str | None = None
    source_id: str | None = None
    parent: str | None = None
    root: str | None = None
    flow: str | None = None
    agent: str | None = None
    requester_agent: str | None = None
    origin: Origin | None = None
    timeout_ms: int | None = None
    backing: Evidence | None = None
    metadata: dict[str, str] | None = None
    idempotency_key: str | None = None


class TaskAmended(Fact, frozen=True, kw_only=True, tag="task-amended.1"):
    """A repeated creation filled blanks of the first; nothing was overwritten."""

    kind: str | None = None
    source_id: str | None = None
    parent: str | None = None
    root: str | None = None
    flow: str | None = None
    agent: str | None = None
    requester_agent: str | None = None
    origin: Origin | None = None
    timeout_ms: int | None = None
    backing: Evidence | None = None
    metadata: dict[str, str] | None = None
    idempotency_key: str | None = None


class TaskStarted(Fact, frozen=True, kw_only=True, tag="task-started.1"):
    """The work runs. `backing` says what can be probed; `implied` that an end was reported without a start."""

    backing: Evidence | None = None
    implied: bool = False


class TaskProgressed(Fact, frozen=True, kw_only=True, tag="task-progressed.1"):
    """The work got further. `count` updates were folded into this one, `tools` of them used a tool."""

    message: str | None = None
    phase: str | None = None
    step: int | None = None
    steps: int | None = None
    tool: str | None = None
    tools: int = 0
    count: int = 1
    usage: Usage | None = None


class TaskSucceeded(Fact, frozen=True, kw_only=True, tag="task-succeeded.1"):
    """The run ended well. `outcome` is "blocked" when the result that was asked for is missing."""

    summary: str | None = None
    artifacts: tuple[str, ...] = ()
    outcome: str | None = None
    usage: Usage | None = None


class TaskFailed(Fact, frozen=True, kw_only=True, tag="task-failed.1"):
    """The run ended badly."""

    error: str
    summary: str | None = None
    artifacts: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: str | None = None
    usage: Usage | None = None


class TaskTimedOut(Fact, frozen=True, kw_only=True, tag="task-timed-out.1"):
    """The run was stopped because its time was over."""

    error: str | None = None
    summary: str | None = None
    artifacts: tuple[str, ...] = ()
    usage: Usage | None = None


class TaskCancelRequested(Fact, frozen=True, kw_only=True, tag="task-cancel-requested.1"):
    """Somebody wants the work stopped; nothing is stopped yet."""

    reason: str | None = None


class TaskCancelled(Fact, frozen=True, kw_only=True, tag="task-cancelled.1"):
    """The work was stopped. `confirmed` is False when nobody could say so; `stopped` is what really was."""

    reason: str | None = None
    confirmed: bool = True
    stopped: str | None = None
    usage: Usage | None = None


class TaskBackingMissed(Fact, frozen=True, kw_only=True, tag="task-backing-missed.1"):
    """A probe did not find what backs the task: its grace begins."""

    evidence: Evidence


class TaskBackingRestored(Fact, frozen=True, kw_only=True, tag="task-backing-restored.1"):
    """What backs the task is back within the grace: it never was lost."""

    evidence: Evidence


class TaskLost(Fact, frozen=True, kw_only=True, tag="task-lost.1"):
    """Inferred: what backs the task was gone for the whole grace, or is proved dead."""

    rule: str
    evidence: Evidence
    error: str | None = None


class TaskRecovered(Fact, frozen=True, kw_only=True, tag="task-recovered.1"):
    """Observed after an inferred loss: how the task really ended, and the event that this corrects."""

    status: Status
    corrects: int
    signal: str
    evidence: Evidence | None = None
    summary: str | None = None
    error: str | None = None
    artifacts: tuple[str, ...] = ()
    outcome: str | None = None
    usage: Usage | None = None


class TaskLateSignal(Fact, frozen=True, kw_only=True, tag="task-late-signal.1"):
    """Something reached a task that had ended: kept as evidence, the state unchanged."""

    signal: str
    status: Status
    content: dict[str, object]


class TaskLeased(Fact, frozen=True, kw_only=True, tag="task-leased.1"):
    """From now on the work itself says that it lives, at least once in `ttl_ms`; the signs of life are not stored."""

    ttl_ms: int


class TaskNotifyChanged(Fact, frozen=True, kw_only=True, tag="task-notify-changed.1"):
    """The policy of telling changed."""

    policy: NotifyPolicy


class TaskSettled(Fact, frozen=True, kw_only=True, tag="task-settled.1"):
    """An operator ended an active task, with a reason."""

    status: Status
    reason: str


class TaskPruned(Fact, frozen=True, kw_only=True, tag="task-pruned.1"):
    """Retention removed the task from the live views; this is its tombstone."""

    reason: str | None = None


class TaskHeld(Fact, frozen=True, kw_only=True, tag="task-held.1"):
    """The task must not be pruned until it is released."""

    reason: str | None = None


class TaskReleased(Fact, frozen=True, kw_only=True, tag="task-released.1"):
    """The hold is over."""

    reason: str | None = None


class DeliveryQueued(Fact, frozen=True, kw_only=True, tag="delivery-queued.1"):
    """Somebody is to be told: the message is frozen here. It goes over `route`, or waits in `session` to be taken.

    `delivery` names it among those of its task. What nobody has confirmed `until` then goes over the origin's route.
    """

    delivery: str
    kind: DeliveryKind
    text: str
    route: Origin | None = None
    session: str | None = None
    artifacts: tuple[str, ...] = ()
    until: int | None = None


class DeliveryAttempted(Fact, frozen=True, kw_only=True, tag="delivery-attempted.1"):
    """It was sent and certainly did not arrive; the next attempt is due at `due_at` (ms)."""

    delivery: str
    attempt: int
    error: str
    due_at: int


class DeliveryUnknown(Fact, frozen=True, kw_only=True, tag="delivery-unknown.1"):
    """It was sent, and nobody can tell whether it arrived. It is sent again at `due_at` (ms), if that is said."""

    delivery: str
    attempt: int
    error: str
    due_at: int | None = None


class DeliveryDelivered(Fact, frozen=True, kw_only=True, tag="delivery-delivered.1"):
    """It arrived: the receiver said so, and may have its own name for it; or the session has taken it."""

    delivery: str
    attempt: int | None = None
    receipt: str | None = None


class DeliveryFailed(Fact, frozen=True, kw_only=True, tag="delivery-failed.1"):
    """It did not arrive, and is not sent again by itself."""

    delivery: str
    attempt: int
    error: str


class DeliveryRetried(Fact, frozen=True, kw_only=True, tag="delivery-retried.1"):
    """An operator had it sent again. What is reported without a name means all that wait for an operator."""

    delivery: str | None = None
    reason: str | None = None


class DeliveryDismissed(Fact, frozen=True, kw_only=True, tag="delivery-dismissed.1"):
    """It is not sent any more. What is reported without a name means all that have not arrived."""

    delivery: str | None = None
    reason: str | None = None


TaskFact: TypeAlias = (
    TaskCreated
    | TaskAmended
    | TaskStarted
    | TaskProgressed
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | TaskCancelRequested
    | TaskCancelled
    | TaskBackingMissed
    | TaskBackingRestored
    | TaskLost
    | TaskRecovered
    | TaskLateSignal
    | TaskLeased
    | TaskNotifyChanged
    | TaskSettled
    | TaskPruned
    | TaskHeld
    | TaskReleased
    | DeliveryQueued
    | DeliveryAttempted
    | DeliveryUnknown
    | DeliveryDelivered
    | DeliveryFailed
    | DeliveryRetried
    | DeliveryDismissed
)

FACT_TYPES: tuple[type[Fact], ...] = get_args(TaskFact)


def name_on_disk(kind: type[Fact]) -> str:
    """Return the name under which facts of this class are stored, version included."""
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str), kind
    return tag


NAMES: Mapping[type[Fact], str] = MappingProxyType({kind: name_on_disk(kind) for kind in FACT_TYPES})
BY_NAME: Mapping[str, type[Fact]] = MappingProxyType({name: kind for kind, name in NAMES.items()})

assert len(BY_NAME) == len(FACT_TYPES), "two facts share a name on disk"


class Event(Struct, frozen=True, gc=False, array_like=True):
    """One fact in its place: the log's position, the task's version, both times, and who said it.

    `position` counts the log from 1, `version` the task's own events from 1, both without gaps.
    `occurred_at` is when it happened, as reported; `recorded_at` when the ledger wrote it (UTC, ms).
    """

    position: Position
    stream: Stream
    version: Version
    occurred_at: int
    recorded_at: int
    actor: str
    data: TaskFact

    @property
    def type(self) -> str:
        """The fact's name on disk, such as "task-started.1"."""
        return NAMES[self.data.__class__]

    @property
    def task_id(self) -> str:
        """The id of the task that this event belongs to."""
        return id_text(self.stream)
