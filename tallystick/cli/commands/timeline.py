"""`tally timeline`: every event of one task or flow, in order."""

from collections.abc import Iterator, Sequence

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.cells import wrap
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.facts import ERASED, fact_words, marks, verb
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.screen import COLUMNS_MIN, Screen
from tallystick.cli.stream import event_data, log_data, whose
from tallystick.cli.summary import ID_TAIL
from tallystick.cli.times import stamp, took
from tallystick.ledger.events import ERASURES, Event
from tallystick.plain import plain

_INDENT = 10


@_command(
    "timeline",
    json="""{taskId, events: [{position, version, type, occurredAt, recordedAt, actor, data, erased}]}
    of a flow {flowId, events: [{flowId or taskId, position, …}]}""",
    help="""LOOKUP as in "tally show" or, when that names no task, as in "tally flow show". A pruned task has a timeline
    too: the log keeps what the lists forget. Of a flow that mirrors tasks their events are among its own.""",
)
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str) -> Answer:
    """Show a task's or flow's events."""
    with call.readings(or_none_yet=True) as readings:
        found, is_flow = either_id_of(readings, lookup)
        events = readings.timeline(found)
    as_data = log_data if is_flow else event_data
    data = {whose(is_flow): found, "events": [as_data(event) for event in events]}
    title = f"{'Flow' if is_flow else 'Task'} {found}"
    return Answer(data, lambda screen: _lines(screen, title, events, of_several=is_flow))


def _lines(screen: Screen, title: str, events: Sequence[Event], *, of_several: bool) -> Iterator[str]:
    noun = "event" if len(events) == 1 else "events"
    yield f"{screen.bold(title)}  {len(events)} {noun}"
    before: Event | None = None
    for event in events:
        since = "" if before is None else f"+{took(event.recorded_at - before.recorded_at)}"
        late = event.recorded_at - event.occurred_at
        reported = f"  happened {stamp(event.occurred_at)}" if late else ""
        of = f"task {event.task_id[-ID_TAIL:]} " if of_several and not event.is_of_flow else ""
        what = f"v{event.version} {of}{screen.bold(verb(event.type))}  {screen.dim(f'by {plain(event.actor)}')}"
        yield f"{event.position:>8}  {stamp(event.recorded_at)}  {since:>8}  {what}{reported}"
        said = fact_words(event.data)
        if said:
            yield from _indented(screen, said)
        for how, names in marks(event.data).items():
            yield from map(screen.dim, _indented(screen, f"{how}: {names}{_by_what(event, how, events)}"))
        before = event


def _by_what(event: Event, how: str, events: Sequence[Event]) -> str:
    """Return which event erased what an event lacks."""
    if how != ERASED:
        return ""
    own = (other for other in events if other.stream == event.stream and other.position > event.position)
    by = next((other.position for other in own if other.data.__class__ in ERASURES), None)
    return "" if by is None else f" (at position {by})"


def _indented(screen: Screen, text: str) -> Iterator[str]:
    for line in wrap(text, max(screen.columns - _INDENT, COLUMNS_MIN)):
        yield f"{'':{_INDENT}}{line}"
