"""The check of the tree: recomputed from the leaf hashes, and held to the stored tiles, the edge and checkpoints.

Where a record was changed or is gone, the tree goes on with the hash that was stored with it, so that the root is that
over what was written.
"""

from collections.abc import Sequence

from tallystick.ledger.store.findings import Findings, Kind, Standing, Verdict
from tallystick.ledger.store.port import EventLog, Outline, TreeHead
from tallystick.ledger.store.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    TILE_WIDTH,
    Tree,
    leaf_hash,
    partial_tiles,
    split,
)

_NO_HASH = bytes(HASH_BYTES)  # stands for the leaf of a record that is missing


class TreeCheck:
    """The tree of a log, growing as the records are read."""

    def __init__(self, log: EventLog, outline: Outline, findings: Findings, checkpoints: Sequence[TreeHead]) -> None:
        self._log = log
        self._outline = outline
        self._findings = findings
        self._tree = Tree()
        self._checkpoints = checkpoints
        self._verdicts: dict[TreeHead, Verdict] = {}
        self._ahead = sorted(set(checkpoints), key=lambda checkpoint: checkpoint.size, reverse=True)
        self._agreed = 0  # the size of the largest checkpoint that fitted
        self._hold_checkpoints(self._tree, [], 0)

    @property
    def size(self) -> int:
        """Over how many records it is."""
        return self._tree.edge.size

    def root(self) -> bytes:
        """Return the root over these."""
        return self._tree.edge.root()

    def grow(self, hashes: Sequence[bytes], *, tile_level: int = 0) -> None:
        """Go on with leaf hashes, or those of whole tiles, and hold every tile that is now complete to the stored one.

        And every checkpoint on the way to the root that the tree has there.
        """
        before = self._tree
        self._tree, tiles = before.extend(hashes, tile_level=tile_level)
        if self._ahead and self._ahead[-1].size <= self.size:
            self._hold_checkpoints(before, hashes, tile_level)
        for tile in tiles:
            if tile.level and len(tile.hashes) == TILE_WIDTH * HASH_BYTES:
                self._hold(tile.level, tile.index, tile.hashes, self._log.tile(tile.level, tile.index))

    # Tiles.

    def written(self, first: int, last: int) -> list[bytes]:
        """The leaf hashes that were stored with these records, by tiles; the last one may be incomplete."""
        tiles = [self._log.tile(0, index) for index in range((first - 1) // TILE_WIDTH, last // TILE_WIDTH)]
        if last % TILE_WIDTH:
            tiles.append(self._outline.partials[0])
        return tiles

    def written_at(self, position: int) -> bytes:
        """The leaf hash that was stored with a record; none where there is none."""
        index, place = divmod(position - 1, TILE_WIDTH)
        whole = 0 < position <= self._outline.end // TILE_WIDTH * TILE_WIDTH
        is_last = index == self._outline.end // TILE_WIDTH and bool(self._outline.partials)
        hashes = self._log.tile(0, index) if whole else self._outline.partials[0] if is_last else b""
        return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def grow_lost(self, first: int, stored: bytes) -> bool:
        """Go on with a whole tile whose records cannot be had; False if its leaf hashes can."""
        above = self._above((first - 1) // TILE_WIDTH)
        if Tree().extend(split(stored)).tree.edge.hashes == (above,):  # the tree was built of these
            return False
        if len(stored) == TILE_WIDTH * HASH_BYTES:
            self._findings.add(first, Kind.TILE, f"the kept hashes of the records from {first} on are others")
        self.grow([above], tile_level=1)
        return True

    def grow_tile(self, first: int, bodies: Sequence[object], stored: bytes) -> list[int]:
        """Go on with a tile whose records are not all as they were written, and return the places of those."""
        now = [leaf_hash(body) if isinstance(body, bytes) else _NO_HASH for body in bodies]
        if len(stored) != len(now) * HASH_BYTES:
            self._findings.add(first, Kind.TILE, f"the stored hashes of the records from {first} on are missing")
            self.grow(now)
            return []
        written = split(stored)
        places = [place for place in range(len(now)) if now[place] != written[place]]
        if places and self._fits((first - 1) // TILE_WIDTH, now):
            for place in places:
                self._findings.add(first + place, Kind.TILE, "the stored hash is not that of the record")
            self.grow(now)
            return []
        self.grow(written)
        return [first + place for place in places]

    def _fits(self, index: int, leaves: Sequence[bytes]) -> bool:
        """Whether the tree above a tile of the lowest level was built from these leaves."""
        roots = Tree().extend(leaves).tree.edge.hashes
        if index == self._outline.end // TILE_WIDTH:
            return self._outline.edge is not None and roots == self._outline.edge.hashes[-len(roots) :]
        return list(roots) == [self._above(index)]

    def _above(self, index: int) -> bytes:
        """The stored root of a whole tile of the lowest level."""
        above, place = divmod(index, TILE_WIDTH)
        return self._log.tile(1, above)[place * HASH_BYTES : (place + 1) * HASH_BYTES] or _NO_HASH

    def _hold(self, level: int, index: int, computed: bytes, stored: bytes) -> None:
        if computed == stored:
            return
        span = TILE_WIDTH**level
        first = index * TILE_WIDTH * span + 1
        if len(computed) != len(stored):
            detail = f"tile {level}/{index} has {len(stored)} bytes instead of {len(computed)}"
            self._findings.add(first, Kind.TILE, detail)
            return
        for place, (one, other) in enumerate(zip(split(computed), split(stored), strict=True)):
            if one != other:
                start = first + place * span
                detail = f"hash {place} of tile {level}/{index} is not that of positions {start} to {start + span - 1}"
                self._findings.add(start, Kind.TILE, detail)

    # The end.

    def hold_edge(self) -> None:
        """Hold the incomplete tiles and the edge to what the records made of them, if they were all there."""
        outline = self._outline
        if self.size == outline.end:
            for place in partial_tiles(self.size)[1:]:
                computed, stored = self._tree.partials[place.level], outline.partials[place.level]
                self._hold(place.level, place.index, computed, stored)
            if self._tree.edge != outline.edge:
                self._findings.add(0, Kind.TREE, "the stored edge is not that of the stored hashes")
        if outline.tiles is not None and outline.edge is not None:
            more = outline.tiles - _tiles_of(outline.end, outline.archived)
            if more > 0:
                detail = f"there are more tiles than this tree has, {more}, as if it had been larger once"
                self._findings.add(0, Kind.TILE, detail)

    # Checkpoints.

    def hold_ahead(self) -> None:
        """Name the checkpoints that the log does not reach."""
        end = min(self._outline.end, self._outline.last)
        for checkpoint in self._ahead:
            detail = f"the log ends at {end}; a checkpoint that was kept has {checkpoint.size} records"
            self._refuse(checkpoint, Standing.CUT_OFF, end + 1, Kind.CUT_OFF, detail)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return what was found of each checkpoint, in the order in which they were given."""
        return tuple(self._verdicts[checkpoint] for checkpoint in self._checkpoints)

    def _refuse(self, checkpoint: TreeHead, standing: Standing, position: int, kind: Kind, detail: str) -> None:
        self._findings.add(position, kind, detail)
        self._verdicts[checkpoint] = Verdict(checkpoint, standing, detail)

    def _hold_checkpoints(self, before: Tree, hashes: Sequence[bytes], tile_level: int) -> None:
        while self._ahead and self._ahead[-1].size <= self.size:
            checkpoint = self._ahead.pop()
            size = checkpoint.size
            if size == self.size:
                root = self.root() if size else EMPTY_ROOT
            elif not tile_level:
                root = before.extend(hashes[: size - before.edge.size]).tree.edge.root()
            else:  # between two records that are lost with their hashes
                detail = f"the checkpoint of {size} records cannot be held to hashes that are lost"
                self._refuse(checkpoint, Standing.UNKNOWN, before.edge.size + 1, Kind.TILE, detail)
                continue
            if root == checkpoint.root_hash:
                self._agreed = size
                self._verdicts[checkpoint] = Verdict(checkpoint, Standing.HELD)
            else:
                kept = checkpoint.root_hash.hex()
                detail = f"the root over the first {size} records is not {kept}, that of a checkpoint that was kept"
                self._refuse(checkpoint, Standing.FORKED, self._agreed + 1, Kind.FORKED, detail)


def _tiles_of(size: int, archived: int) -> int:
    """How many tiles are stored of a tree of so many leaves; the lowest ones over what is archived are there."""
    count = size // TILE_WIDTH - archived // TILE_WIDTH
    while size := size // TILE_WIDTH:
        count += -(-size // TILE_WIDTH)
    return count
