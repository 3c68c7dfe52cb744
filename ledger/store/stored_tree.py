"""The tree as the databases of a log have it, read in the transaction of whoever asks."""

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys
from tallystick.ledger.store.batch import TAIL_KEYS
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.tree import HASH_BYTES, Edge, partial_tiles


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
        tail = b"".join(txn.get(key, b"", db=self._meta) for key in TAIL_KEYS)
        return [
            self.tile(txn, place.level, place.index) if place.level else tail[: place.width * HASH_BYTES]
            for place in partial_tiles(size)
        ]

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
