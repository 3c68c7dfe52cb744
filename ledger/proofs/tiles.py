"""Tiles as files (C2SP tlog-tiles v0.1.0): where each one stands, and what a bundle of records looks like.

The first hash of tile `(level, index)` is that of the leaves from `index * 256 ** (level + 1)` on:

    checkpoint
    tile/0/x001/234/067          256 hashes of level 0, those of the leaves
    tile/0/x001/234/068.p/12     the last, incomplete one, with 12 hashes
    tile/1/004.p/210             each of its hashes is the root of a whole tile of level 0
    tile/entries/x001/234/067    256 records: two bytes of length, big-endian, and the stored bytes, for each
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.store.tree import TILE_WIDTH

CHECKPOINT: Final = "checkpoint"
"""Where the newest checkpoint stands."""

ENTRIES: Final = "entries"

_LENGTH_BYTES = 2
_GROUP = 1_000  # indexes are written in groups of three digits


class Place(Struct, frozen=True):
    """One tile of a tree: its level, its index there, and how many hashes it has. A whole one has `TILE_WIDTH`."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def is_whole(self) -> bool:
        """Whether it never changes again."""
        return self.width == TILE_WIDTH

    @property
    def end(self) -> int:
        """The size of the smallest tree that has all of its leaves."""
        span: int = TILE_WIDTH**self.level
        return (self.index * TILE_WIDTH + self.width) * span

    @property
    def path(self) -> str:
        """Where the hashes stand below the folder."""
        return f"tile/{self.level}/{_numbered(self)}"

    @property
    def bundle_path(self) -> str:
        """Where the records of a tile of level 0 stand below the folder."""
        return f"tile/{ENTRIES}/{_numbered(self)}"


def places(size: int) -> Iterator[Place]:
    """Yield every tile of a tree of `size` leaves, level by level; of each level the incomplete one last."""
    level = 0
    while size:
        size, width = divmod(size, TILE_WIDTH)
        yield from (Place(level, index) for index in range(size))
        if width:
            yield Place(level, size, width)
        level += 1


def bundle(records: Sequence[bytes]) -> bytes:
    """Return the records of a tile as a bundle. Raises `InvalidInput` for one that is too long for it."""
    for record in records:
        if len(record) > RECORD_BYTES_MAX:
            raise InvalidInput("record", f"{len(record)} bytes", f"at most {RECORD_BYTES_MAX} bytes")
    return b"".join(len(record).to_bytes(_LENGTH_BYTES) + record for record in records)


def parse_bundle(data: bytes) -> list[bytes]:
    """Return the records of a bundle, which nobody has held to their hashes. Raises `InvalidInput` for other bytes."""
    records: list[bytes] = []
    start = 0
    while start < len(data):
        begin = start + _LENGTH_BYTES
        end = begin + int.from_bytes(data[start:begin])
        if end > len(data) or len(records) == TILE_WIDTH:
            raise InvalidInput("bundle", data, f"at most {TILE_WIDTH} records, each behind its length in two bytes")
        records.append(data[begin:end])
        start = end
    return records


def _numbered(place: Place) -> str:
    rest, last = divmod(place.index, _GROUP)
    path = f"{last:03}"
    while rest:
        rest, group = divmod(rest, _GROUP)
        path = f"x{group:03}/{path}"
    return path if place.is_whole else f"{path}.p/{place.width}"
