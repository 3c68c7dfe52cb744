"""Somebody with a tool that writes to LMDB: takes records out, puts others in, and mends what would show it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tallystick.ledger.events import Event
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.tree import HASH_BYTES, Tree, leaf_hashes
from tests.ledger.store import raw


def records(path: Path) -> list[bytes]:
    """The records of a log, in the order in which they stand there."""
    with raw.opened(path) as database:
        return [body for _, body in database(keys.EVENTS).rows()]


def put_records(path: Path, bodies: Sequence[bytes | None]) -> None:
    """Have these stand at the positions from 1 on, and no others; nothing else is mended."""
    with raw.opened(path) as database:
        events = database(keys.EVENTS)
        for key, _ in events.rows():
            del events[key]
        for position, body in enumerate(bodies, 1):
            if body is not None:
                events[keys.event_key(position)] = body


def reorder(path: Path, change: Callable[[list[bytes | None]], Sequence[bytes | None]]) -> None:
    """Have the records stand as `change` returns them."""
    put_records(path, change([*records(path)]))


def told(path: Path, events: Sequence[Event], claims: dict[bytes, bytes]) -> None:
    """Write a history with a tree, an index and claims that fit it."""
    known = {event.stream for event in events}
    with DiskLog.open(path) as log:
        log.append(events, {claim: stream for claim, stream in claims.items() if stream in known})


def mend(path: Path, like: Path, names: Collection[bytes]) -> None:
    """Have these databases be as those of another log."""
    with raw.opened(like) as database:
        wanted = {name: database(name).rows() for name in names}
    with raw.opened(path) as database:
        for name, rows in wanted.items():
            mended = database(name)
            for key, value in mended.rows():
                mended.remove(key, value)
            for key, value in rows:
                mended[key] = value


def head(path: Path) -> TreeHead:
    """What somebody kept elsewhere."""
    with DiskLog.open(path, readonly=True) as log:
        return log.tree_head()


def stranger(event: Event) -> bytes:
    """A record that nobody wrote."""
    return encode(event)


def mend_tree(path: Path) -> None:
    """Build the tree anew, over the records as they stand there now."""
    tree, tiles = Tree().extend(leaf_hashes(records(path)))
    with raw.opened(path) as database:
        stored, meta = database(keys.TILES), database(keys.META)
        for key, _ in stored.rows():
            del stored[key]
        for tile in tiles:
            key, value = keys.tile_item(tile.level, tile.index, tile.hashes)
            stored[key] = value
        meta[keys.EDGE] = tree.edge.to_bytes()
        for number, start in enumerate(range(0, len(tree.partials[0]), 32 * HASH_BYTES)):
            meta[keys.tail_key(number)] = tree.partials[0][start : start + 32 * HASH_BYTES]
