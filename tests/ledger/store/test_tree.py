"""The tree is RFC 6962's, its tiles are those of C2SP, and neither depends on how leaves were batched."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store.tree import (
    HASH_BYTES,
    TILE_WIDTH,
    Edge,
    PartialTile,
    Tile,
    Tree,
    leaf_hash,
    leaf_hashes,
    node_hash,
    partial_tiles,
    root_from_leaves,
)

# The inputs and roots that Certificate Transparency implementations have checked each other with since RFC 6962.
REFERENCE_RECORDS = [
    bytes.fromhex(record)
    for record in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES_MAX = TILE_WIDTH**2 + 1


@cache
def all_leaves() -> list[bytes]:
    return [hashlib.sha256(index.to_bytes(4)).digest() for index in range(LEAVES_MAX)]


def leaves_of(size: int) -> list[bytes]:
    return all_leaves()[:size]


def grow(
    size: int, cuts: list[int] | None = None, tree: Tree | None = None
) -> tuple[Tree, dict[tuple[int, int], bytes]]:
    """The tree of the first `size` leaves, appended in batches that end at `cuts`; the tiles a store would have."""
    tree = tree or Tree()
    stored: dict[tuple[int, int], bytes] = {}
    for end in [*sorted(cut for cut in cuts or [] if cut <= size), size]:
        tree, tiles = tree.extend(all_leaves()[tree.edge.size : end])
        for tile in tiles:
            stored[tile.level, tile.index] = tile.hashes
    return tree, stored


def tiles_by_definition(size: int) -> dict[tuple[int, int], bytes]:
    """What a store should have: full tiles of level 0, and every tile above it."""
    stored = {}
    level, span = 0, 1
    while size // span:
        hashes = [root_from_leaves(all_leaves()[start : start + span]) for start in range(0, size // span * span, span)]
        for first in range(0, len(hashes), TILE_WIDTH):
            row = hashes[first : first + TILE_WIDTH]
            if level or len(row) == TILE_WIDTH:
                stored[level, first // TILE_WIDTH] = b"".join(row)
        level, span = level + 1, span * TILE_WIDTH
    return stored


def restore(size: int, stored: dict[tuple[int, int], bytes], edge: bytes) -> Tree:
    """What a store does when it opens: leaf hashes from the last records, the rest from the tiles."""
    partials = [
        b"".join(all_leaves()[size - place.width : size])
        if place.level == 0
        else stored.get((place.level, place.index), b"")
        for place in partial_tiles(size)
    ]
    return Tree.restore(Edge.from_bytes(edge), partials)


def changed(hashes: bytes, at: int) -> bytes:
    return hashes[:at] + bytes([hashes[at] ^ 1]) + hashes[at + 1 :]


@pytest.mark.parametrize("size", range(9))
def test_the_reference_records_have_the_published_roots(size: int) -> None:
    leaves = leaf_hashes(REFERENCE_RECORDS[:size])

    assert [leaf_hash(record) for record in REFERENCE_RECORDS[:size]] == leaves
    assert REFERENCE_ROOTS[size] == Tree().extend(leaves).tree.edge.root().hex()
    assert REFERENCE_ROOTS[size] == root_from_leaves(leaves).hex()


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = leaves_of(2)

    assert hashlib.sha256(b"\x00" + left + right).digest() == leaf_hash(left + right)
    assert hashlib.sha256(b"\x01" + left + right).digest() == node_hash(left, right)


@given(size=st.integers(0, 600), cuts=st.lists(st.integers(0, 600), max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_batching_gives_the_tree_of_the_definition(size: int, cuts: list[int]) -> None:
    tree, stored = grow(size, cuts)

    assert (size, root_from_leaves(leaves_of(size))) == (tree.edge.size, tree.edge.root())
    assert tiles_by_definition(size) == stored
    assert grow(size)[0] == tree


def test_leaf_by_leaf_every_size_has_the_root_of_the_definition() -> None:
    tree = Tree()
    for size, leaf in enumerate(leaves_of(300), start=1):
        tree, _ = tree.extend([leaf])
        assert root_from_leaves(leaves_of(size)) == tree.edge.root()


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537])
def test_the_borders_of_tiles_hold(size: int) -> None:
    tree, stored = grow(size, cuts=[size - 1])

    assert root_from_leaves(leaves_of(size)) == tree.edge.root()
    assert tiles_by_definition(size) == stored
    assert [] == tree.damaged_levels()
    assert tree == restore(size, stored, tree.edge.to_bytes())


def test_a_batch_writes_each_tile_once() -> None:
    _, tiles = Tree().extend(leaves_of(3 * TILE_WIDTH + 5))

    assert [(0, 0), (0, 1), (0, 2), (1, 0)] == [(tile.level, tile.index) for tile in tiles]
    assert [256, 256, 256, 3] == [len(tile.hashes) // HASH_BYTES for tile in tiles]


def test_a_batch_that_completes_no_tile_writes_none() -> None:
    tree, _ = Tree().extend(leaves_of(TILE_WIDTH))

    assert [] == tree.extend(leaves_of(TILE_WIDTH - 1)).tiles
    assert (tree, []) == tree.extend([])


def test_a_batch_may_complete_tiles_of_two_levels() -> None:
    tree, _ = grow(TILE_WIDTH**2 - 1)

    tiles = tree.extend([all_leaves()[TILE_WIDTH**2 - 1]]).tiles

    root = root_from_leaves(leaves_of(TILE_WIDTH**2))
    assert [(0, 255, 256), (1, 0, 256), (2, 0, 1)] == [(t.level, t.index, len(t.hashes) // HASH_BYTES) for t in tiles]
    assert Tile(2, 0, root) == tiles[2]


@given(size=st.integers(0, 600), more=st.integers(0, 600))
@settings(max_examples=40, deadline=None)
def test_a_tree_restored_from_its_tiles_grows_as_one_that_was_never_closed(size: int, more: int) -> None:
    tree, stored = grow(size)

    reopened = restore(size, stored, tree.edge.to_bytes())

    assert tree == reopened
    assert grow(size + more, tree=tree) == grow(size + more, tree=reopened)


@given(size=st.integers(0, 600), failed=st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_a_tree_whose_batch_failed_is_as_if_never_extended(size: int, failed: int) -> None:
    tree, _ = grow(size)

    tree.extend([leaf_hash(b"lost")] * failed)

    assert grow(size)[0] == tree
    assert grow(size + 7)[0] == tree.extend(all_leaves()[size : size + 7]).tree


@given(tiles=st.integers(0, 3), known=st.lists(st.booleans(), max_size=6), rest=st.integers(0, 300))
@settings(max_examples=30)
def test_whole_tiles_of_which_only_the_roots_are_known_give_the_same_tree(
    tiles: int, known: list[bool], rest: int
) -> None:
    every = leaves_of(TILE_WIDTH * (tiles + len(known)) + rest)
    tree = Tree().extend(every[: tiles * TILE_WIDTH]).tree
    for place, is_known in enumerate(known, tiles):
        leaves = every[place * TILE_WIDTH : (place + 1) * TILE_WIDTH]
        roots = Tree().extend(leaves).tree.edge.hashes
        tree = (tree.extend(leaves) if is_known else tree.extend(roots, tile_level=1)).tree
    whole = tree.extend(every[len(every) - rest :]).tree if rest else tree

    assert Tree().extend(every).tree == whole


def test_the_edge_has_these_bytes() -> None:
    edge = Tree().extend(leaf_hashes(REFERENCE_RECORDS[:3])).tree.edge

    golden = bytes.fromhex(
        "0000000000000003"
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7"
    )
    assert golden == edge.to_bytes()
    assert edge == Edge.from_bytes(golden)
    assert bytes(8) == Edge().to_bytes()
    assert Edge() == Edge.from_bytes(bytes(8))


@pytest.mark.parametrize("stored", [b"", bytes(7), bytes(9), bytes(7) + b"\x01", bytes(7) + b"\x03" + bytes(32)])
def test_bytes_that_are_no_edge_are_corrupt(stored: bytes) -> None:
    with pytest.raises(Corrupt):
        Edge.from_bytes(stored)


def test_partial_tiles_say_where_each_level_ends() -> None:
    assert [] == partial_tiles(0)
    assert [PartialTile(0, 0, 255)] == partial_tiles(255)
    assert [PartialTile(0, 1, 0), PartialTile(1, 0, 1)] == partial_tiles(256)
    assert [PartialTile(0, 256, 1), PartialTile(1, 1, 0), PartialTile(2, 0, 1)] == partial_tiles(65_537)


@pytest.mark.parametrize("partials", [[], [bytes(32)], [bytes(32), bytes(31)], [bytes(32), bytes(32), b""]])
def test_a_tile_of_the_wrong_width_is_corrupt(partials: list[bytes]) -> None:
    edge = grow(TILE_WIDTH + 1)[0].edge

    with pytest.raises(Corrupt):
        Tree.restore(edge, partials)


def test_a_changed_tile_is_found_and_the_root_stays_with_what_was_written() -> None:
    tree, _ = grow(700)

    for level, partial in enumerate(tree.partials):
        partials = list(tree.partials)
        partials[level] = changed(partial, at=40)
        damaged = Tree.restore(tree.edge, partials)

        assert [level] == damaged.damaged_levels()
        later = damaged.extend(all_leaves()[700:1000]).tree
        assert root_from_leaves(leaves_of(1000)) == later.edge.root()
