"""The evidence, verified: what a bundle shows, without the ledger that it is of, to somebody who trusts some keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from tallystick.exports import manifest
from tallystick.exports.absent import absent_of, streams_of
from tallystick.exports.lines import End, Header, Line, NoLine, read_header, read_line, restored
from tallystick.exports.manifest import Manifest, parse_manifest, proof_path
from tallystick.exports.page import attested_of, is_from_its_beginning, page
from tallystick.exports.unpacking import Unpacked, unlike, unpacked
from tallystick.ledger.errors import UNREADABLE, Corrupt, InvalidInput, NotProved
from tallystick.ledger.events import Event
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import (
    BUNDLE_EVENTS_MAX,
    IMPORT_LINE_BYTES_MAX,
    NOTE_BYTES_MAX,
    PROOF_BYTES_MAX,
    TOKEN_BYTES_MAX,
)
from tallystick.ledger.payloads import filled
from tallystick.ledger.proofs.checkpoint import Checkpoint, Opened, open_checkpoint
from tallystick.ledger.proofs.keys import VerifierKey
from tallystick.ledger.proofs.proving import verify_consistency, verify_leaf
from tallystick.ledger.proofs.tlog_proof import parse_consistency_proof, parse_inclusion_proof
from tallystick.ledger.store.codec import decode
from tallystick.ledger.store.port import Damaged, Deleted, Stored
from tallystick.ledger.store.tree import leaf_hash
from tallystick.proofs import Seen, trusted_keys, verify_seen

_MANIFEST_BYTES_MAX = (BUNDLE_EVENTS_MAX + 16) * 256


class Evidence(Struct, frozen=True, kw_only=True):
    """What a bundle was proved to show: `events` records of the log `origin`, at the positions `first` to `last`.

    `size` and `root_hash` are those of the checkpoint, `keys` those of the trusted ones that signed it, as name+id. Of
    `damaged` and `deleted` records only the hashes are proved. Of what is kept beside the log what is here was held to
    the digests in the records; of the fields that are not, `erased` counts those that an event here erased, `absent`
    those that were erased later, or left out. `is_unbroken` when no position between the first and the
    last is left out; `partial` are the tasks and flows whose history is not here from its beginning without a gap.
    `seen` is who saw how many records (`attested`), of those that were asked for.
    """

    origin: str
    size: int
    root_hash: bytes
    keys: tuple[str, ...]
    events: int
    damaged: int
    deleted: int
    erased: int
    absent: int
    first: int
    last: int
    is_unbroken: bool
    partial: tuple[str, ...]
    attested: int | None = None
    seen: tuple[Seen, ...] = ()


def verify_bundle(path: Path, *keys: str, witnesses: tuple[str, ...] = (), authority: bytes | None = None) -> Evidence:
    """Verify an evidence bundle, a folder or a zip, with the verifier keys that are trusted. Nothing is written.

    Every file MUST be the one of the manifest, and no other be there; every line of an event be the record of its
    proof; every proof lead to the one checkpoint, which one of the keys signed; and the page be the one that follows.
    With `witnesses`, each MUST have cosigned the checkpoint in it that others saw, and that have every event; with the
    certificates of an `authority` (PEM) the token MUST be one of it. Raises `NotProved`, which names the file;
    `InvalidInput` for a key that is none, and when there is no bundle at all.
    """
    trusted = trusted_keys(keys)
    with unpacked(path) as files:
        return _Verifying(files, trusted).run(witnesses, authority)


class _Verifying:
    """One bundle under way."""

    def __init__(self, files: Unpacked, trusted: tuple[VerifierKey, ...]) -> None:
        self.files, self.trusted = files, trusted
        self.manifest = self._manifest()
        self.note = self._content(manifest.CHECKPOINT, NOTE_BYTES_MAX)
        with _naming(manifest.CHECKPOINT):
            self.opened: Opened = open_checkpoint(self.note, *trusted)
        self.tree: Checkpoint = self.opened.checkpoint
        self.records: list[Stored] = []
        self.whole: int | None = None  # how many events there are, if these are said to be all

    def run(self, witnesses: tuple[str, ...], authority: bytes | None) -> Evidence:
        about = self.manifest.about
        if (about.ledger, about.size, about.root_hash) != (self.tree.origin, self.tree.size, self.tree.root_hash.hex()):
            raise unlike(manifest.MANIFEST, "it names another ledger, size or root than the checkpoint")
        self._events()
        attested = self._attested()
        self._page()
        positions = [record.position for record in self.records]
        seen = self._seen(positions[-1], attested, witnesses, authority)
        absent = [each for events in streams_of(self.records).values() for each in absent_of(events).values()]
        return Evidence(
            origin=self.tree.origin,
            size=self.tree.size,
            root_hash=self.tree.root_hash,
            keys=tuple(f"{key.name}+{key.key_id.hex()}" for key in self.opened.signers),
            events=about.events,
            damaged=about.damaged,
            deleted=about.deleted,
            erased=sum(len(each.fields) for each in absent if each.erasure is not None),
            absent=sum(len(each.fields) for each in absent if each.erasure is None),
            first=positions[0],
            last=positions[-1],
            is_unbroken=positions[-1] - positions[0] + 1 == len(positions),
            partial=self._partial(),
            attested=attested,
            seen=seen,
        )

    # The manifest, and the files as it has them.

    def _manifest(self) -> Manifest:
        data = self.files.content(manifest.MANIFEST, _MANIFEST_BYTES_MAX)
        try:
            found = parse_manifest(data)
        except UNREADABLE as error:
            raise unlike(manifest.MANIFEST, f"it is no manifest of a bundle ({str(error)[:200]})") from error
        named = {*found.files, manifest.MANIFEST}
        for path in sorted(self.files.paths - named):
            raise unlike(path, "the manifest does not name it")
        for path in sorted(named - self.files.paths):
            raise unlike(path, "it is missing, and the manifest names it")
        return found

    def _content(self, path: str, most: int) -> bytes:
        """What is in a file, which is the one of the manifest."""
        file = self.manifest.files.get(path)
        if file is None:
            raise unlike(path, "the manifest does not name it")
        data = self.files.content(path, most)
        if (sha256(data).hexdigest(), len(data)) != (file.sha256, file.bytes):
            raise unlike(path, "it has other bytes than the manifest says")
        return data

    # The events.

    def _events(self) -> None:
        file = self.manifest.files.get(manifest.EVENTS)
        if file is None:
            raise unlike(manifest.EVENTS, "the manifest does not name it")
        pieces = self.files.pieces(manifest.EVENTS, file, IMPORT_LINE_BYTES_MAX)
        end: End | None = None
        try:
            self._check_header(read_header(next(pieces, b"")))
            for raw in pieces:
                if end is not None:
                    raise unlike(manifest.EVENTS, "something stands behind its end")
                line = read_line(raw)
                if isinstance(line, End):
                    end = line
                else:
                    self._line(line)
        except NoLine as error:
            raise unlike(manifest.EVENTS, f"line {len(self.records) + 2} is none of an event ({error})") from error
        self._check_end(end)

    def _check_header(self, header: Header) -> None:
        about = self.manifest.about
        said = (header.ledger, header.selection or {}, header.made_at, header.made_by)
        if said != (about.ledger, about.selection, about.made_at, about.made_by):
            raise unlike(manifest.EVENTS, "its first line says something else than the manifest")
        self.whole = header.size if header.whole else None
        if header.size == self.tree.size and header.root_hash not in (None, self.tree.root_hash):
            raise unlike(manifest.EVENTS, "its first line has another root than the checkpoint")

    def _check_end(self, end: End | None) -> None:
        about, records = self.manifest.about, self.records
        deleted = sum(isinstance(record, Deleted) for record in records)
        events = sum(isinstance(record, Event) for record in records)
        counts = (events, len(records) - events - deleted, deleted)
        if end is None or not records:
            raise unlike(manifest.EVENTS, "its end is missing, or it has no events")
        if not counts == (end.events, end.damaged, end.deleted) == (about.events, about.damaged, about.deleted):
            raise unlike(manifest.EVENTS, "it has not as many events as it and the manifest say")
        if self.whole is not None and [*range(1, self.whole + 1)] != [record.position for record in records]:
            raise unlike(manifest.EVENTS, f"it says that it has all of {self.whole} events, and some are missing")
        known = {*map(proof_path, (record.position for record in records))}
        for path in sorted(path for path in self.files.paths - known if path.startswith("proofs/")):
            raise unlike(path, "it is the proof of no line of events.ndjson")
        besides = {manifest.CHECKPOINT, manifest.EVENTS, manifest.PAGE, manifest.MANIFEST, manifest.ATTESTED}
        for path in sorted(self.files.paths - known - besides - {manifest.TOKEN, manifest.CONSISTENCY}):
            raise unlike(path, "a bundle has no such file")

    def _line(self, line: Line) -> None:
        """Hold a line to its proof, and the proof to the checkpoint."""
        if self.records and line.position <= self.records[-1].position:
            raise unlike(manifest.EVENTS, f"position {line.position} stands behind a later one, or twice")
        if len(self.records) == BUNDLE_EVENTS_MAX:
            raise unlike(manifest.EVENTS, f"it has more than {BUNDLE_EVENTS_MAX} events")
        path = proof_path(line.position)
        with _naming(path):
            proof = parse_inclusion_proof(self._content(path, PROOF_BYTES_MAX))
            if proof.checkpoint != self.note:
                raise unlike(path, "it has another checkpoint than the bundle")
            if proof.index != line.position - 1:
                raise unlike(path, f"it is of position {proof.index + 1}")
            if line.is_gap:
                self._gap(path, line, proof.extra)
                leaf = line.leaf_hash
            else:
                leaf = self._event(path, line, proof.extra)
            verify_leaf(proof, leaf or b"", *self.trusted)

    def _event(self, path: str, line: Line, record: bytes | None) -> bytes:
        if record is None:
            raise unlike(path, "it does not carry the record")
        found = restored(line)
        if found.body != record:
            raise unlike(manifest.EVENTS, f"the line of position {line.position} says something else than its record")
        try:
            event = filled(decode(record), found.payloads)
        except Corrupt as error:
            raise unlike(path, f"this version cannot read its record ({error})") from error
        self.records.append(event)
        return leaf_hash(record)

    def _gap(self, path: str, line: Line, record: bytes | None) -> None:
        if record is not None:
            raise unlike(path, "it carries a record, and the line says that there is none")
        if line.leaf_hash is None:
            raise unlike(manifest.EVENTS, f"the line of position {line.position} has no hash")
        gone = line.deleted
        self.records.append(
            Damaged(line.position, line.damaged or "")
            if gone is None
            else Deleted(line.position, "", gone.by, gone.at, gone.reason)
        )

    # What others saw.

    def _attested(self) -> int | None:
        """How many records others saw; None when the bundle has no such checkpoint."""
        paths = self.files.paths
        if manifest.ATTESTED not in paths:
            for path in sorted(paths & {manifest.TOKEN, manifest.CONSISTENCY}):
                raise unlike(path, f"it says nothing without {manifest.ATTESTED}")
            return None
        data = self._content(manifest.ATTESTED, NOTE_BYTES_MAX)
        with _naming(manifest.ATTESTED):
            seen = open_checkpoint(data, *self.trusted).checkpoint
            if seen.origin != self.tree.origin:
                raise NotProved("origin", f"it is of {seen.origin}, not of {self.tree.origin}.")
            if seen.size == self.tree.size and seen.root_hash != self.tree.root_hash:
                raise NotProved("root", f"it has another root over {seen.size} records than {manifest.CHECKPOINT}.")
        if seen.size != self.tree.size:
            with _naming(manifest.CONSISTENCY):
                proof = parse_consistency_proof(self._content(manifest.CONSISTENCY, PROOF_BYTES_MAX))
                older, newer = (data, self.note) if seen.size < self.tree.size else (self.note, data)
                if proof.checkpoint != newer:
                    raise unlike(manifest.CONSISTENCY, "it is of another checkpoint than the newer one here")
                verify_consistency(proof, older, *self.trusted)
        elif manifest.CONSISTENCY in paths:
            raise unlike(manifest.CONSISTENCY, "both checkpoints have the same size, and need none")
        return seen.size

    def _seen(
        self, last: int, attested: int | None, witnesses: tuple[str, ...], authority: bytes | None
    ) -> tuple[Seen, ...]:
        token = self._content(manifest.TOKEN, TOKEN_BYTES_MAX) if manifest.TOKEN in self.files.paths else None
        if not witnesses and authority is None:
            return ()
        if attested is None:
            raise unlike(manifest.ATTESTED, "it is missing: this bundle has no checkpoint that others saw")
        if authority is not None and token is None:
            raise unlike(manifest.TOKEN, "it is missing: this bundle has no token of a timestamp authority")
        if last > attested:
            raise unlike(manifest.ATTESTED, f"others saw {attested} records, and the event at position {last} is later")
        data = self._content(manifest.ATTESTED, NOTE_BYTES_MAX)
        try:
            return verify_seen(data, *witnesses, token=None if authority is None else token, authority=authority)
        except NotProved as error:
            path = manifest.TOKEN if error.what == "token" else manifest.ATTESTED
            raise NotProved(error.what, f"{path}: {error.reason}") from error
        except InvalidInput as error:
            if error.field != "token":
                raise
            raise unlike(manifest.TOKEN, str(error)) from error

    # The page.

    def _page(self) -> None:
        """Make the page anew: it MUST say what the proofs say, and nothing else."""
        if self.manifest.version != manifest.version_for(self.records):
            raise unlike(manifest.MANIFEST, f"a bundle with these events is no version {self.manifest.version}")
        attested = None
        if manifest.ATTESTED in self.files.paths:
            data = self._content(manifest.ATTESTED, NOTE_BYTES_MAX)
            attested = attested_of(data, has_token=manifest.TOKEN in self.files.paths)
        digest, length = sha256(), 0
        for piece in page(self.manifest.about, self.tree, attested, self.records):
            digest.update(encoded := piece.encode())
            length += len(encoded)
        file = self.manifest.files.get(manifest.PAGE)
        if file is None or (digest.hexdigest(), length) != (file.sha256, file.bytes):
            made_by, here = self.manifest.about.made_by, f"tallystick {version('tallystick')}"
            hint = "" if made_by == here else f"; it says that {made_by[:80]} made it, this is {here}: try that one"
            raise unlike(manifest.PAGE, f"it is not the page that follows from the other files{hint}")
        for _ in self.files.pieces(manifest.PAGE, file, file.bytes):
            pass

    def _partial(self) -> tuple[str, ...]:
        streams = streams_of(self.records).items()
        return tuple(id_text(stream) for stream, events in streams if not is_from_its_beginning(events))


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file in which something does not hold."""
    try:
        yield
    except NotProved as error:
        if error.what == "bundle":
            raise
        raise NotProved(error.what, f"{path}: {error.reason}") from error
    except InvalidInput as error:
        raise unlike(path, str(error)) from error
