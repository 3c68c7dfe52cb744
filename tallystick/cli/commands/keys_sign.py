"""`tally keys sign`: sign a checkpoint where the key is, and the ledger is not."""

from collections.abc import Iterator
from pathlib import Path

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.files import STANDARD, read, read_checkpoint
from tallystick.cli.menu import KEYS
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import InvalidInput


@_command(
    "sign",
    menu=KEYS,
    json="{origin, size, rootHash, checkpoint}",
    help="""TEXT is a file that "tally checkpoint --unsigned" printed, or standard input; the signed checkpoint is
    printed, for "tally checkpoint --add". Needs no ledger, so that the key can be on another host:

    \b
      ssh gateway tally checkpoint --unsigned | tally keys sign --file main.key \\
        | ssh gateway tally checkpoint --add - --key VKEY

    What the key signed last is kept beside it, in a file that ends with .signed. It signs none that is smaller, or has
    another root for as many records; a larger one it takes at its word, and "tally verify --proof" holds the log to
    more. With --old it does so for another checkpoint that this key signed, too.""",
)
@click.option("--file", "path", type=PATH, metavar="PATH", required=True, help="The signing key.")
@click.option("--old", type=PATH, metavar="FILE", help="The checkpoint that this key signed before.")
@click.argument("text", metavar="[TEXT]", type=PATH, default=STANDARD)
def command(_call: Call, *, path: Path, old: Path | None, text: Path) -> Answer:
    """Sign a checkpoint."""
    from tallystick import keys
    from tallystick.last_signed import LastSigned, sign_next
    from tallystick.ledger.proofs.checkpoint import open_checkpoint, parse_checkpoint

    key = keys.read(path)
    data = read("TEXT", text)
    try:
        checkpoint = parse_checkpoint(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidInput("TEXT", str(text), 'what "tally checkpoint --unsigned" printed') from error
    if checkpoint.origin != key.name or checkpoint.extensions:
        raise InvalidInput("TEXT", f"a checkpoint of {checkpoint.origin}", f"one of {key.name}, whose key this is")
    if old is not None:
        before = open_checkpoint(read_checkpoint("old", old), key.verifier).checkpoint
        same = before.size == checkpoint.size and before.root_hash == checkpoint.root_hash
        if not same and before.size >= checkpoint.size:
            from tallystick.ledger.errors import NotProved

            raise NotProved("size", f"{checkpoint.size} records do not go on from the {before.size} signed before.")
    note = sign_next(lambda: checkpoint, LastSigned(key, path)).to_bytes().decode()

    def lines(_screen: Screen) -> Iterator[str]:
        yield from note.removesuffix("\n").split("\n")

    said = {"origin": checkpoint.origin, "size": checkpoint.size, "rootHash": checkpoint.root_hash.hex()}
    return Answer({**said, "checkpoint": note}, lines, content=note.encode())
