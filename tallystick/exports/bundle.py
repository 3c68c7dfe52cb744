"""The bundle: what is selected of a ledger, as evidence for somebody who does not have it and trusts nobody here.

What is in it: `manifest`. How it is verified: `evidence`.
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from tallystick.config import Integrity
from tallystick.exports import manifest, ndjson
from tallystick.exports.manifest import About, Manifest
from tallystick.exports.packing import Parcel, packing
from tallystick.exports.page import Attested, attested_of, page
from tallystick.exports.selection import Selection
from tallystick.exports.source import Entry, Source, Told, nobody
from tallystick.ledger.errors import Corrupt, InvalidInput, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.limits import BUNDLE_EVENTS_MAX, BUNDLE_RECORD_BYTES_MAX
from tallystick.ledger.payloads import NOTHING_KEPT
from tallystick.ledger.proofs.checkpoint import Checkpoint, parse_checkpoint
from tallystick.ledger.proofs.note import parse_note
from tallystick.ledger.proofs.proving import prove_consistency, prove_inclusion
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import Damaged, Stored
from tallystick.ledger.store.tree import leaf_hash
from tallystick.projections.attested import Attestation, attestations
from tallystick.proving import beside
from tallystick.readings import Readings

CHANGED = "the record has other bytes than those that were written"


class Bundled(Struct, frozen=True, kw_only=True):
    """A bundle that was written: what it says of itself, and how many files and bytes it has.

    `attested` is how many records the checkpoint has that others saw, None when there is none.
    """

    path: str
    about: About
    attested: int | None
    files: int
    bytes: int


class _Held(Source):
    """The selected events, each held to the hash that the tree was built of; what is another is damaged.

    Keeps what is needed for the page and the proofs, which has a bound.
    """

    def entries(self) -> Iterator[Entry]:
        self.records: list[Stored] = []
        self.bodies: list[bytes | None] = []
        total = 0
        for entry in super().entries():
            stored, body, payloads = self._held(entry)
            known = body if isinstance(stored, Event) and isinstance(body, bytes) else None
            total += len(known or b"") + sum(map(len, payloads.values()))
            if len(self.records) == BUNDLE_EVENTS_MAX or total > BUNDLE_RECORD_BYTES_MAX:
                allowed = (
                    f"at most {BUNDLE_EVENTS_MAX} events with {BUNDLE_RECORD_BYTES_MAX} bytes:"
                    " narrow it with LOOKUP, --since and --until, or --after and --until-position"
                )
                raise InvalidInput("selection", "more events", allowed)
            self.records.append(stored)
            self.bodies.append(known)
            yield stored, body, payloads

    def _held(self, entry: Entry) -> Entry:
        stored, body, _ = entry
        if isinstance(stored, Event) and isinstance(body, bytes) and leaf_hash(body) != self.leaf_at(stored.position):
            self.event_count -= 1
            self.damaged += 1
            return Damaged(stored.position, CHANGED), body, NOTHING_KEPT
        return entry


def write_bundle(
    readings: Readings,
    out: Path,
    selection: Selection,
    settings: Integrity,
    *,
    now: int,
    by: str,
    told: Told = nobody,
) -> Bundled:
    """Write the evidence of what is selected: a folder, or a zip if `out` ends in ".zip"; durable on return.

    Everything leads to one checkpoint: one that is signed now, or the newest that is kept where no key is. It is there
    as a whole or not at all, and replaces nothing. Raises `InvalidInput`, also for a selection of more than
    `BUNDLE_EVENTS_MAX` events; `NotFound` when there is no event, or no checkpoint that has all of them; `NotProved`
    when the log is not the one that was signed before; `Corrupt` when the tree is not what the checkpoint says; `Full`,
    `StoreError`.
    """
    source = _Held(readings, selection, made_at=now, told=told)
    note = beside(readings.log, settings)
    checkpoint = parse_checkpoint(parse_note(note).text)
    source.origin = checkpoint.origin
    with packing(out) as parcel:
        with parcel.file(manifest.EVENTS) as stream:
            ndjson.write(source, stream)
        _check_covered(source, checkpoint)
        _proofs(source, note, parcel)
        parcel.put(manifest.CHECKPOINT, note)
        attested = _attested(readings, note, checkpoint, parcel)
        about = About(
            made_at=now,
            made_by=f"tallystick {version('tallystick')}",
            by=by,
            ledger=checkpoint.origin,
            size=checkpoint.size,
            root_hash=checkpoint.root_hash.hex(),
            events=source.event_count,
            damaged=source.damaged,
            deleted=source.deleted,
            selection=selection.said(),
        )
        with parcel.file(manifest.PAGE) as stream:
            for piece in page(about, checkpoint, attested, source.records):
                stream.write(piece.encode())
        made = Manifest(
            format=manifest.FORMAT,
            version=manifest.version_for(source.records),
            about=about,
            files=dict(parcel.files),
        )
        parcel.put(manifest.MANIFEST, made.to_bytes())
    return Bundled(
        path=str(out.absolute()),
        about=about,
        attested=None if attested is None else attested.size,
        files=len(parcel.files),
        bytes=sum(file.bytes for file in parcel.files.values()),
    )


def _check_covered(source: _Held, checkpoint: Checkpoint) -> None:
    if not source.records:
        raise NotFound("the selection", hint="It has no events; widen it.", of="Event")
    last = source.records[-1].position
    if last > checkpoint.size:
        hint = f'The newest has {checkpoint.size} records. Run "tally checkpoint", or end with --until-position.'
        raise NotFound(f"one of at least {last} records", hint=hint, of="Checkpoint")


def _proofs(source: _Held, note: bytes, parcel: Parcel) -> None:
    """Write the proof of each record, with the record; of what cannot be had, that of its hash."""
    nodes = StoredNodes(source.readings.log)
    for stored, body in zip(source.records, source.bodies, strict=True):
        if body is None and source.leaf_at(stored.position) is None:
            raise Corrupt("not even the hash of the record is left", position=stored.position)
        proof = prove_inclusion(nodes, stored.position - 1, note, extra=body)
        parcel.put(manifest.proof_path(stored.position), proof.to_bytes())


def _attested(readings: Readings, note: bytes, checkpoint: Checkpoint, parcel: Parcel) -> Attested | None:
    """Write the newest checkpoint of this log that others saw, and how the two go on from each other."""
    found = [each for each in attestations(readings.log) if _said(each).origin == checkpoint.origin]
    if not found:
        return None
    newest, size = found[-1], _said(found[-1]).size
    parcel.put(manifest.ATTESTED, newest.checkpoint)
    if newest.token is not None:
        parcel.put(manifest.TOKEN, newest.token)
    if size != checkpoint.size:
        old, newer = (size, note) if size < checkpoint.size else (checkpoint.size, newest.checkpoint)
        proof = prove_consistency(StoredNodes(readings.log), old, newer)
        parcel.put(manifest.CONSISTENCY, proof.to_bytes())
    return attested_of(newest.checkpoint, has_token=newest.token is not None)


def _said(attestation: Attestation) -> Checkpoint:
    return parse_checkpoint(parse_note(attestation.checkpoint).text)
