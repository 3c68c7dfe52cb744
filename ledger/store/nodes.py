"""The nodes of the tree of a log: what a proof is made of, read from the tiles that are stored."""

from collections.abc import Sequence
from typing import TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.limits import TILES_REMEMBERED
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, node_hash, split

Levels: TypeAlias = Sequence[Sequence[bytes]]
"""The hashes of a tile, and above them the roots of its perfect subtrees, level by level."""


class StoredNodes:
    """The roots of the perfect subtrees of a log, for one thread.

    A node never changes once its last leaf is written: whatever is appended meanwhile, the nodes of one size fit.
    Nothing is read but the tiles that have a wanted node: some three for a proof, of whatever log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tiles: dict[tuple[int, int], Levels] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the hash over the `2 ** level` leaves from `index * 2 ** level` on.

        Raises `Corrupt` when the log does not have the tile, or not all of it; `Closed`.
        """
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile, place = divmod(index, TILE_WIDTH >> height)
        known = self._tiles.get((tile_level, tile))
        if known is None or place >= len(known[height]):
            known = self._read(tile_level, tile, (place + 1) << height)
        return known[height][place]

    def _read(self, level: int, index: int, width: int) -> Levels:
        """A tile that has as many hashes, at least."""
        stored = self._log.tile(level, index)
        if len(stored) < width * HASH_BYTES:
            raise Corrupt(
                f"tile {level}/{index} of the tree has {len(stored)} bytes; {width * HASH_BYTES} are needed",
                position=index * TILE_WIDTH ** (level + 1) + 1,
            )
        levels = [split(stored)]
        for _ in range(1, TILE_HEIGHT):  # all of them: a proof needs one of each, and the next proof another
            pairs = iter(levels[-1])
            levels.append([node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)])
        if len(self._tiles) >= TILES_REMEMBERED:
            self._tiles.clear()
        self._tiles[level, index] = levels
        return levels
