"""The limit: what encoding, the Merkle tree and LMDB cost by themselves, with nothing else around them.

Our own encoder and tree, and plain LMDB: the events, the tiles that are complete and the tree's edge, in one
transaction and one fsync a batch. No index, no rule, no actor, no answer.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import lmdb

from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.events import Event
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode_all
from tallystick.ledger.store.tree import Tree, leaf_hashes

BATCH_EVENTS = 1_000
MAP_BYTES = 1 << 34


class Limit:
    """A log that appends, and does nothing else."""

    def __init__(self, folder: Path) -> None:
        self._env = lmdb.open(str(folder), map_size=MAP_BYTES, max_dbs=3)
        self._events = self._env.open_db(keys.EVENTS)
        self._tiles = self._env.open_db(keys.TILES)
        self._meta = self._env.open_db(keys.META)
        self._tree = Tree()

    def append(self, events: Sequence[Event]) -> None:
        """Make the events durable: one transaction, one fsync."""
        bodies = encode_all(events)
        first = self._tree.edge.size + 1
        places = map(keys.event_key, range(first, first + len(bodies)))
        self._tree, tiles = self._tree.extend(leaf_hashes(bodies))
        with self._env.begin(write=True) as txn:
            txn.cursor(self._events).putmulti(zip(places, bodies, strict=True), append=True)
            if tiles:
                items = [keys.tile_item(tile.level, tile.index, tile.hashes) for tile in tiles]
                txn.cursor(self._tiles).putmulti(items)
            txn.put(keys.EDGE, self._tree.edge.to_bytes(), db=self._meta)

    def close(self) -> None:
        """Let go of the files."""
        self._env.close()


def append_all(folder: Path, events: Sequence[Event], *, batch: int = BATCH_EVENTS) -> Sample:
    """Append the events in batches and say how long that took, and how long each batch."""
    limit = Limit(folder)
    latencies = []
    with Stopwatch() as watch:
        for start in range(0, len(events), batch):
            began = perf_counter()
            limit.append(events[start : start + batch])
            latencies.append(perf_counter() - began)
    limit.close()
    return watch.sample(len(events), fsyncs=len(latencies), latencies=latencies)
