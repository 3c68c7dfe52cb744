"""`tally keys new`: a signing key in a file of its own, and the verifier key for everybody else."""

from collections.abc import Iterator
from pathlib import Path

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.menu import KEYS
from tallystick.cli.screen import Screen
from tallystick.plain import plain


@_command(
    "new",
    menu=KEYS,
    json="{name, file, key}, where key is the verifier key",
    help="""NAME is the origin of the log, such as example.org/ledger/main. The signing key goes into the file, for this
    user only (0600); whoever has it can sign in the name of the log. It is refused inside of a ledger: such folders are
    copied and handed on as a whole. What the key signs is kept beside it, so that the folder has to be one in which its
    user may write. If possible make it on another host, and sign there: "tally keys sign".

    The verifier key is printed, and written nowhere. Give it to whoever verifies by another way than the ledger: who
    finds it beside the ledger finds what somebody put there.""",
)
@click.option("--file", "path", type=PATH, metavar="PATH", required=True, help="Where the signing key goes.")
@click.argument("name", metavar="NAME")
def command(call: Call, *, name: str, path: Path) -> Answer:
    """Make a signing key."""
    from tallystick import keys
    from tallystick.ledger.proofs.keys import parse_vkey

    key = keys.new(name, path, ledger=call.folder)
    data = {"name": parse_vkey(key).name, "file": str(path), "key": key}

    def lines(screen: Screen) -> Iterator[str]:
        yield from screen.named("signing key", plain(f"{path}, for this user only"))
        yield from screen.named("verifier key", "for whoever verifies, given by another way than the ledger:")
        yield plain(key)

    return Answer(data, lines)
