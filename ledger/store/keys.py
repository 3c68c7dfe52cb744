"""The bytes of every key of the log: no other file makes or takes apart one.

Numbers are big-endian, so that the order of bytes is the order of numbers.

    events   position, 8 bytes                    → the record
    streams  task id, 16 bytes; version, 4 bytes  → position, 8 bytes
    claims   digest of an identity, 16 bytes      → task id, 16 bytes
    tiles    level, 1 byte; index, 8 bytes        → the tile's hashes, 32 bytes each
    meta     "format"                             → 4 bytes
             "edge"                               → the tree's edge
             "tail", number, 1 byte               → up to 32 leaf hashes of the tree's last, incomplete tile
"""

from struct import Struct

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.ids import ID_BYTES

EVENTS = b"events"
STREAMS = b"streams"
CLAIMS = b"claims"
TILES = b"tiles"
META = b"meta"

FORMAT = b"format"
EDGE = b"edge"
TAIL = b"tail"

CLAIM_BYTES = 16

_POSITION = Struct(">Q")
_STREAM_VERSION = Struct(f">{ID_BYTES}sI")
_TILE = Struct(">BQ")
_FORMAT = Struct(">I")

POSITION_BYTES = _POSITION.size
STREAM_KEY_BYTES = _STREAM_VERSION.size

# The packing functions themselves, for they are called for every event.
event_key = _POSITION.pack
"""Return the key of the record at a position; also what `streams` points to."""

stream_key = _STREAM_VERSION.pack
"""Return the key in `streams` of one stream's event with one version."""

tile_key = _TILE.pack
"""Return the key of the tile at a level and an index."""

format_value = _FORMAT.pack
"""Return what stands under `FORMAT`."""


def position_of(key: bytes) -> int:
    """Return the position that `event_key` was given; `Corrupt` for other bytes."""
    if len(key) != POSITION_BYTES:
        raise Corrupt(f"{key.hex()} is not a position")
    return int.from_bytes(key)


def stream_version_of(key: bytes) -> tuple[bytes, int]:
    """Return the stream and version that `stream_key` was given; `Corrupt` for other bytes."""
    if len(key) != STREAM_KEY_BYTES:
        raise Corrupt(f"{key.hex()} is not a stream and a version")
    return key[:ID_BYTES], int.from_bytes(key[ID_BYTES:])


def tile_of(key: bytes) -> tuple[int, int]:
    """Return the level and index that `tile_key` was given; `Corrupt` for other bytes."""
    if len(key) != _TILE.size:
        raise Corrupt(f"{key.hex()} is not a tile's level and index")
    level, index = _TILE.unpack(key)
    return level, index


def tail_key(number: int) -> bytes:
    """Return the key of one part of the tree's last, incomplete tile."""
    return TAIL + number.to_bytes(1)


def format_of(value: bytes) -> int:
    """Return the number that `format_value` was given; `Corrupt` for other bytes."""
    if len(value) != _FORMAT.size:
        raise Corrupt(f"{value.hex()} is not the number of a format")
    return int.from_bytes(value)
