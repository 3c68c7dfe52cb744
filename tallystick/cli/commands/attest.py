"""`tally attest`: the newest checkpoint shown to witnesses and a timestamp authority; and what they saw before."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.answer import EXIT_OK, EXIT_REFUSED, Answer, present
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.times import MS_PER_S, stamp
from tallystick.ledger.errors import InvalidInput
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.projections.attested import Attestation

CHECKPOINT_SUFFIX, TOKEN_SUFFIX = ".checkpoint", ".tsr"


@_command(
    "attest",
    json="""{at, origin, size, rootHash, hasToken, checkpoint, seenBy: [{name, size, at, failure, contradicted}]}
    with --kept or --out: {attestations: [{at, origin, size, rootHash, hasToken, checkpoint, seenBy}], files}""",
    help="""The newest checkpoint is made and shown, by the live owner of the ledger, or without one by this command, to
    everybody whom [integrity] names: witnesses cosign it when the log only grew since they saw it last (C2SP
    tlog-witness), a timestamp authority makes a token over it (RFC 3161). What they answer is verified, and kept in the
    log. Who has seen it already is not asked again. Exits with 1 when somebody could not be reached or declined, with 4
    when one saw a state from which this log does not go on.

    --kept lists what is kept: the last of each hour of a day, and the last of each day. --out FOLDER writes each of
    them as SIZE-TIME.checkpoint and, if there is a token, SIZE-TIME.tsr; files that are there are left alone. "tally
    verify --checkpoint FILE --key VKEY --witness VKEY --token FILE --tsa-cert PEM" says who saw what and when.""",
)
@click.option("--kept", "only_kept", is_flag=True, help="List what others saw; only reads.")
@click.option("--out", type=PATH, metavar="FOLDER", help="Write what others saw into files; only reads.")
def command(call: Call, *, only_kept: bool, out: Path | None) -> Answer:
    """Have others see the newest checkpoint."""
    if only_kept or out is not None:
        return _kept(call, out)
    settings = call.settings
    from tallystick.joining import join

    with impatient(call.require()), join(call.folder, config=settings) as ledger:
        made = ledger.attest()
    is_done = all(each.failure is None for each in made.standings)
    return Answer(_data(made), lambda screen: _lines(screen, made), EXIT_OK if is_done else EXIT_REFUSED)


def _kept(call: Call, out: Path | None) -> Answer:
    from tallystick.projections.attested import attestations

    with call.readings() as readings:
        found = attestations(readings.log)
    written = None if out is None else [str(path) for each in found for path in _write(out, each)]

    def lines(screen: Screen) -> Iterator[str]:
        for each in found:
            data = _data(each)
            names = [_said(standing) for standing in data["seenBy"] if "failure" not in standing]
            yield f"{stamp(each.at)}  {data['size']:>12,} events  {screen.dim(plain(', '.join(names)))}"
        if not found:
            yield "Nobody has seen a checkpoint of this ledger."
        yield from map(plain, written or ())

    return Answer(present(attestations=list(map(_data, found)), files=written), lines)


def _write(folder: Path, attestation: "Attestation") -> Iterator[Path]:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(attestation.at // MS_PER_S, UTC)
    name = f"{_data(attestation)['size']}-{moment:%Y%m%dT%H%M%SZ}"
    wanted = {CHECKPOINT_SUFFIX: attestation.checkpoint, TOKEN_SUFFIX: attestation.token}
    try:
        folder.mkdir(exist_ok=True)
        for suffix, data in wanted.items():
            path = folder / f"{name}{suffix}"
            if data is None or path.exists():
                continue
            hidden = folder / f".{name}{suffix}.new"
            try:
                hidden.write_bytes(data)
                hidden.rename(path)
            except OSError:
                with suppress(OSError):
                    hidden.unlink()
                raise
            yield path
    except OSError as error:
        raise InvalidInput("out", str(folder), f"a folder that can be written to ({error.strerror})") from error


def _data(attestation: "Attestation") -> dict[str, Any]:
    from tallystick.ledger.proofs.checkpoint import parse_checkpoint
    from tallystick.ledger.proofs.note import parse_note

    tree = parse_checkpoint(parse_note(attestation.checkpoint).text)
    seen = [
        present(
            name=each.name,
            size=each.size or None,
            at=None if each.at is None else each.at * MS_PER_S,
            failure=each.failure,
            contradicted=each.is_contradicted or None,
        )
        for each in attestation.standings
    ]
    return {
        "at": attestation.at,
        "origin": tree.origin,
        "size": tree.size,
        "rootHash": tree.root_hash.hex(),
        "hasToken": attestation.token is not None,
        "checkpoint": attestation.checkpoint.decode(),
        "seenBy": seen,
    }


def _lines(screen: Screen, attestation: "Attestation") -> Iterator[str]:
    data = _data(attestation)
    yield f"checkpoint {plain(data['origin'])}, {data['size']:,} events"
    for each in data["seenBy"]:
        failure = each.get("failure")
        if failure is None:
            yield screen.colour(f"seen by    {plain(_said(each))}", "green")
        else:
            yield screen.colour(f"not seen   {plain(each['name'])}: {plain(failure)}", "red")


def _said(standing: dict[str, Any]) -> str:
    return f"{standing['name']} at {stamp(standing['at'])}" if "at" in standing else str(standing["name"])
