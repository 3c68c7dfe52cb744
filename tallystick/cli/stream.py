"""The stream: events as they are followed and listed, as data and as one line each."""

from typing import Any

from tallystick.cli.cells import cut
from tallystick.cli.facts import KEPT, fact_data, fact_words, marks, verb
from tallystick.cli.screen import Screen
from tallystick.cli.summary import ID_TAIL
from tallystick.cli.times import stamp
from tallystick.ledger.events import Event
from tallystick.ledger.payloads import lacking
from tallystick.plain import plain

CLOCK = slice(11, 23)  # of a stamp: hours to milliseconds
_ROOM_MIN = 20


def event_data(event: Event) -> dict[str, Any]:
    """Return an event of one task or flow as data; `erased` are the fields that were."""
    erased = lacking(event.data)
    return {
        "position": event.position,
        "version": event.version,
        "type": event.type,
        "occurredAt": event.occurred_at,
        "recordedAt": event.recorded_at,
        "actor": event.actor,
        "data": fact_data(event.data),
        **({"erased": list(erased)} if erased else {}),
    }


def log_data(event: Event) -> dict[str, Any]:
    """Return an event of the log as data: the same, and whose it is."""
    return {whose(event.is_of_flow): event.task_id, **event_data(event)}


def whose(is_flow: bool) -> str:
    """Return the name that an id has as data."""
    return "flowId" if is_flow else "taskId"


def event_line(screen: Screen, event: Event) -> str:
    """Return an event on one line: position, time, task or flow, what, by whom. What is too long is cut, no mark is."""
    said = fact_words(event.data)
    head = f"{event.position:>8}  {stamp(event.recorded_at)[CLOCK]}  {event.task_id[-ID_TAIL:]}  "
    marked = "; ".join(f"{what}: {names}" for what, names in marks(event.data).items() if what != KEPT)
    what = f"{verb(event.type)}: {said}" if said else verb(event.type)
    mark = f" ({marked})" if marked else ""
    by = f"  by {plain(event.actor)}"
    room = max(screen.columns - len(head) - len(mark) - len(by), _ROOM_MIN)
    return f"{head}{cut(what, room)}{mark}{screen.dim(by)}"
