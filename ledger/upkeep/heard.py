"""When the ledger heard of a task or a flow, whenever that is said to have happened. Pure.

A record has the times that were reported. A report that came late says little of silence: whoever sent it was there
when it was written. So silence counts from the moment of recording, which the events have.
"""

from collections.abc import Iterable

from msgspec import Struct

from tallystick.ledger.events import OF_FLOWS, Event
from tallystick.ledger.facts.flows import FlowErased, FlowNoted, FlowPruned
from tallystick.ledger.facts.resources import TaskResourceClosed, TaskResourceOpened
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskLeased,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)

WORDS: frozenset[type] = frozenset(
    {
        TaskAmended,
        TaskBackingMissed,
        TaskBackingRestored,
        TaskCancelRequested,
        TaskCancelled,
        TaskCreated,
        TaskFailed,
        TaskLeased,
        TaskLost,
        TaskProgressed,
        TaskRecovered,
        TaskResourceClosed,
        TaskResourceOpened,
        TaskSettled,
        TaskStarted,
        TaskSucceeded,
        TaskTimedOut,
    }
) | (OF_FLOWS - {FlowErased, FlowNoted, FlowPruned})
"""The facts with which something is heard of the work: those that move `last_event_at` of a task, `updated_at` of a
flow. What becomes of messages, and what somebody notes, is none of them."""


class Heard(Struct, frozen=True):
    """When the ledger wrote the first word of a task or flow, and the newest (ms); None where it cannot be read."""

    first: int | None = None
    last: int | None = None


def heard_in(events: Iterable[Event]) -> Heard:
    """Return when the ledger heard of what these are the events of, as far as they can be read."""
    first = last = None
    for event in events:
        if event.data.__class__ in WORDS:
            if event.version == 1:
                first = event.recorded_at
            last = event.recorded_at if last is None else max(last, event.recorded_at)
    return Heard(first, last)
