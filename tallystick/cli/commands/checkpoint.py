"""`tally checkpoint`: how large the log is and what its root is, signed; made now, or signed elsewhere and added."""

from collections.abc import Iterator
from pathlib import Path

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.files import keys_of, read_checkpoint
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import InvalidInput, NotFound


@_command(
    "checkpoint",
    json="{origin, size, rootHash, checkpoint}, where checkpoint is the signed note, or the text to be signed",
    help="""The checkpoint is signed now, by the live owner of the ledger, or without one by this command; it is kept in
    the log as the newest one, and printed: a signed note (C2SP tlog-checkpoint). Keep it where nobody can write who can
    write the ledger: "tally verify --checkpoint" holds the ledger to it.

    Without a key on this host: --unsigned prints the text, "tally keys sign" signs it elsewhere, and --add takes the
    signed note in when one of the keys signed it and it is of this log; signatures of other keys are left out. It takes
    the place of a kept one that cannot be read any more.""",
)
@click.option("--kept", "only_kept", is_flag=True, help="Print the newest that is kept; only reads.")
@click.option("--attested", "only_attested", is_flag=True, help="Print the newest that others cosigned; only reads.")
@click.option("--unsigned", is_flag=True, help="Print what is to be signed; only reads.")
@click.option("--add", "added", type=PATH, metavar="FILE", help="Keep this one, which was signed elsewhere.")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="Who may have signed it; or a file with the key.")
def command(
    call: Call, *, only_kept: bool, only_attested: bool, unsigned: bool, added: Path | None, keys: tuple[str, ...]
) -> Answer:
    """Make a checkpoint."""
    if only_kept + only_attested + unsigned + (added is not None) > 1:
        raise InvalidInput("--kept, --attested, --unsigned, --add", "several", "one of them")
    if bool(keys) != (added is not None):
        raise InvalidInput("key", keys or None, "a verifier key with --add, and only there")
    if only_kept:
        return _shown(_kept(call))
    if only_attested:
        return _shown(_attested(call))
    if unsigned:
        return _unsigned(call)
    note = None if added is None else read_checkpoint("add", added)
    trusted = keys_of(keys)
    settings = call.settings
    from tallystick.joining import join

    with impatient(call.require()), join(call.folder, config=settings) as ledger:
        return _shown(ledger.checkpoint() if note is None else ledger.add_checkpoint(note, *trusted))


def _kept(call: Call) -> bytes:
    from tallystick.projections.checkpoint import kept

    with call.readings() as readings:
        found = kept(readings.log)
    if found is None:
        raise NotFound(str(call.folder), hint='Run "tally checkpoint" to make one.', of="Checkpoint")
    return found.to_bytes()


def _attested(call: Call) -> bytes:
    from tallystick.projections.attested import attestations

    with call.readings() as readings:
        found = attestations(readings.log)
    if not found:
        raise NotFound(str(call.folder), hint='Run "tally attest" to have others see one.', of="Attested checkpoint")
    return found[-1].checkpoint


def _unsigned(call: Call) -> Answer:
    from tallystick.config import load
    from tallystick.proving import unsigned

    origin = load(call.folder, call.config, channels=False).integrity.origin
    with call.readings() as readings:
        return _answer(unsigned(readings.log, origin).text)


def _shown(note: bytes) -> Answer:
    return _answer(note.decode())


def _answer(text: str) -> Answer:
    """Say a checkpoint, signed or not, byte by byte."""
    from tallystick.ledger.proofs.checkpoint import parse_checkpoint

    body, _, _ = text.partition("\n\n")
    checkpoint = parse_checkpoint(f"{body.removesuffix(chr(10))}\n")
    data = {"origin": checkpoint.origin, "size": checkpoint.size, "rootHash": checkpoint.root_hash.hex()}

    def lines(_screen: Screen) -> Iterator[str]:
        yield from text.removesuffix("\n").split("\n")

    return Answer({**data, "checkpoint": text}, lines, content=text.encode())
