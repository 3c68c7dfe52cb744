"""`tally keys show`: the verifier keys of signing keys."""

from collections.abc import Iterator
from pathlib import Path

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.menu import KEYS
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import InvalidInput
from tallystick.plain import plain


@_command(
    "show",
    menu=KEYS,
    json="{keys: [{name, file, key}]}, where key is the verifier key",
    help="""Of the signing keys in FILE…, or of those that the configuration of the ledger names: one line for each,
    which is what "tally verify --key" takes.""",
)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=PATH)
def command(call: Call, *, files: tuple[Path, ...]) -> Answer:
    """Show verifier keys."""
    from tallystick import keys

    paths = files or tuple(map(Path, _configured(call)))
    found = [keys.read(path).verifier for path in paths]
    data = {
        "keys": [{"name": key.name, "file": str(path), "key": key.text} for path, key in zip(paths, found, strict=True)]
    }

    def lines(_screen: Screen) -> Iterator[str]:
        yield from (plain(key.text) for key in found)

    return Answer(data, lines, content="".join(f"{key.text}\n" for key in found).encode())


def _configured(call: Call) -> tuple[str, ...]:
    from tallystick.config import load

    paths = load(call.folder, call.config, channels=False).integrity.key
    if not paths:
        raise InvalidInput("FILE", None, "the file of a signing key: the configuration names none in [integrity] key")
    return paths
