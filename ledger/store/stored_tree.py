"""The tree as the databases of a log have it, and where the log ends by it, read in the transaction of whoever asks.

Whoever can write to the folder can have it say any end. What is read up to an end is read up to one that it can have.
"""

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys
from tallystick.ledger.store.batch import TAIL_KEYS
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH, Edge, partial_tiles

TILE_POSITIONS = TILE_WIDTH**2  # that a tile of the second level is over: the lowest ones leave with their records


class StoredTree:
    """The edge and the tiles of a log that is open."""

    def __init__(self, tiles: Database, meta: Database) -> None:
        self._tiles, self._meta = tiles, meta

    def edge(self, txn: Transaction) -> Edge:
        """Return the edge; `Corrupt` when what is there is none."""
        stored = txn.get(keys.EDGE, db=self._meta)
        if stored is None:
            raise Corrupt("the tree's edge is missing")
        return Edge.from_bytes(stored)

    def partials(self, txn: Transaction, size: int) -> list[bytes]:
        """The incomplete tiles; the one of level 0 is not among the tiles, and followed by what is left of others."""
        return [
            self.tile(txn, place.level, place.index) if place.level else self._tail(txn, place.width)
            for place in partial_tiles(size)
        ]

    def incomplete(self, txn: Transaction, index: int) -> bytes:
        """The leaf hashes of the incomplete tile of level 0 if it has this index; else none."""
        try:
            last, width = divmod(self.edge(txn).size, TILE_WIDTH)
        except Corrupt:
            return b""
        return self._tail(txn, width) if index == last else b""

    def _tail(self, txn: Transaction, width: int) -> bytes:
        return b"".join(txn.get(key, b"", db=self._meta) for key in TAIL_KEYS)[: width * HASH_BYTES]

    def tile(self, txn: Transaction, level: int, index: int) -> bytes:
        """The hashes of a tile; none if it is missing."""
        cursor = txn.cursor(self._tiles)
        start = keys.tile_key(level, index)
        if not cursor.set_range(start) or not cursor.key().startswith(start):
            return b""
        try:
            return keys.tile_of(cursor.key(), cursor.value())[2]
        except Corrupt:
            return b""

    def drop_leaves(self, txn: Transaction, first: int, last: int) -> None:
        """Remove the tiles of the lowest level with these indexes."""
        cursor = txn.cursor(self._tiles)
        for index in range(first, last + 1):
            start = keys.tile_key(0, index)
            while cursor.set_range(start) and cursor.key().startswith(start):
                cursor.delete()


class StoredEnd:
    """The end of a log that is open, read in the transaction of whoever asks."""

    def __init__(self, events: Database, tiles: Database, meta: Database, tree: StoredTree) -> None:
        self._events, self._tiles, self._meta, self._tree = events, tiles, meta, tree

    def archived(self, txn: Transaction) -> int:
        """Return the position up to which the records are in the archive; 0 for none, or for one that cannot be."""
        said = self.said_archived(txn)
        return said if self._can_be(txn, said) else 0

    def said_archived(self, txn: Transaction) -> int:
        """Return the position up to which the records are said to be there, whether it can be or not."""
        stored = txn.get(keys.ARCHIVED, db=self._meta)
        return 0 if stored is None or len(stored) != keys.POSITION_BYTES else keys.position_of(stored)

    def last(self, txn: Transaction) -> int:
        """Return the last position that has a record, here or in the archive; 0 for none."""
        return max(self._here(txn), self.archived(txn))

    def said(self, txn: Transaction) -> int:
        """Return how many records there are by the tree; without one, the last position that has one."""
        try:
            return self._tree.edge(txn).size
        except Corrupt:
            return self.last(txn)

    def size(self, txn: Transaction) -> int:
        """Return how many records there are, as far as that can be."""
        said = self.said(txn)
        return said if self._can_be(txn, said) else self.reach(txn)

    def reach(self, txn: Transaction) -> int:
        """Return the last position that has a record and can be one of the log's; 0 for none."""
        return max(self._here(txn, self._most(txn)), self.archived(txn))

    def _can_be(self, txn: Transaction, size: int) -> bool:
        return size <= TILE_POSITIONS or size <= self._most(txn)

    def _most(self, txn: Transaction) -> int:
        """How many records there can be: each is here, or was archived, and of these the tree has tiles that stay."""
        events, tiles = txn.stat(self._events)["entries"], txn.stat(self._tiles)["entries"]
        return int(events + (tiles + 1) * TILE_POSITIONS)

    def _here(self, txn: Transaction, most: int | None = None) -> int:
        """The last position that has a record here, up to `most` if that is given; 0 for none."""
        cursor = txn.cursor(self._events)
        is_behind = most is not None and cursor.set_range(keys.event_key(most + 1))
        found = cursor.prev() if is_behind else cursor.last()
        while found and len(cursor.key()) != keys.POSITION_BYTES:
            found = cursor.prev()
        return keys.position_of(cursor.key()) if found else 0
