"""A batch: events made ready for one transaction. Pure: what is in the log already is checked while it is written."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode_all
from tallystick.ledger.store.port import NO_CLAIMS, NO_NOTES, NOBODY
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH, Tree, leaf_hashes

_PART_HASHES = 32  # of the last tile are written together: few bytes for one event, few writes for many
_PART_BYTES = _PART_HASHES * HASH_BYTES

TAIL_KEYS = tuple(keys.tail_key(number) for number in range(TILE_WIDTH // _PART_HASHES))
"""Where the leaf hashes of the tree's last, incomplete tile are; what is behind its width is left over from others."""

Items = list[tuple[bytes, bytes]]


class Batch(Struct, frozen=True):
    """What a batch of events writes to each database, and what must be there before."""

    bodies: list[bytes]
    places: list[bytes]
    index: "Index | None"  # None: its events do not follow each other within their streams
    tiles: Items
    meta: Items
    tree: Tree
    claims: Items
    let_go: tuple[bytes, ...]  # claims that nobody has any more


class Index(Struct, frozen=True):
    """A batch in the index of the streams: those that begin, those that go on, and how many events these had."""

    first: Items
    next: Items
    counts: dict[bytes, int]


def prepare(
    tree: Tree,
    events: Sequence[Event],
    bodies: Sequence[bytes] | None = None,
    claims: Mapping[bytes, bytes] = NO_CLAIMS,
    notes: Mapping[bytes, bytes] = NO_NOTES,
) -> Batch:
    """Return the batch that the events are after what the tree has; `bodies` are their bytes, where somebody has them.

    Raises `Corrupt` when their positions do not follow, `InvalidInput` when a record or a stream cannot be stored.
    """
    bodies = encode_all(events) if bodies is None else list(bodies)
    head = tree.edge.size
    for position, event in enumerate(events, head + 1):
        if event.position != position:
            raise Corrupt(f"an event for position {event.position} cannot follow the head, {position - 1}")
    places = list(map(keys.event_key, range(head + 1, head + 1 + len(bodies))))
    index = _index(events, places)
    growth = tree.extend(leaf_hashes(bodies))
    tiles = [keys.tile_item(tile.level, tile.index, tile.hashes) for tile in growth.tiles]
    meta = [*_meta(tree, growth.tree), *((keys.note_key(name), value) for name, value in notes.items())]
    let_go = tuple(claim for claim, stream in claims.items() if stream == NOBODY)
    taken = [claim for claim in claims.items() if claim[1] != NOBODY] if let_go else list(claims.items())
    return Batch(bodies, places, index, tiles, meta, growth.tree, taken, let_go)


def _index(events: Sequence[Event], places: Sequence[bytes]) -> Index | None:
    """Place the events in their streams. Neighbours are mostly of one stream, for an actor's events come together."""
    versions: dict[bytes, int] = {}
    index = Index([], [], {})
    follow = index.next.append
    current: bytes | None = None
    last = 0
    for event, place in zip(events, places, strict=True):
        stream, version = event.stream, event.version
        if stream is current and version == last + 1:
            follow((stream, place))
        else:
            if current is not None:
                versions[current] = last
            known = versions.get(stream)
            if known is None:
                if len(stream) != ID_BYTES:
                    raise InvalidInput("stream", stream, f"{ID_BYTES} bytes")
                if version == 1:
                    index.first.append((stream, place))
                else:
                    index.counts[stream] = version - 1
                    follow((stream, place))
            elif version == known + 1:
                follow((stream, place))
            else:
                return None
            current = stream
        last = version
    return index


def _meta(before: Tree, after: Tree) -> Items:
    """The edge, and what changed of the last, incomplete tile: none of its leaves is in a stored tile yet."""
    items = [(keys.EDGE, after.edge.to_bytes())]
    if after.edge.size == before.edge.size:
        return items
    tail = after.partials[0]
    old, new = before.edge.size, after.edge.size
    first = old % TILE_WIDTH // _PART_HASHES if old // TILE_WIDTH == new // TILE_WIDTH else 0
    items += [
        (TAIL_KEYS[number], tail[number * _PART_BYTES : (number + 1) * _PART_BYTES])
        for number in range(first, -(-len(tail) // _PART_BYTES))
    ]
    return items
