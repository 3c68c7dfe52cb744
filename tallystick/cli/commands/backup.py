"""`tally backup`: the whole ledger as of one moment, in another folder."""

from pathlib import Path

import click

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.copied import SHAPE, as_data, lines_of
from tallystick.cli.times import now_ms


@_command(
    "backup",
    json=SHAPE,
    help="""DIR is not there yet, or empty. Whoever has the ledger open goes on. The copy is made beside its place,
    every record of it is verified, a read model is built, and only then it stands there. It has the log, the archive
    and the configuration, and is a ledger that every command that reads takes. Exits with 4 when the ledger is damaged:
    the damage is in the backup, too.""",
)
@click.argument("target", metavar="DIR", type=PATH)
def command(call: Call, *, target: Path) -> Answer:
    """Make a backup."""
    from tallystick.backup import make

    with bar("Verifying the copy") as told:
        made = make(call.require(), target, now=now_ms(), progressed=told)
    return Answer(
        as_data(made),
        lambda screen: lines_of(screen, made, "backup   "),
        EXIT_DAMAGED if made.problems else EXIT_OK,
    )
