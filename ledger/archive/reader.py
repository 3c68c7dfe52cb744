"""The archive: all its segments, read as one range of positions, by any number of threads and processes.

What the manifest says is looked at again whenever it has changed; everything else of an archive never changes.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.archive import files, manifest, remains
from tallystick.ledger.archive.directory import BLOCK_RECORDS
from tallystick.ledger.archive.manifest import Entry, State
from tallystick.ledger.archive.segment import Segment
from tallystick.ledger.errors import Corrupt, NewerFormat
from tallystick.ledger.store.port import Body, Lost

FOLDER = "archive"
SEGMENTS_KNOWN_MAX = 64  # whose directories are remembered: as long as eleven kilobytes each


class _Listing(Struct, frozen=True):
    """What the archive has, as of one manifest."""

    mark: tuple[int, ...]
    entries: tuple[Entry, ...] = ()
    firsts: tuple[int, ...] = ()
    fault: str | None = None  # why it was taken from the files instead


class Archive:
    """The archive in a folder, to be read. That nothing is there is an archive without a segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listing = _Listing(mark=(-1,))
        self._segments: dict[tuple[int, int], Segment] = {}

    def entries(self) -> tuple[Entry, ...]:
        """Return the segments as they are now, in the order of their positions."""
        return self._current().entries

    def end(self) -> int:
        """Return the last position that it has; 0 for none."""
        entries = self.entries()
        return entries[-1].last if entries else 0

    def deleted(self) -> int:
        """Return the last position whose record was deleted; 0 for none."""
        return max((entry.last for entry in self.entries() if entry.is_deleted), default=0)

    def is_unlisted(self) -> bool:
        """Whether there are segments, and no manifest that can be read."""
        return self._current().fault is not None

    def mend(self) -> None:
        """Write the manifest anew from the files when there is none that can be read; for whoever is `files.alone`.

        Raises `NewerFormat` when a newer version wrote it, `Full`, `StoreError`.
        """
        if not self.is_unlisted():
            return
        with suppress(Corrupt), files.telling(self.folder / files.MANIFEST):
            if manifest.read(self.folder) is not None:
                return  # by now it can be read
        entries = []
        for entry in _from_files(self.folder):
            path = self.folder / entry.file
            if not entry.is_deleted and path.exists():
                with files.telling(path):
                    size, digest = path.stat().st_size, files.digest_of(path).hex()
                entry = replace(entry, bytes=size, sha256=digest)  # noqa: PLW2901 - the same one, with its checksum
            entries.append(entry)
        manifest.write(self.folder, entries)

    def is_deleted(self, position: int) -> bool:
        """Whether the record at a position was deleted with its segment."""
        entry = _at(self._current(), position)
        return entry is not None and entry.is_deleted

    def records(self, first: int, last: int) -> list[Body]:
        """Return what is stored at positions `first` … `last`; why, where it cannot be had."""
        listing = self._current()
        bodies = self._read(listing, first, last)
        if Lost in map(type, bodies) and not all(body.is_deleted for body in bodies if isinstance(body, Lost)):
            again = self._current()
            if again is not listing:  # deleted meanwhile
                return self._read(again, first, last)
        return bodies

    def at(self, positions: Sequence[int]) -> dict[int, Body]:
        """Return what is stored at each of these positions; every block that has some of them is unpacked once."""
        found: dict[int, Body] = {}
        blocks: dict[int, list[int]] = {}
        for position in positions:
            blocks.setdefault((position - 1) // BLOCK_RECORDS, []).append(position)
        for number, wanted in blocks.items():
            first = number * BLOCK_RECORDS + 1
            bodies = self.records(first, first + BLOCK_RECORDS - 1)
            found.update((position, bodies[position - first]) for position in wanted)
        return found

    def tile(self, index: int) -> bytes:
        """Return the leaf hashes of a whole tile of the lowest level; none when they cannot be read."""
        listing = self._current()
        hashes = self._hashes(listing, index * BLOCK_RECORDS + 1)
        if not hashes:
            again = self._current()
            if again is not listing:  # deleted meanwhile
                return self._hashes(again, index * BLOCK_RECORDS + 1)
        return hashes

    def faults(self) -> Iterator[tuple[int, str]]:
        """Yield what is wrong with the files beside their records and hashes, and the first position concerned.

        Reads every byte of the archive.
        """
        listing = self._current()
        if listing.fault is not None:
            yield 0, f"{listing.fault}; what the archive has was taken from its files"
        for entry in listing.entries:
            try:
                told = list(self._faults_of_remains(entry) if entry.is_deleted else self._faults_of(entry))
            except FileNotFoundError:
                told = [f"{self._file(entry).name} is missing"] if entry.is_deleted else []  # its records tell it
            except OSError as error:
                told = [f"{self._file(entry).name} cannot be read: {error.strerror}"]
            yield from ((entry.first, detail) for detail in told)

    # Inside.

    def _faults_of(self, entry: Entry) -> Iterator[str]:
        segment = self._segment(entry)
        told = list(segment.faults())
        yield from told
        if not told:
            said = segment.directory()
            same = (said.file_bytes, said.root_hash.hex(), said.recorded_first, said.recorded_last)
            if (entry.bytes, entry.root_hash, entry.recorded_first, entry.recorded_last) != same:
                yield f"{entry.file} is another file than {files.MANIFEST} says"
        if entry.sha256 and files.digest_of(segment.path).hex() != entry.sha256:
            yield f"{entry.file} has other bytes than those that were written"

    def _faults_of_remains(self, entry: Entry) -> Iterator[str]:
        path = self._remains(entry)
        try:
            said = remains.entry_of(path)
        except (Corrupt, NewerFormat) as error:
            yield f"{path.name}: {error.detail if isinstance(error, Corrupt) else error}"
            return
        if said != entry:
            yield f"{path.name} tells another story of the deletion than {files.MANIFEST}"

    def _hashes(self, listing: _Listing, first: int) -> bytes:
        entry = _at(listing, first)
        if entry is None:
            return b""
        number = (first - entry.first) // BLOCK_RECORDS
        if entry.is_deleted:
            return remains.hashes_of(self._remains(entry), number)
        return self._segment(entry).hashes(number)

    def _read(self, listing: _Listing, first: int, last: int) -> list[Body]:
        bodies: list[Body] = []
        while first <= last:
            entry = _at(listing, first)
            if entry is None:
                lost = Lost(f"no file of the archive has it; the archive is {self.folder}")
                return bodies + [lost] * (last - first + 1)
            end = min(last, entry.last)
            bodies += self._of_entry(entry, first, end)
            first = end + 1
        return bodies

    def _of_entry(self, entry: Entry, first: int, last: int) -> list[Body]:
        if not entry.is_deleted:
            return self._segment(entry).records(first, last)
        by, at, reason = entry.deleted_by or "nobody", entry.deleted_at or 0, entry.reason or ""
        detail = f"deleted with positions {entry.first} to {entry.last} by {by} at {at} (ms): {reason}"
        return [Lost(detail, by=by, at=at, reason=reason)] * (last - first + 1)

    def _segment(self, entry: Entry) -> Segment:
        place = entry.first, entry.last
        segment = self._segments.get(place)
        if segment is None:
            segment = Segment(self.folder / entry.file, *place)
            if len(self._segments) >= SEGMENTS_KNOWN_MAX:
                self._segments = {}
            self._segments[place] = segment
        return segment

    def _file(self, entry: Entry) -> Path:
        return self._remains(entry) if entry.is_deleted else self.folder / entry.file

    def _remains(self, entry: Entry) -> Path:
        return self.folder / files.name_of(entry.first, entry.last, files.REMAINS)

    def _current(self) -> _Listing:
        """What the archive has, read anew if the manifest is another one."""
        mark = _mark(self.folder / files.MANIFEST) or _mark(self.folder)
        known = self._listing
        if known.mark == mark:
            return known
        fault: str | None = None
        try:
            entries = manifest.read(self.folder)
        except (Corrupt, NewerFormat) as error:
            entries, fault = None, error.detail if isinstance(error, Corrupt) else str(error)
        except OSError as error:
            files.pass_on(error, self.folder)
            entries, fault, mark = None, str(error), (-1,)  # it is looked at anew the next time
        if entries is None:
            entries = tuple(_from_files(self.folder))
            if entries and fault is None:
                fault = f"{files.MANIFEST} is missing"
        self._listing = _Listing(mark, entries, tuple(entry.first for entry in entries), fault)
        return self._listing


def _mark(path: Path) -> tuple[int, ...]:
    """What is another whenever a file was replaced, or a folder got another one; empty if it is not there."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _at(listing: _Listing, position: int) -> Entry | None:
    """The segment that has a position."""
    place = bisect_right(listing.firsts, position) - 1
    entry = listing.entries[place] if place >= 0 else None
    return entry if entry is not None and position <= entry.last else None


def _from_files(folder: Path) -> Iterator[Entry]:
    """What the files say of themselves. Of two for the same positions, the remains are the later one."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        files.pass_on(error, folder)
        return
    found = {place: name for name in names if (place := files.range_of(name)) is not None}  # .seg sorts before .tiles
    end = 0
    for (first, last), name in sorted(found.items()):
        if first <= end:
            continue  # nobody who seals writes what overlaps
        if first > end + 1:
            yield _unknown(end + 1, first - 1)  # of however many files that are missing
        end = last
        path, entry = folder / name, _unknown(first, last)
        try:
            if path.suffix == files.REMAINS:
                entry = replace(entry, state=State.DELETED)
                yield remains.entry_of(path)
                continue
            said = Segment(path, first, last).directory()
        except (Corrupt, NewerFormat, OSError) as error:
            if isinstance(error, OSError):
                files.pass_on(error, path)
            yield entry
            continue
        yield replace(
            entry,
            bytes=said.file_bytes,
            root_hash=said.root_hash.hex(),
            recorded_first=said.recorded_first,
            recorded_last=said.recorded_last,
        )


def _unknown(first: int, last: int) -> Entry:
    """A segment of which only the positions are known."""
    return Entry(
        first=first,
        last=last,
        file=files.name_of(first, last),
        bytes=0,
        sha256="",
        root_hash="",
        recorded_first=0,
        recorded_last=0,
        state=State.KEPT,
    )
