"""The remains of a deleted segment: the leaf hashes of its records, and who deleted it, when and why.

    magic "tallytil", 8 bytes; format, 4; bytes of the entry, 4
    the entry of the manifest, as JSON
    SHA-256 of all of the above, 32
    the leaf hashes, 32 each

With them the root of the log can still be recomputed, and every record that is left proved.
"""

import os
from hashlib import sha256
from pathlib import Path
from struct import Struct

import msgspec

from tallystick.ledger.archive import files
from tallystick.ledger.archive.manifest import Entry
from tallystick.ledger.errors import UNREADABLE, Corrupt, NewerFormat
from tallystick.ledger.store.tree import HASH_BYTES, TILE_BYTES

MAGIC = b"tallytil"
FORMAT = 1

_HEAD = Struct(">8sII")
_ENTRY_BYTES_MAX = 1 << 20


def write(folder: Path, entry: Entry, hashes: bytes) -> None:
    """Write what remains of a segment; durable on return. Raises `Full`, `StoreError`."""
    said = msgspec.json.encode(entry)
    head = _HEAD.pack(MAGIC, FORMAT, len(said)) + said
    with files.whole(folder / files.name_of(entry.first, entry.last, files.REMAINS)) as file:
        files.write_all(file, head + sha256(head).digest() + hashes)


def entry_of(path: Path) -> Entry:
    """Return what the remains say of their segment. Raises `Corrupt`, `NewerFormat`, `OSError`."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        entry, start = _entry(file)
        end, whole = os.fstat(file).st_size, start + entry.events * HASH_BYTES
        if end != whole:
            raise Corrupt(f"it has {end} bytes instead of {whole}")
        return entry
    finally:
        os.close(file)


def hashes_of(path: Path, number: int) -> bytes:
    """Return the leaf hashes of a block of the segment that was deleted; none when they cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        files.pass_on(error, path)
        return b""
    try:
        offset = _entry(file)[1]
        return os.pread(file, TILE_BYTES, offset + number * TILE_BYTES)
    except (Corrupt, NewerFormat, OSError):
        return b""
    finally:
        os.close(file)


def _entry(file: int) -> tuple[Entry, int]:
    """The entry, and where the hashes begin."""
    head = os.pread(file, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        raise Corrupt("it is cut off")
    magic, version, size = _HEAD.unpack(head)
    if magic != MAGIC or size > _ENTRY_BYTES_MAX:
        raise Corrupt("it is another file than its name says")
    end = _HEAD.size + size
    stored = os.pread(file, end + HASH_BYTES, 0)
    if sha256(stored[:end]).digest() != stored[end:]:
        raise Corrupt("it is not as it was written")
    if version > FORMAT:
        raise NewerFormat("the remains of a segment", found=version, known=FORMAT)
    try:
        return msgspec.json.decode(stored[_HEAD.size : end], type=Entry), end + HASH_BYTES
    except UNREADABLE as error:
        raise Corrupt(f"it says nothing that can be read: {error}") from error
