"""`tally watch`: the log from a position, then live, an event a line."""

import sys
from signal import SIGINT

import click

from tallystick.cli.answer import EXIT_OK, EXIT_SIGNAL, as_json, say
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.screen import screen_of
from tallystick.cli.stream import event_line, log_data
from tallystick.ledger.errors import InvalidInput


@_command(
    "watch",
    json="""a line for each event: {taskId, position, version, type, occurredAt, recordedAt, actor, data},
    with flowId in place of taskId when it is about a flow""",
    help="""Begins at the end of the log unless told otherwise, and goes on until Ctrl-C (which exits with 130). With
    --json every event is one line of JSON.""",
)
@click.option("--after", type=int, metavar="POSITION", help="Begin behind this position; 0 is the whole log.")
@click.option("--limit", type=int, metavar="N", help="Stop after so many events.")
def command(call: Call, *, after: int | None, limit: int | None) -> int:
    """Follow the log."""
    from tallystick.watch import Subscription

    if limit is not None and limit < 1:
        raise InvalidInput("limit", limit, "a whole number from 1")
    screen = screen_of(sys.stdout)
    with call.readings() as readings:
        events = Subscription(readings.log, readings.log.head() if after is None else after, None)
        try:
            for number, event in enumerate(events, 1):
                say(as_json(log_data(event), indent=0) if call.json else event_line(screen, event))
                if number == limit:
                    break
        except KeyboardInterrupt:
            return EXIT_SIGNAL + SIGINT
    return EXIT_OK
