"""The nodes of the tree of a log: what a proof is made of, read from the tiles that are stored."""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.limits import TILES_REMEMBERED
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH

Levels: TypeAlias = Sequence[bytes]
"""The hashes of a tile, and above them the roots of its perfect subtrees: those of a level one after another."""

_PAIR_BYTES: Final = 2 * HASH_BYTES
_pairs = Struct(f"{_PAIR_BYTES}s").iter_unpack


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
        end = (place + 1) * HASH_BYTES
        known = self._tiles.pop((tile_level, tile), None)
        if known is None or len(known[height]) < end:
            known = self._read(tile_level, tile, (place + 1) << height)
        self._tiles[tile_level, tile] = known  # behind all others: whatever is asked for seldom goes first
        if len(self._tiles) > TILES_REMEMBERED:
            del self._tiles[next(iter(self._tiles))]
        return known[height][end - HASH_BYTES : end]

    def _read(self, level: int, index: int, width: int) -> Levels:
        """A tile that has as many hashes, at least."""
        stored = self._log.tile(level, index)
        if len(stored) < width * HASH_BYTES:
            raise Corrupt(
                f"tile {level}/{index} of the tree has {len(stored)} bytes; {width * HASH_BYTES} are needed",
                position=index * TILE_WIDTH ** (level + 1) + 1,
            )
        # All of them: a proof needs one of each level, and the next proof another. Nearly all that a proof costs is
        # spent here, so two neighbours are taken as they lie there, without a call and a slice for each.
        levels = [stored]
        while len(levels) < TILE_HEIGHT:
            below = levels[-1]
            pairs = _pairs(below[: len(below) // _PAIR_BYTES * _PAIR_BYTES])
            levels.append(b"".join([sha256(b"\x01" + pair).digest() for (pair,) in pairs]))
        return levels
