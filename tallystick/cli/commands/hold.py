"""`tally hold`: keep a task from being pruned."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, SHAPE, changed, task_named
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command


@_command("hold", json=SHAPE, help=LOOKUP_HELP)
@click.option("--reason", metavar="R", help="Why.")
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str, reason: str | None) -> Answer:
    """Hold a task."""
    with task_named(call, lookup) as task:
        record = task.hold(reason)
    return changed(call, record, lambda task_id: f"{task_id} is held: it is not pruned until it is released.")
