"""The log on disk: an `EventLog` over one LMDB environment.

Owns what is written together and what is read together. The bytes are those of `keys`, `codec` and `tree`, how a
folder is laid out is `layout`'s, what a batch writes is `batch`'s, and the environment knows LMDB.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.limits import MAP_BYTES_FIRST, MAP_BYTES_MAX
from tallystick.ledger.store import keys, layout
from tallystick.ledger.store.batch import Batch, Items, prepare
from tallystick.ledger.store.codec import read_of_stream, read_records
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.mapping import Transaction
from tallystick.ledger.store.port import (
    NO_CLAIMS,
    NO_NOTES,
    NO_PAYLOADS,
    Body,
    Outline,
    Row,
    Stats,
    Stored,
    TreeHead,
)
from tallystick.ledger.store.stored_index import StoredIndex
from tallystick.ledger.store.stored_tree import StoredEnd, StoredTree
from tallystick.ledger.store.tree import TILE_WIDTH, Tree

if TYPE_CHECKING:  # loaded when something has been archived, or is kept beside it: most commands need nothing of it
    from tallystick.ledger.archive.reader import Archive
    from tallystick.ledger.payloads import Payloads
    from tallystick.ledger.store.payloads import StoredPayloads

SLICE_RECORDS = 1_024  # read in one transaction: what it pins is short, what it costs is shared


class DiskLog:
    """An `EventLog` in a folder. One handle writes; a handle for reading sees each commit as soon as it is durable.

    Its oldest records may be in its archive, `archive` below the folder: they are read as if they were here.
    After an `append` that raised, the log is what the disk says, and the handle reads it anew.
    """

    def __init__(self, environment: Environment, path: Path) -> None:
        self.environment = environment
        self.path = str(path)
        self._archive: Archive | None = None
        databases = environment.databases
        self._events = databases[keys.EVENTS]
        self._streams = databases[keys.STREAMS]
        self._claims = databases[keys.CLAIMS]
        self._tiles, self._meta = databases[keys.TILES], databases[keys.META]
        self._stored = StoredTree(self._tiles, self._meta)
        self._index = StoredIndex(self._streams)
        self._database = databases.get(keys.PAYLOADS)
        self._payloads: StoredPayloads | None = None
        self._has_looked = False  # whether it is known that nothing is kept beside it
        self._end = StoredEnd(self._events, self._tiles, self._meta, self._stored)
        # The tree as it is on disk; None while only the disk knows. A handle for reading never has it.
        self._tree: Tree | None = None
        self._commits = self._appended = self._record_bytes = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        readonly: bool = False,
        create: bool = True,
        map_bytes: int = MAP_BYTES_FIRST,
        map_bytes_max: int = MAP_BYTES_MAX,
    ) -> Self:
        """Open the log in a folder; make it if it is missing and `create`.

        Raises what `layout.open_environment` raises, and `Corrupt` when the tree is not one that can grow: then the
        log can still be read.
        """
        environment = layout.open_environment(
            path, readonly=readonly, create=create, map_bytes=map_bytes, map_bytes_max=map_bytes_max
        )
        log = cls(environment, path)
        try:
            if not readonly:
                environment.recover()
                log._growing_tree()
                log.forget_deleted()
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        self.environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stats(self) -> Stats:
        """Return what this handle has written, and how large the log is."""
        info = self.environment.info()
        return Stats(
            commits=self._commits,
            fsyncs=self._commits,
            events=self._appended,
            record_bytes=self._record_bytes,
            used_bytes=info.used_bytes,
            map_bytes=info.map_bytes,
        )

    # Writing.

    def append(
        self,
        events: Sequence[Event],
        claims: Mapping[bytes, bytes] = NO_CLAIMS,
        notes: Mapping[bytes, bytes] = NO_NOTES,
        payloads: "Mapping[int, Payloads]" = NO_PAYLOADS,
        *,
        bodies: Sequence[bytes] | None = None,
    ) -> None:
        """As the port says. `bodies` are the bytes of the records, where another log has them already."""
        if payloads or bodies is not None:
            events = self._beside().stripped(events)
        tree, self._tree = self._growing_tree(), None  # should anything fail, only the disk knows what is there
        batch = prepare(tree, events, bodies, claims, notes)

        def write(txn: Transaction) -> None:
            self._write(txn, events, batch)
            beside = self._kept(txn)
            if beside is not None and beside.write(txn, events, payloads, self._index):
                layout.raise_format(txn, self._meta, layout.FORMAT)

        if events or claims or notes:
            self.environment.write_batch(write)
            self._commits += 1
        self._tree, self._appended = batch.tree, self._appended + len(batch.bodies)
        self._record_bytes += sum(map(len, batch.bodies))

    def _write(self, txn: Transaction, events: Sequence[Event], batch: Batch) -> None:
        if events:
            _, added = txn.cursor(self._events).putmulti(zip(batch.places, batch.bodies, strict=True), append=True)
            if added != len(events):
                raise Corrupt("another record is there already", position=events[0].position)
            if batch.index is None or not self._index.add(txn, batch.index):
                self._index.refuse(txn, events)
        if batch.claims:
            txn.cursor(self._claims).putmulti(batch.claims)
        for claim in batch.let_go:
            txn.delete(claim, db=self._claims)
        if batch.tiles:
            txn.cursor(self._tiles).putmulti(batch.tiles)
        txn.cursor(self._meta).putmulti(batch.meta)

    def _growing_tree(self) -> Tree:
        """The tree that the next event is appended to."""
        tree = self._tree
        if tree is None or not self.environment.databases:  # which raises when the log is closed
            with self.environment.read() as txn:
                edge = self._stored.edge(txn)
                if edge.size > self._end.size(txn):
                    raise Corrupt(f"the tree says that it has {edge.size} records, for which too little is stored")
                tree = Tree.restore(edge, self._stored.partials(txn, edge.size))
            self._tree = tree
        return tree

    # What the archive has.

    @property
    def archive(self) -> "Archive":
        """The archive, for who reads what has left the log."""
        if self._archive is None:
            from tallystick.ledger.archive.reader import FOLDER, Archive  # noqa: PLC0415 - see above

            self._archive = Archive(Path(self.path) / FOLDER)
        return self._archive

    def archived(self) -> int:
        """Return the position up to which the records are in the archive and no longer here; 0 for none."""
        with self.environment.read() as txn:
            return self._end.archived(txn)

    def let_go(self, until: int) -> None:
        """Drop the records up to a position, and their leaf hashes, in one transaction; LMDB uses their pages again.

        For whoever archives them. They MUST be in the archive for good, and whole tiles; else it is `Corrupt`.
        """
        if until % TILE_WIDTH or self.archive.end() < until:
            raise Corrupt("the archive does not have what is to leave the log", position=until)

        def work(txn: Transaction) -> None:
            archived = self._end.archived(txn)
            for position in range(archived + 1, until + 1):
                txn.delete(keys.event_key(position), db=self._events)
            self._stored.drop_leaves(txn, archived // TILE_WIDTH, until // TILE_WIDTH - 1)
            txn.put(keys.ARCHIVED, keys.event_key(max(archived, until)), db=self._meta)
            layout.raise_format(txn, self._meta, layout.FORMAT_ARCHIVED)

        self.environment.write_batch(work)

    def forget_deleted(self) -> None:
        """Delete what is kept of records that are deleted. A handle for reading leaves that to whoever writes next."""
        with self.environment.read() as txn:
            may_have = self._kept(txn) is not None and self._end.archived(txn)
        if may_have and not self.environment.readonly and (until := self.archive.deleted()):
            self.forget_payloads(until)

    def forget_payloads(self, until: int) -> None:
        """Delete what is kept beside the records up to a position: for whoever deletes these. Durable on return."""
        beside = self._beside()
        self.environment.write_batch(lambda txn: beside.erase_until(txn, until))

    # Reading.

    def head(self) -> int:
        tree = self._tree
        if tree is not None and self.environment.databases:  # which raises when the log is closed
            return tree.edge.size
        with self.environment.read() as txn:
            return self._end.size(txn)

    def tree_head(self) -> TreeHead:
        with self.environment.read() as txn:
            edge = self._stored.edge(txn)
        return TreeHead(edge.size, edge.root())

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for first, bodies, rows in self._slices(after, until):
            records = read_records(first, bodies)
            yield from self._beside().filled(records, rows) if rows else records

    def bodies(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        for first, bodies, _ in self._slices(after, until):
            for position, body in enumerate(bodies, first):
                if isinstance(body, bytes):
                    yield position, body

    def _slices(self, after: int, until: int | None) -> Iterator[tuple[int, list[Body], list[Row]]]:
        head = self.head()
        end = head if until is None else min(until, head)
        first = after + 1
        while first <= end:  # whole slices behind the first one: then no block of the archive is unpacked twice
            last = min(first + SLICE_RECORDS - 1 - (first - 1) % SLICE_RECORDS, end)
            yield first, *self._between(first, last)
            first = last + 1

    def records(self, first: int, last: int) -> list[Body]:
        return self._between(first, last)[0]

    def _between(self, first: int, last: int) -> tuple[list[Body], list[Row]]:
        """What is stored from one position to another, and what is kept beside it, as of one moment."""
        self._seek_payloads()
        with self.environment.read() as txn:
            beside = self._kept(txn)
            rows = beside.between(txn, first, last) if beside is not None else []
            cursor = txn.cursor(self._events)
            if cursor.set_key(keys.event_key(first)):
                bodies: list[Body] = list(islice(cursor.iternext(keys=False), last - first + 1))
                if cursor.key() == keys.event_key(last):  # as many records as positions: there is no gap
                    return bodies, rows
            archived = self._end.archived(txn)
            here = range(max(first, archived + 1), last + 1)
            found = dict(cursor.getmulti(list(map(keys.event_key, here))))
        there = self.archive.records(first, min(last, archived)) if first <= archived else []
        return [*there, *(found.get(keys.event_key(position)) for position in here)], rows

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        found = self._found(lambda txn: txn.cursor(self._streams).getmulti([stream], dupdata=True)[after_version:])
        return [stored for _, stored in found]

    def _found(self, indexed: Callable[[Transaction], Items]) -> Iterator[tuple[bytes, Stored]]:
        """Yield what is stored at the places that the index names, each with its stream, all as of one moment."""
        self._seek_payloads()
        with self.environment.read() as txn:
            beside = self._kept(txn)
            index = indexed(txn)
            places = [place for _, place in index]
            found: dict[bytes, Body] = dict(txn.cursor(self._events).getmulti(places))
            rows = beside.at(txn, places) if beside is not None else []
            archived = keys.event_key(self._end.archived(txn)) if len(found) < len(index) else b""
        missing = [keys.position_of(place) for place in places if place <= archived and place not in found]
        if missing:  # the archive is read outside of snapshots
            found.update((keys.event_key(position), body) for position, body in self.archive.at(missing).items())
        records: Sequence[Stored] = [
            read_of_stream(stream, keys.position_of(place), found.get(place)) for stream, place in index
        ]
        if rows:
            records = self._beside().filled(records, rows)
        yield from zip((stream for stream, _ in index), records, strict=True)

    def histories(self, streams: Sequence[bytes]) -> dict[bytes, list[Stored]]:
        histories: dict[bytes, list[Stored]] = {}
        for stream, stored in self._found(lambda txn: txn.cursor(self._streams).getmulti(streams, dupdata=True)):
            histories.setdefault(stream, []).append(stored)
        return histories

    def newest(self, streams: Sequence[bytes]) -> dict[bytes, Stored]:
        """Return the newest event of each of these streams; those that have none are left out."""
        return dict(self._found(lambda txn: self._index.newest(txn, streams)))

    def claimed(self, claim: bytes) -> bytes | None:
        with self.environment.read() as txn:
            return txn.get(claim, db=self._claims)

    def note(self, name: bytes) -> bytes | None:
        with self.environment.read() as txn:
            return txn.get(keys.note_key(name), db=self._meta)

    def notes(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        start = keys.note_key(prefix)
        with self.environment.read() as txn:
            cursor = txn.cursor(self._meta)
            found = cursor.set_range(start)
            notes = takewhile(lambda note: note[0].startswith(start), cursor.iternext() if found else ())
            return [(key[len(keys.NOTE) :], value) for key, value in notes]

    # Inspection.

    def outline(self) -> Outline:
        from tallystick.ledger.store.outline import outlined  # noqa: PLC0415 - only for who looks for damage

        with self.environment.read() as txn:
            outline = outlined(txn, self.environment.databases, self._stored, self._end)
            said = self._end.said_archived(txn)
        faults = list(self.archive.faults())  # which takes longer than a snapshot should
        if said != outline.archived:
            faults.append((0, f"the log says that {said} records are in it, more than there can be"))
        return replace(outline, faults=tuple(faults))

    def payloads(self, first: int, last: int, limit: int | None = None) -> list[Row]:
        self._seek_payloads()
        with self.environment.read() as txn:
            beside = self._kept(txn)
            return beside.between(txn, first, last, limit) if beside is not None else []

    def _seek_payloads(self) -> None:
        """Find their database, which may have been made after this handle for reading was opened."""
        if self._database is None:
            with self.environment.read() as txn:
                is_used = layout.has_payloads(txn, self._meta)
            self._database = self.environment.find(keys.PAYLOADS) if is_used else None

    def _kept(self, txn: Transaction) -> "StoredPayloads | None":
        """What is kept beside the log; None as long as nothing is."""
        if self._payloads is None and not self._has_looked:
            if self._database is not None and txn.stat(self._database)["entries"]:
                return self._beside()
            self._has_looked = not self.environment.readonly
        return self._payloads

    def _beside(self) -> "StoredPayloads":
        if self._payloads is None:
            from tallystick.ledger.store.payloads import StoredPayloads  # noqa: PLC0415 - see above

            self._payloads = StoredPayloads(self._database, self.path)
        return self._payloads

    def tile(self, level: int, index: int) -> bytes:
        with self.environment.read() as txn:
            hashes = self._stored.tile(txn, level, index)
            if hashes or level:
                return hashes
            if (index + 1) * TILE_WIDTH > self._end.archived(txn):
                return self._stored.incomplete(txn, index)
        return self.archive.tile(index)

    def index(self) -> Iterator[list[tuple[bytes, bytes]]]:
        return self.environment.rows(self._streams, are_sets=True)

    def positions(self, streams: Sequence[bytes]) -> Mapping[bytes, Sequence[int]]:
        with self.environment.read() as txn:
            return self._index.positions(txn, streams)

    def positions_behind(self, stream: bytes, position: int, count: int) -> Sequence[int]:
        with self.environment.read() as txn:
            return self._index.positions_behind(txn, stream, position, count)

    def claims(self) -> Iterator[list[tuple[bytes, bytes]]]:
        return self.environment.rows(self._claims, are_sets=False)

    def claimed_all(self, claims: Sequence[bytes]) -> Mapping[bytes, bytes]:
        with self.environment.read() as txn:
            return dict(txn.cursor(self._claims).getmulti(claims))

    def known_streams(self, streams: Sequence[bytes]) -> set[bytes]:
        with self.environment.read() as txn:
            return set(txn.cursor(self._streams).getmulti(streams, values=False))
