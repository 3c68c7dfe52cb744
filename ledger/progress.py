"""Coalescing of progress: many updates of one second become one event that counts them."""

from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import TaskProgressed
from tallystick.ledger.limits import COUNT_MAX, PROGRESS_MS_MIN


def is_too_soon(last_ms: int | None, now_ms: int) -> bool:
    """Whether a task's last durable progress, recorded at `last_ms`, is less than PROGRESS_MS_MIN old.

    A clock that was set back does not hold progress up: only time that has passed since counts.
    """
    return last_ms is not None and 0 <= now_ms - last_ms < PROGRESS_MS_MIN


def merged(first: TaskProgressed, second: TaskProgressed) -> TaskProgressed:
    """Return one update that says what both say: the newer text and step, the sum of the counts, and their marks."""
    told, at = second if second.message else first, second if second.phase else first
    return TaskProgressed(
        redacted=tuple(name for name, said in (("message", told), ("phase", at)) if name in said.redacted),
        message=told.message,
        phase=at.phase,
        step=first.step if second.step is None else second.step,
        steps=first.steps if second.steps is None else second.steps,
        tool=second.tool or first.tool,
        tools=min(first.tools + second.tools, COUNT_MAX),
        count=min(first.count + second.count, COUNT_MAX),
        usage=total(first.usage, second.usage),
    )


def total(first: Usage | None, second: Usage | None) -> Usage | None:
    """Return the sum of two usages, name by name: usage is reported in parts and adds up."""
    if not first or not second:
        return first or second
    amounts = dict(first)
    for name, amount in second.items():
        amounts[name] = min(amounts.get(name, 0) + amount, COUNT_MAX)
    return amounts
