"""The nodes of a log are those of its tree, whatever is appended meanwhile and wherever the tiles are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Closed, Corrupt
from tallystick.ledger.limits import TILES_REMEMBERED
from tallystick.ledger.proofs import merkle
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.keys import META, TAIL, TILES, tile_key
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.tree import TILE_WIDTH, leaf_hash, root_from_leaves
from tests.ledger.archive import test_deletion as deletion
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.store.make import Author
from tests.ledger.store.raw import opened

SIZE = 1_400  # five tiles of level 0, an incomplete sixth, and an incomplete one above them


class Reads:
    """A log that counts the tiles that are read of it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.places: list[tuple[int, int]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def tile(self, level: int, index: int) -> bytes:
        self.places.append((level, index))
        return self._log.tile(level, index)


def grow(log: EventLog, size: int, *, batch: int = 300) -> Author:
    author = Author(log.head())
    for start in range(author.head, size, batch):
        log.append(author.write(*range(start, min(start + batch, size))))
    return author


@pytest.fixture(params=[MemoryLog, DiskLog.open], ids=["memory", "disk"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
    make: Callable[..., EventLog] = request.param
    made = make() if make is MemoryLog else make(tmp_path)
    yield made
    made.close()


def leaves(log: EventLog) -> list[bytes]:
    return [leaf_hash(body) for _, body in log.bodies()]


def expected(hashes: list[bytes], level: int, index: int) -> bytes:
    return root_from_leaves(hashes[index << level : index + 1 << level])


def assert_all_nodes(log: EventLog, hashes: list[bytes]) -> None:
    nodes = StoredNodes(log)
    for level in range(len(hashes).bit_length()):
        for index in range(len(hashes) >> level):
            assert expected(hashes, level, index) == nodes.node(level, index), (level, index)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, SIZE])
def test_every_node_is_the_root_of_its_leaves(log: EventLog, size: int) -> None:
    grow(log, size)

    assert_all_nodes(log, leaves(log))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_however_a_log_grew_its_nodes_are_the_same(batches: list[int]) -> None:
    log, author = MemoryLog(), Author()
    nodes = StoredNodes(log)
    for batch in batches:
        log.append(author.write(*range(batch)))
        assert log.tree_head().root_hash == merkle.root(nodes, log.head())


def test_a_proof_is_of_one_size_although_events_are_appended_meanwhile(log: EventLog) -> None:
    author = grow(log, 300)
    head, nodes = log.tree_head(), StoredNodes(log)

    class Growing:
        def node(self, level: int, index: int) -> bytes:
            log.append(author.write(*range(70)))
            return nodes.node(level, index)

    proof = merkle.inclusion_proof(Growing(), 299, head.size)

    assert log.head() > 600
    assert merkle.check_inclusion(leaves(log)[299], 299, head.size, proof, head.root_hash)
    assert merkle.check_consistency(
        head.size,
        head.root_hash,
        log.head(),
        log.tree_head().root_hash,
        merkle.consistency_proof(nodes, head.size, log.head()),
    )


def test_a_proof_reads_a_few_tiles_and_each_of_them_once(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        grow(log, 70_000, batch=10_000)
        for index in (0, 40_000, 65_535, 69_999):
            reads = Reads(log)
            proof = merkle.inclusion_proof(StoredNodes(reads), index, 70_000)  # type: ignore[arg-type] # by __getattr__
            head = log.tree_head()
            assert merkle.check_inclusion(StoredNodes(log).node(0, index), index, head.size, proof, head.root_hash)
            assert len(reads.places) == len(set(reads.places)) <= 5


def test_no_more_tiles_are_remembered_than_the_limit_says(log: EventLog) -> None:
    size = (TILES_REMEMBERED + 1) * TILE_WIDTH
    grow(log, size, batch=size)
    reads = Reads(log)
    nodes = StoredNodes(reads)  # type: ignore[arg-type] # by __getattr__

    for index in range(0, size, TILE_WIDTH):
        nodes.node(0, index)
    last = len(reads.places)
    nodes.node(0, size - 1)
    nodes.node(0, 0)

    assert [(0, 0)] == reads.places[last:]


def test_the_archive_has_nodes_like_the_log_also_of_records_that_were_deleted(tmp_path: Path) -> None:
    deletion.write(tmp_path)
    with DiskLog.open(tmp_path) as log:
        hashes = leaves(log)
        assert_all_nodes(log, hashes)
        assert [SEGMENT] == [entry.last for entry in deletion.delete(log, before=SEGMENT + 1)]
        assert_all_nodes(log, hashes)


@pytest.mark.parametrize(
    ("database", "key", "node", "told"),
    [
        pytest.param(TILES, tile_key(0, 2), (0, 600), r"tile 0/2 of the tree has 0 bytes; 2848", id="of the leaves"),
        pytest.param(TILES, tile_key(1, 0), (9, 0), r"tile 1/0 of the tree has 0 bytes; 64 are", id="above them"),
        pytest.param(META, TAIL, (0, SIZE - 1), r"tile 0/5 of the tree has 0 bytes; 3840", id="the last"),
    ],
)
def test_a_tile_that_is_missing_is_named(
    tmp_path: Path, database: bytes, key: bytes, node: tuple[int, int], told: str
) -> None:
    with DiskLog.open(tmp_path) as log:
        grow(log, SIZE)
    with opened(tmp_path) as databases:
        for found in [each for each, _ in databases(database).rows() if each.startswith(key)]:
            del databases(database)[found]

    with DiskLog.open(tmp_path, readonly=True) as log, pytest.raises(Corrupt, match=told) as damaged:
        StoredNodes(log).node(*node)
    assert damaged.value.position is not None


def test_what_a_log_does_not_have_yet_is_no_node(log: EventLog) -> None:
    grow(log, 300)
    nodes = StoredNodes(log)

    for place in ((0, 300), (0, 10**9), (9, 0), (62, 0)):
        with pytest.raises(Corrupt, match="are needed"):
            nodes.node(*place)


def test_a_closed_log_has_no_nodes(log: EventLog) -> None:
    grow(log, 300)
    log.close()

    with pytest.raises(Closed):
        StoredNodes(log).node(0, 0)
