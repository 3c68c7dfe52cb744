"""`tally dismiss`: give up what has not arrived."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.recovery import HELP, SHAPE, recovered
from tallystick.ledger.record import TaskRecord


@_command(
    "dismiss",
    json=SHAPE,
    help=f"""{HELP}

    Whatever has not arrived of them is not sent any more, and nobody has to take it from a session. Of a task of which
    everything has arrived: exit code 1 and how its messages are.""",
)
@click.option("--reason", metavar="R", help="Why.")
@click.argument("lookups", nargs=-1, required=True, type=LOOKUP, metavar="LOOKUP…")
def command(call: Call, *, lookups: tuple[str, ...], reason: str | None) -> Answer:
    """Give up."""
    return recovered(call, lookups, "dismiss", reason, _words)


def _words(record: TaskRecord) -> str:
    return f"{record.task_id} is not told any more."
