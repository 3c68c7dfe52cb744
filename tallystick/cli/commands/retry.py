"""`tally retry`: send again what could not be delivered."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.recovery import HELP, SHAPE, recovered
from tallystick.ledger.outbox import sendable
from tallystick.ledger.record import TaskRecord


@_command(
    "retry",
    json=SHAPE,
    help=f"""{HELP}

    What was given up has all its attempts again, with the same id and the same text. Only what waits for that is sent:
    of a task of which nothing does, exit code 1 and how its messages are.""",
)
@click.option("--reason", metavar="R", help="Why.")
@click.argument("lookups", nargs=-1, required=True, type=LOOKUP, metavar="LOOKUP…")
def command(call: Call, *, lookups: tuple[str, ...], reason: str | None) -> Answer:
    """Send again."""
    return recovered(call, lookups, "retry", reason, _words)


def _words(record: TaskRecord) -> str:
    again = sum(1 for _ in sendable(record.outbox))
    return f"{record.task_id} is told again: {again} {'message' if again == 1 else 'messages'}."
