"""The directory of a segment: what it has, where each block stands, and the checksums. No other file knows its bytes.

A segment begins with its directory and ends with the same bytes again, so that no single fault on the disk can make
the blocks unfindable. Between them are the leaf hashes of its records, then the blocks. Numbers are big-endian.

    magic "tallyseg", 8 bytes; format, 4; records of a block, 4
    position of the first record, 8; of the last, 8
    when the first and the last of them were recorded, 8 each (ms)
    bytes of the whole file, 8
    root of the Merkle tree over its records alone, 32
    for each block: where it begins, 8; its bytes, 4; their SHA-256, 32
    SHA-256 of all of the above, 32
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct

import msgspec

from tallystick.ledger.errors import Corrupt, NewerFormat
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH

MAGIC = b"tallyseg"
FORMAT = 1
BLOCK_RECORDS = TILE_WIDTH  # a block is a tile of the tree: what is lost together is verified together

_HEAD = Struct(">8sIIQQQQQ32s")
_PLACE = Struct(">QI32s")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a block stands in the file, how many bytes it has there, and their SHA-256."""

    offset: int
    size: int
    digest: bytes


class Directory(msgspec.Struct, frozen=True):
    """What a segment says of itself."""

    first: int
    last: int
    recorded_first: int
    recorded_last: int
    file_bytes: int
    root_hash: bytes
    places: bytes  # as they are stored: one of them is looked up at a time

    def place(self, number: int) -> Place:
        """Return where a block stands, counted from 0."""
        return Place(*_PLACE.unpack_from(self.places, number * _PLACE.size))


def blocks_of(first: int, last: int) -> int:
    """Return how many blocks a segment of these positions has."""
    return (last - first + 1) // BLOCK_RECORDS


def directory_bytes(blocks: int) -> int:
    """Return how long the directory of so many blocks is."""
    return _HEAD.size + blocks * _PLACE.size + HASH_BYTES


def hashes_offset(blocks: int, number: int = 0) -> int:
    """Return where the leaf hashes of a block begin in the file."""
    return directory_bytes(blocks) + number * BLOCK_RECORDS * HASH_BYTES


def as_bytes(
    positions: tuple[int, int], recorded: tuple[int, int], file_bytes: int, root_hash: bytes, places: Sequence[Place]
) -> bytes:
    """Return the bytes of a directory; of positions and times the first and the last."""
    head = _HEAD.pack(MAGIC, FORMAT, BLOCK_RECORDS, *positions, *recorded, file_bytes, root_hash)
    body = head + b"".join(_PLACE.pack(place.offset, place.size, place.digest) for place in places)
    return body + sha256(body).digest()


def from_bytes(stored: bytes, first: int, last: int) -> Directory:
    """Return the directory that has these bytes, of the segment of these positions.

    Raises `Corrupt` when they are not what was written, `NewerFormat` when a newer version wrote them.
    """
    blocks = blocks_of(first, last)
    body, digest = stored[:-HASH_BYTES], stored[-HASH_BYTES:]
    if len(stored) != directory_bytes(blocks) or sha256(body).digest() != digest:
        raise Corrupt("its directory is not as it was written")
    magic, version, records, first_said, last_said, *recorded, file_bytes, root_hash = _HEAD.unpack_from(body)
    if magic != MAGIC or (first_said, last_said) != (first, last):
        raise Corrupt("it is another file than its name says")
    if version > FORMAT or records != BLOCK_RECORDS:
        raise NewerFormat("a segment of the archive", found=version, known=FORMAT)
    return Directory(first, last, recorded[0], recorded[1], file_bytes, root_hash, body[_HEAD.size :])
