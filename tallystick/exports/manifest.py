"""The manifest of an evidence bundle: what was selected, by whom and when, and every other file with its hash. Pure.

checkpoint                  the signed note that every proof leads to
events.ndjson               the selected events, as the format ndjson has them
proofs/POSITION.tlog-proof  that one of them is in the log, with its record
attested/checkpoint         the newest checkpoint that others saw, if there is one
attested/token.tsr          what a timestamp authority said of it
attested/consistency        that one of the two checkpoints goes on from the other, if their sizes differ
index.html                  the page for people, which follows from all of these
manifest.json               this
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.proofs.tlog_proof import SUFFIX
from tallystick.ledger.store.port import Stored

FORMAT: Final = "tallystick.bundle"
FIRST: Final = 1
VERSION: Final = 2
"""Of the layout and of the page: one that is made anew from a bundle of this version has the same bytes.

The second is of a bundle with events of which something is kept beside the log, or was taken out before it was stored.
"""

CHECKPOINT: Final = "checkpoint"
EVENTS: Final = "events.ndjson"
PAGE: Final = "index.html"
MANIFEST: Final = "manifest.json"
ATTESTED: Final = "attested/checkpoint"
TOKEN: Final = "attested/token.tsr"  # noqa: S105 - the name of a file
CONSISTENCY: Final = "attested/consistency"
FOLDERS: Final = ("attested", "proofs")


class _Shape(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """What all parts have in common: an unknown field may mean anything, so it is refused."""


class About(_Shape, frozen=True, kw_only=True):
    """What a bundle says of itself: `by` whom it was made, when (ms) and with what, and what was selected.

    `size` and `root_hash` (hexadecimal) are those of the checkpoint, `ledger` its origin. `damaged` records could not
    be read, and of `deleted` ones only the hashes are left.
    """

    made_at: int
    made_by: str
    by: str
    ledger: str
    size: int
    root_hash: str
    events: int
    damaged: int
    deleted: int
    selection: dict[str, Any] = {}


class File(_Shape, frozen=True, kw_only=True):
    """One file: its SHA-256 in hexadecimal, and how many bytes it has."""

    sha256: str
    bytes: int


class Manifest(_Shape, frozen=True, kw_only=True):
    """All of it: every file but the manifest, by its path."""

    format: str
    version: int
    about: About
    files: dict[str, File]

    def to_bytes(self) -> bytes:
        """Return the one way to write it."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"


def proof_path(position: int) -> str:
    """Return the path of the proof of an event."""
    return f"proofs/{position}{SUFFIX}"


def version_for(records: Iterable[Stored]) -> int:
    """Return the version of a bundle that has these records."""
    facts = (record.data for record in records if isinstance(record, Event))
    return VERSION if any(fact.aside is not None or fact.redacted for fact in facts) else FIRST


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest. Raises `ValueError` with what is wrong; what is returned has these bytes again."""
    found = msgspec.json.decode(data, type=Manifest)
    if found.format != FORMAT or not FIRST <= found.version <= VERSION:
        raise ValueError(f"it is {found.format[:80]} version {found.version}, and this program knows version {VERSION}")
    if found.to_bytes() != data:
        raise ValueError("it is written in another way than this program writes it")
    return found
