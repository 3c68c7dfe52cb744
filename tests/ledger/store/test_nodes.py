"""The nodes of a tree are those of its definition, whatever the tiles are; a tile is read once while it is of use."""

from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.limits import TILES_REMEMBERED
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, leaf_hash, root_from_leaves

LEAVES = [leaf_hash(b"record %d" % number) for number in range(2 * TILE_WIDTH + 77)]
ABOVE = [root_from_leaves(LEAVES[start : start + TILE_WIDTH]) for start in (0, TILE_WIDTH)]


class Tiles:
    """What a log has of its tree, and which tiles were asked for."""

    def __init__(self, size: int = len(LEAVES)) -> None:
        self.size = size
        self.read: list[tuple[int, int]] = []

    def tile(self, level: int, index: int) -> bytes:
        self.read.append((level, index))
        hashes = ABOVE[: self.size // TILE_WIDTH] if level else LEAVES[: self.size]
        return b"".join(hashes[index * TILE_WIDTH : (index + 1) * TILE_WIDTH])


class ManyTiles(Tiles):
    """A log with any number of tiles, all of them alike."""

    def tile(self, level: int, index: int) -> bytes:
        self.read.append((level, index))
        return b"".join(LEAVES[:TILE_WIDTH])


def nodes_of(tiles: Tiles) -> StoredNodes:
    return StoredNodes(cast("EventLog", tiles))


@given(level=st.integers(0, TILE_HEIGHT), data=st.data())
@example(level=0, data=None)
@example(level=TILE_HEIGHT, data=None)
def test_a_node_is_the_root_over_its_leaves(level: int, data: st.DataObject | None) -> None:
    last = (len(LEAVES) >> level) - 1
    index = last if data is None else data.draw(st.integers(0, last))

    assert root_from_leaves(LEAVES[index << level : (index + 1) << level]) == nodes_of(Tiles()).node(level, index)


@given(level=st.integers(0, TILE_HEIGHT), size=st.integers(0, len(LEAVES)))
def test_a_node_of_which_a_leaf_is_missing_is_damage(level: int, size: int) -> None:
    with pytest.raises(Corrupt, match="are needed"):
        nodes_of(Tiles(size)).node(level, size >> level)


@given(sizes=st.lists(st.integers(1, len(LEAVES)), min_size=2, max_size=6).map(sorted))
def test_while_a_log_grows_every_node_that_it_has_by_then_is_there(sizes: list[int]) -> None:
    tiles = Tiles()
    nodes = nodes_of(tiles)
    for size in sizes:
        tiles.size = size
        for level in range(TILE_HEIGHT):
            if size >> level:
                index = (size >> level) - 1
                assert root_from_leaves(LEAVES[index << level : (index + 1) << level]) == nodes.node(level, index)


def test_a_tile_is_read_once_while_it_is_of_use_and_what_was_not_for_the_longest_time_goes_first() -> None:
    tiles = ManyTiles()
    nodes = nodes_of(tiles)
    for index in range(1, TILES_REMEMBERED):
        for level in range(TILE_HEIGHT):
            nodes.node(level, index << TILE_HEIGHT - level)
        nodes.node(TILE_HEIGHT, 0)  # in use all the time
    assert TILES_REMEMBERED == len(tiles.read) == len(set(tiles.read))

    del tiles.read[:]
    for index in (0, TILES_REMEMBERED):
        nodes.node(0, index << TILE_HEIGHT)  # two more than can be remembered
    nodes.node(TILE_HEIGHT, 0)
    nodes.node(0, 3 << TILE_HEIGHT)
    assert [(0, 0), (0, TILES_REMEMBERED)] == tiles.read
    nodes.node(0, 1 << TILE_HEIGHT)
    assert (0, 1) == tiles.read[-1]


def test_a_tile_that_is_no_whole_number_of_hashes_has_no_more_nodes_than_whole_ones() -> None:
    class Cut(Tiles):
        def tile(self, level: int, index: int) -> bytes:
            return super().tile(level, index)[: 5 * HASH_BYTES + 7]

    nodes = nodes_of(Cut())
    assert LEAVES[4] == nodes.node(0, 4)
    assert root_from_leaves(LEAVES[2:4]) == nodes.node(1, 1)
    for level, index in ((0, 5), (1, 2), (3, 0)):
        with pytest.raises(Corrupt, match="167 bytes"):
            nodes.node(level, index)
