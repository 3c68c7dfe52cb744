"""`tally timeline`: every event of one task, in order."""

from collections.abc import Iterator, Sequence

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.cells import wrap
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.facts import fact_words, verb
from tallystick.cli.lookup import task_id_of
from tallystick.cli.screen import COLUMNS_MIN, Screen
from tallystick.cli.stream import event_data
from tallystick.cli.times import stamp, took
from tallystick.ledger.events import Event
from tallystick.plain import plain


@_command(
    "timeline",
    json="{taskId, events: [{position, version, type, occurredAt, recordedAt, actor, data}]}",
    help="""LOOKUP as in "tally show". A pruned task has a timeline too: the log keeps what the lists forget.""",
)
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str) -> Answer:
    """Show a task's events."""
    with call.readings(or_none_yet=True) as readings:
        task_id = task_id_of(readings, lookup)
        events = readings.timeline(task_id)
    data = {"taskId": task_id, "events": [event_data(event) for event in events]}
    return Answer(data, lambda screen: _lines(screen, task_id, events))


def _lines(screen: Screen, task_id: str, events: Sequence[Event]) -> Iterator[str]:
    noun = "event" if len(events) == 1 else "events"
    yield f"{screen.bold(f'Task {task_id}')}  {len(events)} {noun}"
    before: Event | None = None
    for event in events:
        since = "" if before is None else f"+{took(event.recorded_at - before.recorded_at)}"
        late = event.recorded_at - event.occurred_at
        reported = f"  happened {stamp(event.occurred_at)}" if late else ""
        what = f"v{event.version} {screen.bold(verb(event.type))}  {screen.dim(f'by {plain(event.actor)}')}"
        yield f"{event.position:>8}  {stamp(event.recorded_at)}  {since:>8}  {what}{reported}"
        said = fact_words(event.data)
        if said:
            for line in wrap(said, max(screen.columns - 10, COLUMNS_MIN)):
                yield f"{'':10}{line}"
        before = event
