"""The evidence: what a bundle was proved to show, as data and in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.cli.answer import Answer, present
from tallystick.cli.files import read
from tallystick.cli.screen import Screen
from tallystick.cli.times import MS_PER_S, stamp
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.exports.evidence import Evidence

SHAPE = """{ok, verdict, origin, size, rootHash, keys, events, damaged, deleted, erased, absent, first, last,
    unbroken, partial, attested, seenBy: [{name, at}]}"""


def verified(bundle: Path, trusted: tuple[str, ...], witnesses: tuple[str, ...], authority: Path | None) -> Answer:
    """Verify a bundle, and say what it shows."""
    from tallystick.exports.evidence import verify_bundle

    pem = None if authority is None else read("tsa-cert", authority)
    found = verify_bundle(bundle, *trusted, witnesses=witnesses, authority=pem)
    seen = [(str(authority) if each.name is None else each.name, each.at) for each in found.seen]
    data = present(
        ok=True,
        verdict=verdict(found),
        origin=found.origin,
        size=found.size,
        rootHash=found.root_hash.hex(),
        keys=found.keys,
        events=found.events,
        damaged=found.damaged,
        deleted=found.deleted,
        erased=found.erased,
        absent=found.absent,
        first=found.first,
        last=found.last,
        unbroken=found.is_unbroken,
        partial=found.partial,
        attested=found.attested,
        seenBy=[{"name": name, "at": at * MS_PER_S} for name, at in seen] or None,
    )
    return Answer(data, lambda screen: _lines(screen, found, seen))


def verdict(found: "Evidence") -> str:
    """Return what was proved, in a sentence."""
    noun = "event is" if found.events == 1 else "events are"
    return f"{found.events:,} {noun} proved to be in the log of {found.origin} with {found.size:,} records."


def _lines(screen: Screen, found: "Evidence", seen: list[tuple[str, int]]) -> Iterator[str]:
    yield screen.colour(plain(verdict(found)), "green")
    gaps = "none between them is left out" if found.is_unbroken else "others between them are not here"
    yield from screen.named("positions", f"{found.first:,} to {found.last:,}; {gaps}")
    for token in found.partial:
        yield from screen.named("in part", f"{token}: its history is not here from its beginning without a gap")
    if found.damaged or found.deleted:
        gone = f"{found.damaged:,} damaged and {found.deleted:,} deleted records: only their hashes are proved"
        yield from screen.named("not here", gone)
    if found.erased:
        said = f"{found.erased:,} fields, as events here say; their records have only digests"
        yield from screen.named("erased", said)
    if found.absent:
        said = f"{found.absent:,} fields: erased later, or left out; their records have only digests"
        yield from screen.named("not shown", said)
    yield from screen.named("root hash", found.root_hash.hex())
    for key in found.keys:
        yield from screen.named("signed by", plain(key))
    for name, at in seen:
        yield from screen.named(
            "seen by", plain(f"{name} at {stamp(at * MS_PER_S)}, as far as {found.attested:,} records")
        )
    if seen:
        return
    if found.attested is None:
        yield "Nobody else saw it: who has the signing key can have written all of it anew."
    else:
        yield "Others are said to have seen it: --witness and --tsa-cert verify that."
