"""The facts of a task's life."""

from tallystick.ledger.facts.fact import Evidence, Fact, Origin, Usage
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Runtime, Scope, Status


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
    request_key: str | None = None
    imported: Evidence | None = None
    """Of what another ledger recorded: which, and its row there, with what of it no fact says."""


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
    """Retention removed the task from the live views; this is its tombstone, also where nothing else of it is left.

    Nobody reports `status` and `ended_at`: they are what the task was. Records of older versions do not say them.
    """

    reason: str | None = None
    status: Status | None = None
    ended_at: int | None = None


class TaskHeld(Fact, frozen=True, kw_only=True, tag="task-held.1"):
    """The task must not be pruned until it is released."""

    reason: str | None = None


class TaskReleased(Fact, frozen=True, kw_only=True, tag="task-released.1"):
    """The hold is over."""

    reason: str | None = None


class TaskNoted(Fact, frozen=True, kw_only=True, tag="task-noted.1"):
    """An operator took note of what an audit finds: it says no more of it until the task's status changes."""

    codes: tuple[str, ...]
    reason: str | None = None


class TaskCleanupStamped(Fact, frozen=True, kw_only=True, tag="task-cleanup-stamped.1"):
    """Retention of the task ends at `cleanup_after` (ms), whatever its configuration says."""

    cleanup_after: int


class TaskLinked(Fact, frozen=True, kw_only=True, tag="task-linked.1"):
    """The task is one of this flow's from now on; it does not have a flow of its own any more."""

    flow: str


class TaskErased(Fact, frozen=True, kw_only=True, tag="task-erased.1"):
    """What was kept beside the log of all events before this one is gone: these fields of theirs, so many in all.

    Nobody reports but the reason: what is erased is what there is. Of a task that was pruned before, `status`,
    `ended_at` and `pruned_at` say what it was and since when it is pruned, for this is its last event now.
    """

    reason: str
    fields: tuple[str, ...] = ()
    count: int = 0
    status: Status | None = None
    ended_at: int | None = None
    pruned_at: int | None = None
