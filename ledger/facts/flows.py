"""The facts of a flow: a durable record of work in several steps, above tasks."""

from typing import TypeAlias

from tallystick.ledger.facts.fact import Evidence, Fact
from tallystick.ledger.lifecycle import FlowMode, FlowStatus

Json: TypeAlias = object
"""A JSON value as Python has it: dict, list, text, number, True, False, None. Its size and depth are bounded."""


class FlowCreated(Fact, frozen=True, kw_only=True, tag="flow-created.1"):
    """Somebody has a goal that takes several steps. A mirrored one begins when more happens than its task tells."""

    mode: FlowMode
    owner: str
    goal: str
    controller: str | None = None
    step: str | None = None
    state: Json = None
    idempotency_key: str | None = None
    began_at: int | None = None
    """When the task was created that it mirrors (ms)."""
    imported: Evidence | None = None
    """Of what another ledger recorded: which, and its row there, with what of it no fact says."""


class FlowStepClaimed(Fact, frozen=True, kw_only=True, tag="flow-step-claimed.1"):
    """Somebody does this step, and nobody else ever will. A claimant that has a name is known by it when it returns."""

    step: str
    claimant: str | None = None


class FlowWaitingSet(Fact, frozen=True, kw_only=True, tag="flow-waiting-set.1"):
    """The flow waits; it is blocked when it cannot go on before somebody does something about a task or a problem."""

    wait: Json
    step: str | None = None
    state: Json = None
    blocked_task: str | None = None
    blocked_summary: str | None = None


class FlowResumed(Fact, frozen=True, kw_only=True, tag="flow-resumed.1"):
    """The flow goes on: what it waited for is over."""

    step: str | None = None
    state: Json = None


class FlowTaskLinked(Fact, frozen=True, kw_only=True, tag="flow-task-linked.1"):
    """A task that was there already is one of the flow's from now on; the task says so, too."""

    task: str


class FlowFinished(Fact, frozen=True, kw_only=True, tag="flow-finished.1"):
    """The goal was reached."""

    summary: str | None = None
    state: Json = None


class FlowFailed(Fact, frozen=True, kw_only=True, tag="flow-failed.1"):
    """The goal will not be reached."""

    error: str
    state: Json = None


class FlowCancelRequested(Fact, frozen=True, kw_only=True, tag="flow-cancel-requested.1"):
    """Somebody wants all of it stopped: no task joins any more, and those at work are cancelled."""

    reason: str | None = None


class FlowCancelled(Fact, frozen=True, kw_only=True, tag="flow-cancelled.1"):
    """After a cancel the last of the flow's tasks has ended."""


class FlowSettled(Fact, frozen=True, kw_only=True, tag="flow-settled.1"):
    """An operator ended a flow that had not ended, with a reason."""

    status: FlowStatus
    reason: str


class FlowNoted(Fact, frozen=True, kw_only=True, tag="flow-noted.1"):
    """An operator took note of what an audit finds: it says no more of it until something happens to the flow."""

    codes: tuple[str, ...]
    reason: str | None = None


class FlowPruned(Fact, frozen=True, kw_only=True, tag="flow-pruned.1"):
    """Retention removed the flow from the live views; this is its tombstone, also where nothing else of it is left.

    Nobody reports `status` and `ended_at`: they are what the flow was.
    """

    reason: str | None = None
    status: FlowStatus | None = None
    ended_at: int | None = None


class FlowErased(Fact, frozen=True, kw_only=True, tag="flow-erased.1"):
    """What was kept beside the log of all events before this one is gone: these fields of theirs, so many in all.

    Nobody reports but the reason: what is erased is what there is. Of a flow that was pruned before, `status`,
    `ended_at` and `pruned_at` say what it was and since when it is pruned, for this is its last event now.
    """

    reason: str
    fields: tuple[str, ...] = ()
    count: int = 0
    status: FlowStatus | None = None
    ended_at: int | None = None
    pruned_at: int | None = None
