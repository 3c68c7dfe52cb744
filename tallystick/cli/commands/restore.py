"""`tally restore`: a ledger from a backup, in a folder of its own."""

from pathlib import Path

import click

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.copied import SHAPE, as_data, lines_of


@_command(
    "restore",
    json=SHAPE,
    help="""BACKUP is what "tally backup" made, DIR is not there yet, or empty: nothing is ever restored over a ledger.
    Both are verified and held to what the backup says of itself. The backup stays as it is. Read models are built when
    the ledger is opened. What the backup had to send is sent by whoever opens the restored ledger, with the ids that it
    had.""",
)
@click.argument("backup", type=PATH)
@click.argument("target", metavar="DIR", type=PATH)
def command(_call: Call, *, backup: Path, target: Path) -> Answer:
    """Restore a backup."""
    from tallystick.backup import restore

    with bar("Verifying") as told:
        made = restore(backup, target, progressed=told)
    return Answer(
        as_data(made),
        lambda screen: lines_of(screen, made, "restored "),
        EXIT_DAMAGED if made.problems else EXIT_OK,
    )
