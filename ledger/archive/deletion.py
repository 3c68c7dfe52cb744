"""The deletion: segments that nobody wants any more go, the hashes of their records stay.

It is explicit, and goes from the oldest on. What remains is durable before the manifest tells of the deletion, and the
manifest before the file goes: whoever is killed between has deleted all of a segment, or nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from tallystick.ledger.archive import files, manifest, remains
from tallystick.ledger.archive.manifest import Entry, State
from tallystick.ledger.archive.reader import Archive
from tallystick.ledger.errors import Corrupt, Refused
from tallystick.ledger.events import Event
from tallystick.ledger.folding import fold_stream
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.remains import is_tombstone
from tallystick.ledger.store.port import Stored
from tallystick.ledger.store.tree import HASH_BYTES, TILE_BYTES, TILE_WIDTH, Tree, split

ATTEMPTED = "deleting its history"
STREAMS_AT_ONCE = 4_096  # whose newest events are looked at together: they stand in the same blocks


class Source(Protocol):
    """The log whose archive it is."""

    @property
    def archive(self) -> Archive: ...

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]: ...

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]: ...

    def newest(self, streams: Sequence[bytes]) -> dict[bytes, Stored]: ...

    def index(self) -> Iterator[list[tuple[bytes, bytes]]]: ...

    def tile(self, level: int, index: int) -> bytes: ...

    def forget_deleted(self) -> None: ...


def wanted(archive: Archive, *, before: int | None = None, recorded_before: int | None = None) -> tuple[Entry, ...]:
    """Return the kept segments that lie wholly before a position, or before a moment (ms, as recorded).

    From the oldest on, and none behind one that stays: what is deleted is the beginning of the log.
    """
    found: list[Entry] = []
    for entry in archive.entries():
        if before is not None and entry.last >= before:
            break
        if recorded_before is not None and not 0 < entry.recorded_last < recorded_before:
            break  # 0: nobody can tell when it was recorded
        if not entry.is_deleted:
            found.append(entry)
    return tuple(found)


def check(log: Source, entries: Sequence[Entry]) -> None:
    """Raise `Refused`, naming a task or flow that is not pruned, if one has an event in these segments."""
    for entry in entries:
        streams: set[bytes] = set()
        unread: set[int] = set()
        for stored in log.read(entry.first - 1, entry.last):
            if isinstance(stored, Event):
                streams.add(stored.stream)
            else:
                unread.add(stored.position)
        if unread:  # the index knows whose they are
            streams |= _streams_at(log, unread)
        known = sorted(streams)
        for start in range(0, len(known), STREAMS_AT_ONCE):
            _check(log, known[start : start + STREAMS_AT_ONCE])


def _check(log: Source, streams: Sequence[bytes]) -> None:
    for stream, stored in log.newest(streams).items():
        if not isinstance(stored, Event) or not is_tombstone(stored.data):
            raise _standing(log, stream, stored)


def _standing(log: Source, stream: bytes, newest: Stored) -> Refused:
    """The refusal for a stream that is not pruned."""
    name = id_text(stream) if len(stream) == ID_BYTES else stream.hex()
    if not isinstance(newest, Event):
        why = f"Its newest event cannot be read ({newest.detail}): put the file back from a backup first."
        return Refused(name, status="not readable", attempted=ATTEMPTED, why=why)
    try:
        record = fold_stream([stored for stored in log.stream(stream) if isinstance(stored, Event)])
    except Corrupt:
        record = None
    status = "not readable" if record is None else record.status.value
    of = "flow" if newest.is_of_flow else "task"
    why = f"This {of} is not pruned, and has events in the archive: wait for its retention, or keep what is before it."
    return Refused(name, status=status, attempted=ATTEMPTED, why=why)


def _streams_at(log: Source, positions: set[int]) -> set[bytes]:
    return {stream for rows in log.index() for stream, place in rows if int.from_bytes(place) in positions}


def delete(log: Source, entry: Entry, *, by: str, at: int, reason: str) -> Entry:
    """Delete a segment, and return what the manifest says of it then; a deleted one as it is.

    Durable when it returns. Only whoever has asked `check` knows whether it may. Raises `Full`, `StoreError`, and
    `Corrupt` when the leaf hashes that should remain cannot be had.
    """
    archive = log.archive
    with files.alone(archive.folder):
        archive.mend()
        entries = list(archive.entries())
        place = next((place for place, each in enumerate(entries) if each.first == entry.first), None)
        if place is None or entries[place].last != entry.last:
            raise Corrupt("the archive has no such segment any more", position=entry.first)
        now = entries[place]
        if not now.is_deleted:
            now = replace(now, state=State.DELETED, deleted_at=at, deleted_by=by, reason=reason)
            remains.write(archive.folder, now, _hashes(log, now))
            entries[place] = now
            manifest.write(archive.folder, entries)
        files.remove(archive.folder / now.file)
        log.forget_deleted()
    return now


def _hashes(log: Source, entry: Entry) -> bytes:
    """The leaf hashes of a segment; `Corrupt` when they are not all as the tree has them."""
    tiles: list[bytes] = []
    for index in range((entry.first - 1) // TILE_WIDTH, entry.last // TILE_WIDTH):
        hashes = log.tile(0, index)
        above = log.tile(1, index // TILE_WIDTH)[index % TILE_WIDTH * HASH_BYTES :][:HASH_BYTES]
        if len(hashes) != TILE_BYTES or Tree().extend(split(hashes)).tree.edge.hashes != (above,):
            detail = f"{entry.file} lacks hashes that must remain: put the file back from a backup first"
            raise Corrupt(detail, position=index * TILE_WIDTH + 1)
        tiles.append(hashes)
    return b"".join(tiles)
