"""Activities: what programs for process mining call the facts. Pure.

An activity is a fact's name on disk without the version of its shape, such as "task-started". Where a fact says what a
task became, the activity says it, too: "task-settled-as-failed". So its name alone tells what may follow.
"""

from tallystick.ledger.events import FACT_TYPES, NAMES, AnyFact, Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import FlowSettled
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskCreated,
    TaskFailed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import ALLOWED, FLOW_SETTLED_AS, SETTLED_AS, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Deleted, Stored

DAMAGED = "record-damaged"
DELETED = "record-deleted"
"""What stands in the place of a record that cannot be had."""

_PLAIN = {kind: NAMES[kind].rpartition(".")[0] for kind in FACT_TYPES}
_BECAME: dict[type[Fact], frozenset[str]] = {
    TaskSettled: frozenset(SETTLED_AS),
    TaskRecovered: ALLOWED[Status.LOST],
    FlowSettled: frozenset(FLOW_SETTLED_AS),
}
"""The facts that say what something became, and what that can be."""


def activity_of(data: AnyFact) -> str:
    """Return the activity of a fact."""
    if isinstance(data, TaskSettled | TaskRecovered | FlowSettled):
        return became(data.__class__, data.status)
    return _PLAIN[data.__class__]


def activity(stored: Stored) -> str:
    """Return the activity of what is stored at a position."""
    if isinstance(stored, Event):
        return activity_of(stored.data)
    return DELETED if isinstance(stored, Deleted) else DAMAGED


def plain(kind: type[Fact]) -> str:
    """Return the activity of all facts of a class that does not say what something became."""
    assert kind not in _BECAME, f"{kind} has an activity for each status"
    return _PLAIN[kind]


def became(kind: type[Fact], status: str) -> str:
    """Return the activity of the facts of a class that say that something became this."""
    return f"{_PLAIN[kind]}-as-{str(status).replace('_', '-')}"


def activities_of(kind: type[Fact]) -> list[str]:
    """Return every activity that facts of a class can be."""
    return [became(kind, status) for status in sorted(_BECAME[kind])] if kind in _BECAME else [_PLAIN[kind]]


_STOPPED = frozenset({Status.FAILED, Status.TIMED_OUT, Status.CANCELLED})


def transition(task: TaskRecord | None, data: AnyFact) -> str | None:
    """Return the step of the standard lifecycle of XES that a fact is, of the work that its task stands for.

    `task` is what was known after it. None where the standard has no such step: a loss is inferred and no step at all,
    and to fail before anything began is no abort.
    """
    status: Status | None = None
    match data:
        case TaskCreated():
            return "schedule"
        case TaskStarted():
            return "start"
        case TaskSucceeded():
            status = Status.SUCCEEDED
        case TaskFailed():
            status = Status.FAILED
        case TaskTimedOut():
            status = Status.TIMED_OUT
        case TaskCancelled():
            status = Status.CANCELLED
        case TaskSettled() | TaskRecovered():
            status = data.status
        case _:
            return None
    if status is Status.SUCCEEDED:
        return "complete"
    if status not in _STOPPED or task is None:
        return None
    if task.started_at is not None:
        return "ate_abort"
    return "withdraw" if status is Status.CANCELLED else None
