"""Parts for the tests of evidence: a ledger with a key, a bundle of it, and somebody who forges one."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick import NotProved
from tallystick.config import Integrity
from tallystick.exports import manifest
from tallystick.exports.bundle import Bundled, write_bundle
from tallystick.exports.evidence import Evidence, verify_bundle
from tallystick.exports.manifest import File, Manifest, parse_manifest
from tallystick.exports.page import attested_of, page
from tallystick.exports.selection import Selection
from tallystick.ledger.proofs.checkpoint import parse_checkpoint
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.store.port import EventLog, Stored
from tests.exports.parts import NOW_MS, everything, read
from tests.notary.parts import Place
from tests.projections.histories import told

BY = "tester@host"
EVENTS = told()
"""A small log with tasks and a flow."""


def bundled(log: EventLog, place: Place, out: Path, **selected: Any) -> Bundled:
    """Write a bundle of a log, signed with the first key of a place, whatever that signed before."""
    place.forget()
    settings = Integrity(place.origin, (str(place.files[0]),))
    return write_bundle(read(log), out, Selection(**selected), settings, now=NOW_MS, by=BY)


def contents(bundle: Path) -> dict[str, bytes]:
    """Every file of a bundle."""
    return everything(bundle)


def manifest_of(bundle: Path) -> Manifest:
    """What a bundle says that it has."""
    return parse_manifest((bundle / manifest.MANIFEST).read_bytes())


def listed(bundle: Path, **said: Any) -> None:
    """Write the manifest anew, over the files that are there, as somebody would who forges some."""
    made = manifest_of(bundle)
    files = {
        path: File(sha256=sha256(content).hexdigest(), bytes=len(content))
        for path, content in contents(bundle).items()
        if path != manifest.MANIFEST
    }
    about = msgspec.structs.replace(made.about, **said)
    (bundle / manifest.MANIFEST).write_bytes(msgspec.structs.replace(made, files=files, about=about).to_bytes())


def paged(bundle: Path, records: list[Stored]) -> None:
    """Write the page anew for these records."""
    tree = parse_checkpoint(parse_note((bundle / manifest.CHECKPOINT).read_bytes()).text)
    seen = bundle / manifest.ATTESTED
    attested = attested_of(seen.read_bytes(), has_token=(bundle / manifest.TOKEN).exists()) if seen.exists() else None
    text = "".join(page(manifest_of(bundle).about, tree, attested, records))
    (bundle / manifest.PAGE).write_text(text, "utf-8")


def verified(place: Place, bundle: Path) -> Evidence:
    """What a bundle shows to somebody who trusts the first key of a place."""
    return verify_bundle(bundle, place.verifiers[0])


def refused(place: Place, bundle: Path) -> str:
    """Why it shows nothing to them."""
    with pytest.raises(NotProved) as refusal:
        verified(place, bundle)
    return str(refusal.value)
