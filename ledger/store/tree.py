"""The Merkle tree over the log: RFC 6962 hashing, the edge, and the tiles a batch completes.

Owns hashes and their bytes; knows nothing of events, keys or disks.
A leaf is the hash of one stored record; leaf `i` belongs to position `i + 1`.

Tiles are those of C2SP tlog-tiles: tile `(level, index)` holds the 256 hashes of the perfect subtrees
of `256 ** level` leaves that start at `index * 256`, concatenated; an incomplete one is a prefix of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from tallystick.ledger.errors import Corrupt

HASH_BYTES = 32
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
TILE_HEIGHT = 8  # levels of the tree between two levels of tiles
SIZE_BYTES = 8
EMPTY_ROOT = sha256(b"").digest()

assert TILE_WIDTH == 1 << TILE_HEIGHT


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of one stored record."""
    return sha256(b"\x00" + record).digest()


def leaf_hashes(records: Iterable[bytes]) -> list[bytes]:
    """Return the hash of every record, in order: `leaf_hash` for a batch, without the calls."""
    return [sha256(b"\x00" + record).digest() for record in records]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbouring subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root_from_leaves(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962 section 2.1 defines it: slow, and what everything else is held to."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_from_leaves(leaves[:split]), root_from_leaves(leaves[split:]))


class Tile(msgspec.Struct, frozen=True, gc=False):
    """One tile to store; it replaces what is stored under the same level and index."""

    level: int
    index: int
    hashes: bytes


class PartialTile(msgspec.Struct, frozen=True, gc=False):
    """Where the incomplete tile of one level is, and how many hashes it has."""

    level: int
    index: int
    width: int


def partial_tiles(size: int) -> list[PartialTile]:
    """Return every incomplete tile of a tree of `size` leaves, lowest level first; empty ones too.

    Their hashes, concatenated, are what `Tree.restore` wants.
    Those of level 0 are never stored: they are the leaf hashes of the last `width` records.
    """
    tiles = []
    level = 0
    while size:
        size, width = divmod(size, TILE_WIDTH)
        tiles.append(PartialTile(level, size, width))
        level += 1
    return tiles


class Edge(msgspec.Struct, frozen=True, gc=False):
    """A tree reduced to what appending and the root need.

    `hashes` are the roots of the maximal perfect subtrees, largest first: one for each set bit of `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, root = self.hashes
        for subtree in reversed(larger):
            root = node_hash(subtree, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the edge as it is stored: the size, big-endian, then the hashes."""
        return self.size.to_bytes(SIZE_BYTES) + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Edge:
        """Read what `to_bytes` wrote; `Corrupt` if no edge has these bytes."""
        size = int.from_bytes(stored[:SIZE_BYTES])
        wanted = SIZE_BYTES + HASH_BYTES * size.bit_count()
        if len(stored) != wanted:
            raise Corrupt(f"the tree's edge has {len(stored)} bytes; size {size} needs {wanted}")
        return cls(size, tuple(split(stored[SIZE_BYTES:])))


class Growth(NamedTuple):
    """What a batch makes of a tree: the tree after it, and the tiles to store with it."""

    tree: Tree
    tiles: list[Tile]


class Tree(msgspec.Struct, frozen=True, gc=False):
    """The tree at the head of the log, as a value: a failed commit keeps the tree that it had.

    `partials` has the hashes of the incomplete tile of each level, concatenated, lowest level first.
    """

    edge: Edge = Edge()
    partials: tuple[bytes, ...] = ()

    @classmethod
    def restore(cls, edge: Edge, partials: Sequence[bytes]) -> Tree:
        """Return the tree that had this edge, given the hashes of its `partial_tiles`.

        `Corrupt` if a tile has the wrong width. What the hashes say is `damaged_levels`' business.
        """
        places = partial_tiles(edge.size)
        if len(places) != len(partials):
            raise Corrupt(f"{len(partials)} partial tiles for {edge.size} leaves, which have {len(places)}")
        for place, hashes in zip(places, partials, strict=True):
            if len(hashes) != place.width * HASH_BYTES:
                raise Corrupt(
                    f"tile {place.level}/{place.index} has {len(hashes)} bytes; "
                    f"{edge.size} leaves need {place.width * HASH_BYTES}"
                )
        return cls(edge, tuple(partials))

    def extend(self, leaves: Sequence[bytes], *, tile_level: int = 0) -> Growth:
        """Return this tree with leaf hashes appended, and the tiles that changed for good.

        With a `tile_level` the hashes are those of whole tiles below that level, whose leaves nobody knows: then the
        tree must end with a whole tile, too.

        A tile of level 0 is among them once, when it is complete; one of a higher level whenever it has grown.
        So all but the leaf hashes of the last, incomplete tile of level 0 can be had from the store.
        However the leaves are cut into batches, the tree and the last state of each tile are the same.
        """
        # Level by level over the whole batch, not leaf by leaf: a comprehension over pairs spends a
        # fifth less than the loop that carries each leaf up (0.40 against 0.50 microseconds a leaf).
        size = self.edge.size
        larger = list(self.edge.hashes)
        smaller: list[bytes] = []
        partials = list(self.partials)
        tiles: list[Tile] = []
        nodes: Sequence[bytes] = leaves
        level = tile_level * TILE_HEIGHT
        assert size % (1 << level) == 0, "a tile is not complete"
        partials += [b""] * (tile_level - len(partials))
        while nodes:
            if level % TILE_HEIGHT == 0:
                _add_to_tiles(nodes, level // TILE_HEIGHT, size >> level, partials, tiles)
            if size >> level & 1:  # a subtree of this size was waiting for its neighbour
                nodes = [larger.pop(), *nodes]
            if len(nodes) & 1:
                smaller.append(nodes[-1])
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            level += 1
        edge = Edge(size + len(leaves) * TILE_WIDTH**tile_level, (*larger, *reversed(smaller)))
        return Growth(Tree(edge, tuple(partials)), tiles)

    def damaged_levels(self) -> list[int]:
        """Return the levels whose incomplete tile contradicts the edge: none, unless bytes were changed.

        The edge stays what it was: whatever is appended, the roots commit to the records as they were written.
        """
        damaged = []
        end = len(self.edge.hashes)
        for place, hashes in zip(partial_tiles(self.edge.size), self.partials, strict=True):
            start = end - place.width.bit_count()
            if Tree().extend(split(hashes)).tree.edge.hashes != self.edge.hashes[start:end]:
                damaged.append(place.level)
            end = start
        return damaged


def split(hashes: bytes) -> list[bytes]:
    """Return the hashes of a tile one by one."""
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]


def _add_to_tiles(
    nodes: Sequence[bytes], level: int, nodes_before: int, partials: list[bytes], tiles: list[Tile]
) -> None:
    """Append the new hashes of one tile level to its incomplete tile; note the tiles to store."""
    if level == len(partials):
        partials.append(b"")
    index = nodes_before // TILE_WIDTH
    hashes = partials[level] + b"".join(nodes)
    start = 0
    while len(hashes) - start >= TILE_BYTES:
        tiles.append(Tile(level, index, hashes[start : start + TILE_BYTES]))
        start += TILE_BYTES
        index += 1
    rest = hashes[start:]
    partials[level] = rest
    if level and rest:
        tiles.append(Tile(level, index, rest))
