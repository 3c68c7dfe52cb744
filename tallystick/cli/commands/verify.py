"""`tally verify`: the log recomputed, and held to checkpoints; or a proof or a bundle, verified without any ledger."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from tallystick.cli.answer import EXIT_DAMAGED, EXIT_OK, Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.evidence import SHAPE as EVIDENCE_SHAPE
from tallystick.cli.evidence import verified
from tallystick.cli.files import keys_of, named, read, read_checkpoint
from tallystick.cli.proof import SHAPE, proved_data, proved_lines
from tallystick.cli.screen import Screen
from tallystick.cli.summary import many
from tallystick.cli.table import Column, table
from tallystick.cli.times import MS_PER_S, stamp
from tallystick.ledger.errors import InvalidInput, NotProved, Shown
from tallystick.ledger.store.port import TreeHead
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.store.port import EventLog
    from tallystick.ledger.store.verify import Verification

PROBLEMS_SHOWN = 20
UNKNOWN = "hashes"  # what is lost where it cannot be said whether a checkpoint fits


class _Held(Struct, frozen=True):
    """A checkpoint that the log was held to: whose it is, who signed it as far as that is known, and what is wrong."""

    origin: str
    size: int
    root_hash: bytes
    keys: tuple[str, ...] = ()
    what: str | None = None
    reason: str | None = None
    seen: tuple[tuple[str, int], ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the log goes on from it."""
        return self.reason is None


@_command(
    "verify",
    json=f"""{{ok, events, head, deleted, rootHash, firstBad, problemCount, problems: [{{position, kind, detail}}],
    eventsPerSecond, checkpoint: {{ok, origin, size, rootHash, keys, what, reason, seenBy: [{{name, at}}]}},
    setAside: [{{ok, origin, size, rootHash, what, reason}}]}}
    with --proof: {SHAPE}
    with --bundle: {EVIDENCE_SHAPE}""",
    help="""Every record, archived or not, is held to its leaf hash, these to the tree, the tree to its root, and the
    indexes to the records; then the log to the newest checkpoint that it keeps, and to those that were set aside when
    it got another origin, whoever signed them. Changes nothing. Exits with 4 when something is not as it was written.

    Whoever can write to the folder can write a whole history anew, and sign it if the key is there, too. What shows
    that is a checkpoint that was kept elsewhere: --checkpoint FILE --key VKEY verifies who signed it, and holds the log
    to it. With --witness VKEY, which MUST have cosigned that checkpoint, and --token FILE --tsa-cert PEM, a token of a
    timestamp authority over its bytes, it also says who saw it and when.

    --proof FILE --key VKEY verifies a proof that "tally prove" wrote, without a ledger, and says what it proves. A
    proof of how the log went on needs the checkpoint that you kept, as --old. With --witness VKEY, which MUST have
    cosigned the checkpoint in it, it says when that saw it. Exits with 4 when it does not hold, with 2 when it cannot
    be read.

    --bundle PATH --key VKEY verifies the evidence that "tally export --format bundle" wrote, a folder or a zip, without
    a ledger: every file, every event, every proof. With --witness VKEY and --tsa-cert PEM others must have seen every
    event in it. Exits with 4 when anything does not hold, and names the file.""",
)
@click.option("--proof", type=PATH, metavar="FILE", help='A proof to verify; "-" reads standard input.')
@click.option("--bundle", type=PATH, metavar="PATH", help="An evidence bundle to verify.")
@click.option("--checkpoint", type=PATH, metavar="FILE", help="A checkpoint to hold the log to.")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="Who may have signed it; or a file with the key.")
@click.option("--witness", "witnesses", multiple=True, metavar="VKEY", help="Who must have cosigned the checkpoint.")
@click.option("--token", type=PATH, metavar="FILE", help="A token over the checkpoint (RFC 3161).")
@click.option("--tsa-cert", "authority", type=PATH, metavar="PEM", help="The certificates of who made the token.")
@click.option("--old", type=PATH, metavar="FILE", help="The checkpoint that a proof goes on from.")
@click.option("--record", type=PATH, metavar="FILE", help="The record, if the proof does not carry it.")
def command(
    call: Call,
    *,
    proof: Path | None,
    bundle: Path | None,
    checkpoint: Path | None,
    keys: tuple[str, ...],
    witnesses: tuple[str, ...],
    token: Path | None,
    authority: Path | None,
    old: Path | None,
    record: Path | None,
) -> Answer:
    """Verify the log, a proof, or a bundle."""
    if sum(each is not None for each in (proof, bundle, checkpoint)) > 1:
        raise InvalidInput("--proof, --bundle, --checkpoint", "several", "one of them")
    if checkpoint is None and token is not None:
        raise InvalidInput("--token", str(token), "something to go with --checkpoint")
    if witnesses and checkpoint is None and bundle is None and proof is None:
        raise InvalidInput("--witness", witnesses[0], "something to go with --checkpoint, --proof or --bundle")
    if bundle is None and (token is None) != (authority is None):
        raise InvalidInput("--token, --tsa-cert", str(token or authority), "both, or none of them")
    if bool(keys) != any(each is not None for each in (proof, bundle, checkpoint)):
        allowed = "the key of whom you trust, --key VKEY, with --proof, --bundle or --checkpoint, and only there"
        raise InvalidInput("key", keys or Shown("none"), allowed)
    if proof is None and (old is not None or record is not None):
        raise InvalidInput("--old, --record", str(old or record), "something to go with --proof")
    trusted = keys_of(keys)
    if proof is not None:
        return _proof(proof, trusted, keys_of(witnesses), old, record)
    if bundle is not None:
        return verified(bundle, trusted, keys_of(witnesses), authority)
    return _log(call, None if checkpoint is None else _given(checkpoint, trusted, keys_of(witnesses), token, authority))


def _proof(
    proof: Path, trusted: tuple[str, ...], witnesses: tuple[str, ...], old: Path | None, record: Path | None
) -> Answer:
    from tallystick.proofs import verify_proof

    data, kept = read("proof", proof), None if old is None else read_checkpoint("old", old)
    body = None if record is None else read("record", record)
    with named("proof", proof, 'a whole proof, as "tally prove" makes it'):
        proved = verify_proof(data, *trusted, old=kept, record=body, witnesses=witnesses)
    return Answer(proved_data(proved), lambda screen: proved_lines(screen, proved))


def _given(
    checkpoint: Path, trusted: tuple[str, ...], witnesses: tuple[str, ...], token: Path | None, authority: Path | None
) -> _Held:
    """A checkpoint that was kept elsewhere, of which it was verified who signed it and who saw it."""
    from tallystick.proofs import verify_checkpoint, verify_seen

    data = read_checkpoint("checkpoint", checkpoint)
    signed = verify_checkpoint(data, *trusted)
    given = None if token is None else read("token", token)
    seen = verify_seen(
        data,
        *witnesses,
        token=given,
        authority=None if authority is None else read("tsa-cert", authority),
    )
    said = tuple((str(authority) if each.name is None else each.name, each.at) for each in seen)
    return _Held(signed.origin, signed.size, signed.root_hash, signed.keys, seen=said)


def _log(call: Call, given: _Held | None) -> Answer:
    with call.readings() as readings, bar("Verifying") as told:
        held = _kept(readings.log) if given is None else given
        aside = _set_aside(readings.log)
        head = None if held is None or not held.is_good else TreeHead(held.size, held.root_hash)
        began = time.perf_counter()
        found = readings.verify(told, checkpoint=head)
        seconds = time.perf_counter() - began
    held, aside = None if held is None else _held(held, found), [_held(each, found) for each in aside]
    ok = found.ok and (held is None or held.is_good)
    data = present(
        ok=ok,
        events=found.events,
        head=found.head,
        deleted=found.deleted or None,
        rootHash=found.root_hash.hex(),
        firstBad=found.first_bad,
        problemCount=found.problem_count,
        problems=found.problems,
        eventsPerSecond=round(found.events / seconds),
        checkpoint=None if held is None else _held_data(held),
        setAside=[_held_data(each) for each in aside] or None,
    )
    shown = aside if held is None else [held, *aside]
    return Answer(data, lambda screen: _all_lines(screen, found, seconds, shown), EXIT_OK if ok else EXIT_DAMAGED)


def _kept(log: "EventLog") -> _Held | None:
    """The newest checkpoint that the log keeps, if there is one."""
    from tallystick.ledger.proofs.checkpoint import parse_checkpoint
    from tallystick.projections.checkpoint import kept

    try:
        note = kept(log)
    except NotProved as error:
        return _Held("nobody", 0, b"", (), error.what, error.reason)
    if note is None:
        return None
    checkpoint = parse_checkpoint(note.text)
    return _Held(checkpoint.origin, checkpoint.size, checkpoint.root_hash)


def _set_aside(log: "EventLog") -> list[_Held]:
    """The checkpoints that were set aside for other origins; of one that cannot be read the verification tells."""
    from tallystick.projections.checkpoint import set_aside

    return [_Held(each.origin, each.size, each.root_hash) for each in set_aside(log) if each is not None]


def _held(checkpoint: _Held, found: "Verification") -> _Held:
    """Say whether the log goes on from a checkpoint that it was verified with."""
    verdicts = {verdict.checkpoint: verdict for verdict in found.verdicts}
    verdict = verdicts.get(TreeHead(checkpoint.size, checkpoint.root_hash))
    if verdict is None or verdict.standing == "held":  # without a verdict it is none that can be read
        return checkpoint
    parts = {"cut_off": "size", "forked": "root", "unknown": UNKNOWN}
    return replace(checkpoint, what=parts[verdict.standing], reason=verdict.detail)


def _held_data(held: _Held) -> dict[str, Any]:
    seen = [{"name": name, "at": at * MS_PER_S} for name, at in held.seen]
    said = present(what=held.what, reason=held.reason, keys=list(held.keys) or None, seenBy=seen or None)
    return {"ok": held.is_good, "origin": held.origin, "size": held.size, "rootHash": held.root_hash.hex(), **said}


def _all_lines(screen: Screen, found: "Verification", seconds: float, checkpoints: Sequence[_Held]) -> Iterator[str]:
    for held in checkpoints:
        signed = f", signed by {', '.join(held.keys)}" if held.keys else ", as the log keeps it; nobody verified it"
        yield f"checkpoint {plain(held.origin)}, {held.size:,} events{plain(signed)}"
        for name, at in held.seen:
            yield f"seen by    {plain(name)} at {stamp(at * MS_PER_S)}"
        if held.is_good:
            yield screen.colour("The log goes on from the checkpoint.", "green")
            if found.head > held.size:
                behind = f"{many(found.head - held.size, 'event')} behind it, from position {held.size + 1:,} on"
                yield screen.dim(f"It does not vouch for the {behind}.")
        else:
            goes_on = "It cannot be said whether the log goes on" if held.what == UNKNOWN else "The log does not go on"
            yield screen.colour(f"{goes_on} from the checkpoint ({held.what}): {plain(held.reason or '')}", "red")
    yield from _lines(screen, found, seconds)


def _lines(screen: Screen, found: "Verification", seconds: float) -> Iterator[str]:
    yield f"head       {found.head:,}"
    yield f"root hash  {found.root_hash.hex()}"
    yield f"verified   {found.events:,} events in {seconds:.2f} s ({found.events / seconds:,.0f} events/s)"
    if found.deleted:
        yield f"deleted    {found.deleted:,} events, with their archives; their hashes are there"
    if found.ok:
        yield screen.colour("The log is as it was written.", "green")
        return
    first = "" if found.first_bad is None else f", the first at position {found.first_bad:,}"
    noun = "problem" if found.problem_count == 1 else "problems"
    yield screen.colour(f"The log is damaged: {found.problem_count:,} {noun}{first}.", "red")
    shown = found.problems[:PROBLEMS_SHOWN]
    columns = [
        Column("Position", [f"{problem.position:,}" if problem.position else "-" for problem in shown], 15, right=True),
        Column("Kind", [problem.kind.value for problem in shown], 10),
        Column("Detail", [plain(problem.detail) for problem in shown], 200),
    ]
    yield from table(screen, columns)
    if found.problem_count > len(shown):
        yield f"and {found.problem_count - len(shown):,} more; --json names {len(found.problems):,} of all"
    yield "Everything else stays readable. Keep the folder as it is, and compare it with a backup."
