"""`tally prove`: a file that shows that an event is in the log, or that the log goes on from an older state."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP, PATH
from tallystick.cli.command import command as _command
from tallystick.cli.files import STANDARD, read_checkpoint, write_new
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import TREE_SIZE_MAX
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.proving import Prover
    from tallystick.readings import Readings


@_command(
    "prove",
    json="""{origin, size, rootHash, proofs: [{position, index, file}]}
    with --from: {origin, size, rootHash, old, file}
    with --out -: {…, proof} in place of the file""",
    help="""A whole number is a position; any other LOOKUP is as in "tally timeline". Of a task it is the event that
    ended it, or else its newest one; --event VERSION names another one, --all takes each of them, in files of a
    folder. The proof is a file in the format of C2SP (tlog-proof), with the record and the newest checkpoint in it:
    "tally verify --proof" needs nothing else but the verifier key.

    --from N is a proof that the log goes on from its first N records, or from a checkpoint FILE that was kept.

    Files that are there are not written over. Reads the ledger only. An event that no checkpoint has yet is proved with
    one that is signed here, if the configuration names a key that this user may read.""",
)
@click.option("--event", "version", type=int, metavar="VERSION", help="The event of the task with this version.")
@click.option("--all", "each", is_flag=True, help="Every event of the task.")
@click.option("--from", "old", metavar="N|FILE", help="From this size, or this checkpoint.")
@click.option("--out", type=PATH, metavar="FILE", help='Where it goes; "-" prints it. With --all a folder.')
@click.argument("lookup", required=False, type=LOOKUP, metavar="[LOOKUP|POSITION]")
def command(
    call: Call, *, version: int | None, each: bool, old: str | None, out: Path | None, lookup: str | None
) -> Answer:
    """Write a proof."""
    if (old is None) == (lookup is None):
        raise InvalidInput("LOOKUP", lookup, "a task, a flow or a position to prove, or --from; one of them")
    if (version is not None or each) and (lookup is None or lookup.isdecimal()):
        raise InvalidInput("--event, --all", lookup, "a task or a flow: a position is one event")
    if version is not None and each:
        raise InvalidInput("--event, --all", version, "one of them")
    if each and (out is None or out == STANDARD):
        raise InvalidInput("out", out, "a folder for the proofs of --all")
    with call.readings() as readings:
        if old is not None:
            return _from(call, readings, old, out)
        assert lookup is not None
        return _of_events(call, readings, _positions(readings, lookup, version, each=each), out, each=each)


def _positions(readings: "Readings", lookup: str, version: int | None, *, each: bool) -> list[int]:
    from tallystick.proving import position_of

    if lookup.isdecimal():
        return [position_of(readings, _whole("position", lookup))]
    found, _ = either_id_of(readings, lookup)
    if each:
        return [event.position for event in readings.timeline(found)]
    return [position_of(readings, found, version)]


def _of_events(call: Call, readings: "Readings", positions: list[int], out: Path | None, *, each: bool) -> Answer:
    from tallystick.ledger.proofs.tlog_proof import SUFFIX, claimed, parse_inclusion_proof

    prover = _prover(call, readings)
    proofs = [(position, prover.prove(position)) for position in positions]
    tree = claimed(parse_inclusion_proof(proofs[-1][1]))
    said = {"origin": tree.origin, "size": tree.size, "rootHash": tree.root_hash.hex()}
    if out == STANDARD:
        [(position, proof)] = proofs
        return _printed(proof, {**said, "proofs": [{"position": position, "index": position - 1}]})
    if each:
        assert out is not None
        _make_folder(out)
    files: list[tuple[int, Path]] = []
    for position, proof in proofs:
        name = f"event-{position}{SUFFIX}"
        file = out / name if each and out is not None else out or Path(name)
        write_new("out", file, proof)
        files.append((position, file))
    data = [{"position": position, "index": position - 1, "file": str(file)} for position, file in files]

    def lines(screen: Screen) -> Iterator[str]:
        yield from screen.named("log", plain(f"{tree.origin}, {tree.size:,} records"))
        for position, file in files:
            yield from screen.named(f"event {position:,}", plain(str(file)))

    return Answer({**said, "proofs": data}, lines)


def _from(call: Call, readings: "Readings", old: str, out: Path | None) -> Answer:
    from tallystick.ledger.proofs.tlog_proof import claimed, parse_consistency_proof

    since = _whole("from", old) if old.isdecimal() else read_checkpoint("from", Path(old))
    proof = _prover(call, readings).prove_from(since)
    parsed = parse_consistency_proof(proof)
    tree = claimed(parsed)
    said = {"origin": tree.origin, "size": tree.size, "rootHash": tree.root_hash.hex(), "old": parsed.old}
    if out == STANDARD:
        return _printed(proof, said)
    file = out or Path(f"from-{parsed.old}-to-{tree.size}.tlog-consistency")
    write_new("out", file, proof)

    def lines(screen: Screen) -> Iterator[str]:
        yield from screen.named("log", plain(f"{tree.origin}, {tree.size:,} records, of which {parsed.old:,} are old"))
        yield from screen.named("proof", plain(str(file)))

    return Answer({**said, **present(file=str(file))}, lines)


def _prover(call: Call, readings: "Readings") -> "Prover":
    """Who proves, and signs when the kept checkpoint is not new enough, or not that of the keys."""
    from tallystick.config import load
    from tallystick.proving import Prover, beside

    settings = load(call.folder, call.config, channels=False).integrity
    return Prover(readings, lambda: beside(readings.log, settings), settings)


def _whole(field: str, text: str) -> int:
    """The number that a text of digits is. Python reads no more than some thousands of them."""
    if len(text) > len(str(TREE_SIZE_MAX)):
        raise InvalidInput(field, f"{len(text)} digits", f"a number of at most {len(str(TREE_SIZE_MAX))} digits")
    return int(text)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            "out", str(path), f"a folder, or a place where one can be made ({error.strerror})"
        ) from error


def _printed(proof: bytes, said: dict[str, object]) -> Answer:
    text = proof.decode()

    def lines(_screen: Screen) -> Iterator[str]:
        yield from text.removesuffix("\n").split("\n")

    return Answer({**said, "proof": text}, lines, content=proof)
