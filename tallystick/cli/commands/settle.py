"""`tally settle`: end an active task by hand."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, SHAPE, changed, task_named
from tallystick.cli.command import LOOKUP, OneOf
from tallystick.cli.command import command as _command
from tallystick.ledger.lifecycle import SETTLED_AS


@_command(
    "settle",
    json=SHAPE,
    help=f"""{LOOKUP_HELP}

    Says how it ended, whatever its runtime says; it stops nothing. A task that has ended is left as it is.""",
)
@click.option("--as", "status", required=True, type=OneOf(sorted(SETTLED_AS)), help="How it ended.")
@click.option("--reason", required=True, metavar="R", help="Why you know.")
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str, status: str, reason: str) -> Answer:
    """Settle a task."""
    with task_named(call, lookup) as task:
        record = task.settle(status, reason)
    return changed(call, record, lambda task_id: f"Settled {task_id} as {record.shown_status}.")
