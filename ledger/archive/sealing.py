"""The sealing: whole ranges of the log move into segments, step by step, while others write and read.

A segment is written, made durable and read back before anybody is told of it; then the manifest has it; then its
records leave the log, in small transactions. Killed anywhere between, the next one goes on: what is half-written is
written anew, and what has left the log is in the archive.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

from msgspec import Struct, field

from tallystick.ledger.archive import block, directory, files, manifest
from tallystick.ledger.archive.directory import BLOCK_RECORDS, Place
from tallystick.ledger.archive.manifest import Entry, State
from tallystick.ledger.archive.reader import Archive
from tallystick.ledger.archive.segment import Segment
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.limits import ARCHIVE_SEGMENT_EVENTS, ARCHIVE_SLICE_EVENTS, RECORD_BYTES_MAX
from tallystick.ledger.store.port import Body, Stored
from tallystick.ledger.store.tree import HASH_BYTES, TILE_BYTES, TILE_WIDTH, Tree, leaf_hash, split

BLOCKS_AT_ONCE = 4  # that are read, packed or read back in one step
SEARCHED_MAX = 1_024  # damaged records that are passed over to find out when a range was recorded


class Source(Protocol):
    """The log that is archived."""

    @property
    def archive(self) -> Archive: ...

    def head(self) -> int: ...

    def archived(self) -> int: ...

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]: ...

    def records(self, first: int, last: int) -> list[Body]: ...

    def tile(self, level: int, index: int) -> bytes: ...

    def let_go(self, until: int) -> None: ...

    def forget_deleted(self) -> None: ...


class _Written(Struct):
    """What is known of the blocks of a segment that is being written."""

    places: list[Place] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)  # of the leaf hashes and the records of each
    tree: Tree = Tree()


class Sealing:
    """Moves ranges of a log into its archive; one at a time for a log, beside its writer, on a thread of its own.

    `due` says which positions come next, `step` does a part of that: a few milliseconds of work, and writers wait for
    no more than one small transaction. Whoever calls them pauses between, as long as it likes.
    """

    def __init__(self, log: Source, *, segment_events: int = ARCHIVE_SEGMENT_EVENTS) -> None:
        if segment_events <= 0 or segment_events % BLOCK_RECORDS:
            raise ValueError(f"a segment has a multiple of {BLOCK_RECORDS} events, not {segment_events}")
        self._log = log
        self._folder = log.archive.folder
        self._segment_events = segment_events
        self._wanted: range | None = None
        self._work: Iterator[None] | None = None

    def forget_deleted(self) -> None:
        """Delete what is kept beside records that somebody has deleted, who could not do so."""
        self._log.forget_deleted()

    def due(self, now: int, after_ms: int) -> range | None:
        """Return the positions that are to be moved next; None when nothing is due.

        That is what an earlier one began, or the next whole segment when its newest event was recorded `after_ms` ago.
        Raises `Corrupt` when files of the archive are gone.
        """
        if self._work is not None:
            return self._wanted
        archived, end = self._log.archived(), self._log.archive.end()
        if archived > end:
            raise Corrupt(f"the archive ends at {end}, and everything up to {archived} has left the log for it")
        if archived < end:
            self._wanted = range(archived + 1, end + 1)
        else:
            self._wanted = self._due_behind(end, now, after_ms)
        return self._wanted

    def all_due(self, now: int, after_ms: int) -> list[range]:
        """Return everything that is to be moved by now, in the order in which it is. Raises as `due`."""
        found: list[range] = []
        wanted = self.due(now, after_ms)
        while wanted is not None:
            found.append(wanted)
            wanted = self._due_behind(wanted[-1], now, after_ms)
        return found

    def _due_behind(self, end: int, now: int, after_ms: int) -> range | None:
        """The whole segment behind a position, if it is old enough."""
        segment = range(end + 1, end + self._segment_events + 1)
        is_due = segment[-1] <= self._log.head() and self._recorded(segment)[1] <= now - after_ms
        return segment if is_due else None

    def step(self) -> bool:
        """Do a part of what `due` returned; False when all of it is done.

        Raises `Full` when the disk has no room: then nothing has changed, and the next step begins anew. `Corrupt`
        when neither the records of the range nor their stored hashes are what the tree was built from: it stays.
        """
        if self._work is None:
            if self._wanted is None:
                return False
            self._work = self._move(self._wanted)
        try:
            next(self._work)
        except StopIteration:
            self._work = self._wanted = None
            return False
        except BaseException:
            self._work = None
            raise
        return True

    def close(self) -> None:
        """Give up what is half-done; the next one begins it anew."""
        work, self._work = self._work, None
        if work is not None:
            work.close()  # type: ignore[attr-defined] # it is a generator

    # The way of a range.

    def _move(self, wanted: range) -> Iterator[None]:
        first, last = wanted[0], wanted[-1]
        self._tidy()
        if self._log.archive.end() < last:
            yield from self._write(first, last)
        else:
            yield from self._hold(first, last)
        for until in range(first - 1 + ARCHIVE_SLICE_EVENTS, last + ARCHIVE_SLICE_EVENTS, ARCHIVE_SLICE_EVENTS):
            self._log.let_go(min(until, last))
            yield

    def _tidy(self) -> None:
        """Go on where somebody was killed: without half-written files, without those of deleted segments."""
        archive = self._log.archive
        with files.alone(self._folder):  # nobody deletes meanwhile: what is unfinished, nobody finishes
            archive.mend()
            deleted = {entry.file for entry in archive.entries() if entry.is_deleted}
            for path in self._folder.iterdir():
                if path.suffix == files.UNFINISHED or path.name in deleted:
                    files.remove(path)
            if not (self._folder / files.MANIFEST).exists():  # before any segment is there: none without it is sound
                manifest.write(self._folder, archive.entries())

    def _hold(self, first: int, last: int) -> Iterator[None]:
        """Hold what an earlier one archived to the log, before it leaves that. Raises `Corrupt`.

        The log may be another one by now: restored by itself, and gone on since.
        """
        archive = self._log.archive
        for number, start in enumerate(range(first, last + 1, BLOCK_RECORDS)):
            there = archive.records(start, start + BLOCK_RECORDS - 1)
            same = archive.is_deleted(start) or there == self._records(start)
            if not same or _root(archive.tile((start - 1) // TILE_WIDTH)) != self._above(start):
                detail = f"{self._folder} has other records from here on than the log, which keeps its own"
                raise Corrupt(f"{detail}: put back files that belong together, from one backup", position=start)
            if number % BLOCKS_AT_ONCE == BLOCKS_AT_ONCE - 1:
                yield

    def _write(self, first: int, last: int) -> Iterator[None]:
        """Write a segment, read it back, and have the manifest name it."""
        path = self._folder / files.name_of(first, last)
        recorded = self._recorded(range(first, last + 1))
        with files.whole(path) as file:
            written = _Written()
            blocks = directory.blocks_of(first, last)
            os.lseek(file, directory.hashes_offset(blocks, blocks), os.SEEK_SET)
            for number in range(blocks):
                self._write_block(file, (blocks, number), first + number * BLOCK_RECORDS, written)
                if number % BLOCKS_AT_ONCE == BLOCKS_AT_ONCE - 1:
                    yield
            root = written.tree.edge.root()
            end = os.lseek(file, 0, os.SEEK_CUR) + directory.directory_bytes(blocks)
            told = directory.as_bytes((first, last), recorded, end, root, written.places)
            files.write_all(file, told)
            os.lseek(file, 0, os.SEEK_SET)
            files.write_all(file, told)
            os.fsync(file)
            yield
            unfinished = path.with_name(path.name + files.UNFINISHED)
            yield from _read_back(file, Segment(unfinished, first, last), written)
            digest = files.digest_of(unfinished)
            yield
        entry = Entry(
            first=first,
            last=last,
            file=path.name,
            bytes=end,
            sha256=digest.hex(),
            root_hash=root.hex(),
            recorded_first=recorded[0],
            recorded_last=recorded[1],
            state=State.KEPT,
        )
        with files.alone(self._folder):
            before = [each for each in self._log.archive.entries() if each.last < first]
            manifest.write(self._folder, [*before, entry])
        yield

    def _write_block(self, file: int, place: tuple[int, int], first: int, written: _Written) -> None:
        """Write a block, and the leaf hashes of what once was written there."""
        records = self._records(first)
        now = b"".join(leaf_hash(record or b"") for record in records)
        index = (first - 1) // TILE_WIDTH
        above = self._above(first)
        hashes = next((told for told in (now, self._log.tile(0, index)) if _root(told) == above), b"")
        if not hashes:
            raise Corrupt("neither it nor the hashes of its tile are what the tree was built from", position=first)
        if hashes != now and self._records(first) != records:  # a record that is another is archived as it is
            raise Corrupt("it was read twice, and was not the same", position=first)
        content = block.plain(records)
        frame = block.packed(content)
        written.places.append(Place(os.lseek(file, 0, os.SEEK_CUR), len(frame), sha256(frame).digest()))
        written.digests.append(sha256(hashes + content).digest())
        written.tree = written.tree.extend([above], tile_level=1).tree
        files.write_all(file, frame)
        os.pwrite(file, hashes, directory.hashes_offset(*place))

    def _above(self, first: int) -> bytes:
        """The root of the tile that begins at a position, as the tree has it."""
        above, place = divmod((first - 1) // TILE_WIDTH, TILE_WIDTH)
        return self._log.tile(1, above)[place * HASH_BYTES :][:HASH_BYTES]

    def _records(self, first: int) -> list[bytes | None]:
        bodies = self._log.records(first, first + BLOCK_RECORDS - 1)
        records = [body if isinstance(body, bytes) else None for body in bodies]
        for position, record in enumerate(records, first):
            if len(record or b"") > RECORD_BYTES_MAX:
                raise Corrupt("the record is longer than any that was ever written", position=position)
        return records

    def _recorded(self, wanted: range) -> tuple[int, int]:
        """When the first and the last event of a range that can be read were recorded; 0 when nobody can tell."""
        first, last = wanted[0], wanted[-1]
        events = (event for event in self._log.read(first - 1, last) if isinstance(event, Event))
        begun = next((event.recorded_at for event in events), 0)
        for position in range(last, max(first, last - SEARCHED_MAX) - 1, -1):
            for event in self._log.read(position - 1, position):
                if isinstance(event, Event):
                    return begun, event.recorded_at
        return begun, begun


def _root(hashes: bytes) -> bytes:
    """The root of a whole tile; none of anything else."""
    return Tree().extend(split(hashes)).tree.edge.root() if len(hashes) == TILE_BYTES else b""


def _read_back(file: int, segment: Segment, written: _Written) -> Iterator[None]:
    """Hold what the disk has to what was to be written. Raises `Corrupt`."""
    with suppress(OSError):  # else only the memory would be asked
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    for number, digest in enumerate(written.digests):
        if sha256(segment.hashes(number) + segment.content(number)).digest() != digest:
            raise Corrupt(f"block {number} of {segment.path.name} was not read back as it was written")
        if number % BLOCKS_AT_ONCE == BLOCKS_AT_ONCE - 1:
            yield
    if any(True for _ in segment.faults()):
        raise Corrupt(f"{segment.path.name} was not read back as it was written")
