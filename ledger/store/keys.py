"""The bytes of every key of the log: no other file makes or takes apart one.

Numbers are big-endian, so that the order of bytes is the order of numbers.

    events   position, 8 bytes                    → the record
    streams  task id, 16 bytes                    → the positions of its events, 8 bytes each, sorted (MDB_DUPFIXED)
    claims   digest of an identity, 16 bytes      → task id, 16 bytes
    tiles    level, 1 byte; index, 8 bytes; the tile's first hash, 32 bytes → its other hashes, 32 bytes each
    meta     "format"                             → 4 bytes
             "edge"                               → the tree's edge
             "tail", number, 1 byte               → up to 32 leaf hashes of the tree's last, incomplete tile
             "archived"                           → up to which position the archive has the records, 8 bytes
             "note/", a name                      → what whoever wrote a batch notes with it
    payloads position, 8 bytes; a field's name    → salt, 16 bytes; the field's value (from format 3 on)

An event's version is its place among the positions of its stream: an index that cannot have gaps.
A full tile has 8,192 bytes. With its first hash in the key the rest fits two pages of LMDB; all of it would need three.
"""

from struct import Struct

from tallystick.ledger.errors import Corrupt

EVENTS = b"events"
STREAMS = b"streams"
CLAIMS = b"claims"
TILES = b"tiles"
META = b"meta"
PAYLOADS = b"payloads"

FORMAT = b"format"
EDGE = b"edge"
TAIL = b"tail"
ARCHIVED = b"archived"
NOTE = b"note/"

CHECKPOINT_NOTE = b"checkpoint"
"""The name of the note that is the newest signed checkpoint, as the bytes of a signed note."""

FIRST_HASH_BYTES = 32

_POSITION = Struct(">Q")
_TILE = Struct(">BQ")
_FORMAT = Struct(">I")

POSITION_BYTES = _POSITION.size
POSITION_MAX = (1 << 8 * POSITION_BYTES) - 1
LEAST = b"\0"
"""The least key that there can be."""

# The packing functions themselves, for they are called for every event.
event_key = _POSITION.pack
"""Return the key of the record at a position; also what `streams` has."""

tile_key = _TILE.pack
"""Return what the key of the tile at a level and an index begins with."""

format_value = _FORMAT.pack
"""Return what stands under `FORMAT`."""


def position_of(key: bytes) -> int:
    """Return the position that `event_key` was given; `Corrupt` for other bytes."""
    if len(key) != POSITION_BYTES:
        raise Corrupt(f"{key.hex()} is not a position")
    return int.from_bytes(key)


def tile_item(level: int, index: int, hashes: bytes) -> tuple[bytes, bytes]:
    """Return the key and the value of a tile that has at least one hash."""
    return tile_key(level, index) + hashes[:FIRST_HASH_BYTES], hashes[FIRST_HASH_BYTES:]


def tile_of(key: bytes, value: bytes) -> tuple[int, int, bytes]:
    """Return the level, index and hashes that `tile_item` was given; `Corrupt` for another key."""
    if len(key) != _TILE.size + FIRST_HASH_BYTES:
        raise Corrupt(f"{key.hex()} is not a tile's level, index and first hash")
    level, index = _TILE.unpack_from(key)
    return level, index, key[_TILE.size :] + value


def tail_key(number: int) -> bytes:
    """Return the key of one part of the tree's last, incomplete tile."""
    return TAIL + number.to_bytes(1)


def payload_key(position: int, field: str) -> bytes:
    """Return the key of what is kept beside the record at a position, of one of its fields."""
    return _POSITION.pack(position) + field.encode()


def payload_of(key: bytes) -> tuple[int, str]:
    """Return the position and the field that `payload_key` was given; other bytes are the name of no field.

    Positions are in the order of the keys, also those of keys that are too short for one.
    """
    position = int.from_bytes(key[:POSITION_BYTES].ljust(POSITION_BYTES, b"\0"))
    return position, key[POSITION_BYTES:].decode(errors="backslashreplace")


def note_key(name: bytes) -> bytes:
    """Return the key of a note, which is none of the tree's."""
    return NOTE + name


def format_of(value: bytes) -> int:
    """Return the number that `format_value` was given; `Corrupt` for other bytes."""
    if len(value) != _FORMAT.size:
        raise Corrupt(f"{value.hex()} is not the number of a format")
    return int.from_bytes(value)
