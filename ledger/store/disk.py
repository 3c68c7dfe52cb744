"""The log on disk: an `EventLog` over one LMDB environment.

Owns what is written together and what is read together. The bytes of keys, of records and of the tree are those of
`keys`, `codec` and `tree`; the environment knows LMDB.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from tallystick.ledger.errors import Corrupt, InvalidInput, NewerFormat, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.limits import MAP_BYTES_FIRST
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode_all, read_record, unpack
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.mapping import Transaction
from tallystick.ledger.store.port import NO_CLAIMS, Damaged, Stored, TreeHead
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH, Edge, Growth, Tree, leaf_hashes, partial_tiles

FORMAT = 1
SLICE_RECORDS = 1_024  # read in one transaction: what it pins is short, what it costs is shared

_DATABASES = (keys.EVENTS, keys.CLAIMS, keys.TILES, keys.META)
_SETS = (keys.STREAMS,)
_PART_HASHES = 32  # of the last tile are written together: few bytes for one event, few writes for many
_PART_BYTES = _PART_HASHES * HASH_BYTES
_PART_KEYS = tuple(keys.tail_key(number) for number in range(TILE_WIDTH // _PART_HASHES))


class Stats(Struct, frozen=True):
    """What a log has written since it was opened, and how large it is."""

    commits: int
    fsyncs: int
    events: int
    record_bytes: int
    used_bytes: int
    map_bytes: int


class DiskLog:
    """An `EventLog` in a folder. One handle writes; a handle for reading sees each commit as soon as it is durable."""

    def __init__(self, environment: Environment, path: Path) -> None:
        self.environment = environment
        self.path = str(path)
        databases = environment.databases
        self._events = databases[keys.EVENTS]
        self._streams = databases[keys.STREAMS]
        self._claims = databases[keys.CLAIMS]
        self._tiles = databases[keys.TILES]
        self._meta = databases[keys.META]
        # The tree as it is on disk; None when that is not known. A handle for reading never knows.
        self._tree: Tree | None = None
        self._commits = self._appended = self._record_bytes = 0

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False, create: bool = True, map_bytes: int = MAP_BYTES_FIRST) -> Self:
        """Open the log in a folder; make it, if it is missing and `create`.

        Raises `InvalidInput` when there is none, `NewerFormat` when it is not for this version, and `Corrupt` when
        the folder has something that is not a log, or one that cannot be appended to. What is there stays as it is.
        """
        environment = Environment.open(path, map_bytes=map_bytes, readonly=readonly, create=create)
        with environment:
            _check_format(environment, path, readonly=readonly, create=create, map_bytes=map_bytes)
            whole = Environment.open(
                path, map_bytes=map_bytes, readonly=readonly, create=create, databases=_DATABASES, sets=_SETS
            )
        log = cls(whole, path)
        try:
            if not readonly:
                log._written_tree()
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

    def append(self, events: Sequence[Event], claims: Mapping[bytes, bytes] = NO_CLAIMS) -> None:
        tree = self._written_tree()
        head = tree.edge.size
        bodies = encode_all(events)
        for position, event in enumerate(events, head + 1):
            if event.position != position:
                raise Corrupt(f"an event for position {event.position} cannot follow the head, {position - 1}")
        places = list(map(keys.event_key, range(head + 1, head + 1 + len(bodies))))
        index = _index(events, places)
        growth = tree.extend(leaf_hashes(bodies))
        tiles = [keys.tile_item(tile.level, tile.index, tile.hashes) for tile in growth.tiles]
        edge = _edge_items(tree, growth)

        def write(txn: Transaction) -> None:
            cursor = txn.cursor(self._events)
            _, added = cursor.putmulti(zip(places, bodies, strict=True), append=True)
            if added != len(bodies):
                raise Corrupt("there are records behind the head", position=head + 1)
            if index is None or not self._index_written(txn, index):
                self._raise_wrong_version(txn, events)
            if claims:
                txn.cursor(self._claims).putmulti(claims.items())
            if tiles:
                txn.cursor(self._tiles).putmulti(tiles)
            txn.cursor(self._meta).putmulti(edge)

        self._tree = None  # unknown while it is being written: if that fails, the disk knows
        self.environment.write_batch(write)
        self._tree = growth.tree
        self._commits += 1
        self._appended += len(bodies)
        self._record_bytes += sum(map(len, bodies))

    def _index_written(self, txn: Transaction, index: "_Index") -> bool:
        """Write the index of the streams; False unless every event is the next of its stream."""
        cursor = txn.cursor(self._streams)
        for stream, count in index.counts.items():
            if not cursor.set_key(stream) or cursor.count() != count:
                return False
        if index.first:
            _, added = cursor.putmulti(index.first, overwrite=False)
            if added != len(index.first):
                return False
        if index.next:
            _, added = cursor.putmulti(index.next, append=True)
            if added != len(index.next):
                return False
        return True

    def _raise_wrong_version(self, txn: Transaction, events: Sequence[Event]) -> None:
        """Find the event that was refused: slow, and right whatever the batch has."""
        cursor = txn.cursor(self._streams)
        versions: dict[bytes, int] = {}
        for event in events:
            actual = versions.get(event.stream)
            if actual is None:  # this transaction may have written of the stream already
                found = cursor.getmulti([event.stream], dupdata=True)
                actual = sum(keys.position_of(place) < events[0].position for _, place in found)
            if event.version != actual + 1:
                raise WrongVersion(id_text(event.stream), expected=event.version - 1, actual=actual)
            versions[event.stream] = event.version
        raise Corrupt("the index of the streams contradicts the head", position=events[0].position)

    def _written_tree(self) -> Tree:
        """The tree that the next event is appended to."""
        tree = self._tree
        if tree is None:
            with self.environment.read() as txn:
                tree = self._stored_tree(txn)
            if not self.environment.readonly:
                self._tree = tree
        return tree

    def _stored_tree(self, txn: Transaction) -> Tree:
        edge = self._stored_edge(txn)
        partials = [
            self._tile(txn, place.level, place.index) if place.width else b"" for place in partial_tiles(edge.size)[1:]
        ]
        if edge.size:
            tail = b"".join(txn.get(key, b"", db=self._meta) for key in _PART_KEYS)
            partials.insert(0, tail[: edge.size % TILE_WIDTH * HASH_BYTES])
        return Tree.restore(edge, partials)

    def _tile(self, txn: Transaction, level: int, index: int) -> bytes:
        """The hashes of a tile; none if it is missing."""
        cursor = txn.cursor(self._tiles)
        start = keys.tile_key(level, index)
        if not cursor.set_range(start) or not cursor.key().startswith(start):
            return b""
        return keys.tile_of(cursor.key(), cursor.value())[2]

    def _stored_edge(self, txn: Transaction) -> Edge:
        stored = txn.get(keys.EDGE, db=self._meta)
        if stored is None:
            raise Corrupt("the tree's edge is missing")
        return Edge.from_bytes(stored)

    # Reading.

    def head(self) -> int:
        return self._edge().size

    def tree_head(self) -> TreeHead:
        edge = self._edge()
        return TreeHead(edge.size, edge.root())

    def _edge(self) -> Edge:
        tree = self._tree
        if tree is not None and self.environment.databases:  # which raises when the log is closed
            return tree.edge
        with self.environment.read() as txn:
            return self._stored_edge(txn)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for first, bodies in self._slices(after, until):
            yield from _decoded(first, bodies)

    def bodies(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        for first, bodies in self._slices(after, until):
            for position, body in enumerate(bodies, first):
                if body is not None:
                    yield position, body

    def _slices(self, after: int, until: int | None) -> Iterator[tuple[int, list[bytes | None]]]:
        head = self.head()
        end = head if until is None else min(until, head)
        for first in range(after + 1, end + 1, SLICE_RECORDS):
            yield first, self.records(first, min(first + SLICE_RECORDS - 1, end))

    def records(self, first: int, last: int) -> list[bytes | None]:
        """Return the stored bytes at positions `first` … `last`, None where there are none."""
        with self.environment.read() as txn:
            cursor = txn.cursor(self._events)
            if cursor.set_key(keys.event_key(first)):
                bodies: list[bytes | None] = list(islice(cursor.iternext(keys=False), last - first + 1))
                if cursor.key() == keys.event_key(last):  # as many records as positions: there is no gap
                    return bodies
            found = dict(cursor.getmulti(list(map(keys.event_key, range(first, last + 1)))))
        return [found.get(keys.event_key(position)) for position in range(first, last + 1)]

    def stream(self, stream: bytes, after_version: int = 0) -> list[Stored]:
        with self.environment.read() as txn:
            index = txn.cursor(self._streams).getmulti([stream], dupdata=True)
            places = [place for _, place in index[after_version:]]
            found = dict(txn.cursor(self._events).getmulti(places))
        records: list[Stored] = []
        for place in places:
            position = keys.position_of(place)
            body = found.get(place)
            record = _missing(position) if body is None else read_record(position, body)
            if isinstance(record, Event) and record.stream != stream:
                record = Damaged(position, f"the record says that it belongs to {record.task_id}")
            records.append(record)
        return records

    def claimed(self, claim: bytes) -> bytes | None:
        with self.environment.read() as txn:
            return txn.get(claim, db=self._claims)


class _Index(Struct, frozen=True):
    """What a batch writes to the index of the streams, and how many events each stream must have before."""

    counts: dict[bytes, int]
    first: list[tuple[bytes, bytes]]
    next: list[tuple[bytes, bytes]]


def _index(events: Sequence[Event], places: Sequence[bytes]) -> _Index | None:
    """The index of a batch; None when its events do not follow each other within their streams."""
    versions: dict[bytes, int] = {}
    index = _Index({}, [], [])
    for event, place in zip(events, places, strict=True):
        stream, version = event.stream, event.version
        last = versions.get(stream)
        if last is None:
            if len(stream) != ID_BYTES:
                raise InvalidInput("stream", stream, f"{ID_BYTES} bytes")
            if version == 1:
                index.first.append((stream, place))
            else:
                index.counts[stream] = version - 1
                index.next.append((stream, place))
        elif version == last + 1:
            index.next.append((stream, place))
        else:
            return None
        versions[stream] = version
    return index


def _edge_items(tree: Tree, growth: Growth) -> list[tuple[bytes, bytes]]:
    """The edge, and what changed of the tree's last, incomplete tile: none of its leaves is in `tiles` yet."""
    before, after = tree.edge.size, growth.tree.edge.size
    items = [(keys.EDGE, growth.tree.edge.to_bytes())]
    if after == before:
        return items
    tail = growth.tree.partials[0]
    same_tile = before // TILE_WIDTH == after // TILE_WIDTH
    first = before % TILE_WIDTH // _PART_HASHES if same_tile else 0
    items += [
        (_PART_KEYS[number], tail[number * _PART_BYTES : (number + 1) * _PART_BYTES])
        for number in range(first, -(-len(tail) // _PART_BYTES))
    ]
    return items


def _missing(position: int) -> Damaged:
    return Damaged(position, "missing")


def _decoded(first: int, bodies: Sequence[bytes | None]) -> Sequence[Stored]:
    """The records of a slice: at once when all are sound, else one by one."""
    try:
        events = list(map(unpack, bodies))  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - whatever it is, it is looked at below
        events = []
    if [event.position for event in events] == list(range(first, first + len(bodies))):
        return events
    return [
        _missing(position) if body is None else read_record(position, body)
        for position, body in enumerate(bodies, first)
    ]


def _check_format(environment: Environment, path: Path, *, readonly: bool, create: bool, map_bytes: int) -> None:
    """Refuse what is not a log of this format; give a new log its format and its empty tree."""
    with environment.read() as txn:
        names = set(txn.cursor().iternext(values=False))
    if keys.META in names:
        with Environment.open(path, map_bytes=map_bytes, readonly=readonly, databases=[keys.META]) as store:
            meta = store.databases[keys.META]
            with store.read() as txn:
                stored = txn.get(keys.FORMAT, db=meta)
        if stored is not None:
            found = keys.format_of(stored)
            if found > FORMAT:
                raise NewerFormat(str(path), found=found, known=FORMAT)
            return
    if not names <= {*_DATABASES, *_SETS}:
        raise Corrupt(f"{path} has a store that is not a log")
    if readonly or not create:
        raise InvalidInput("path", str(path), "a folder that has a log")
    with Environment.open(path, map_bytes=map_bytes, databases=_DATABASES, sets=_SETS) as store:

        def write(txn: Transaction) -> None:
            if any(txn.stat(database)["entries"] for database in store.databases.values()):
                raise Corrupt(f"{path} has a log whose format is missing")
            txn.put(keys.FORMAT, keys.format_value(FORMAT), db=store.databases[keys.META])
            txn.put(keys.EDGE, Edge().to_bytes(), db=store.databases[keys.META])

        store.write_batch(write)
