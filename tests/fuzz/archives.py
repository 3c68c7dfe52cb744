"""The archive: segments, what remains of deleted ones, and the manifest, when somebody else made them.

Their checksums keep no forger out. So they are made right here, and what is behind them is read.
"""

import shutil
from functools import cache
from hashlib import sha256
from pathlib import Path

from tallystick.ledger.archive import directory, files
from tallystick.ledger.archive.deletion import delete
from tallystick.ledger.archive.reader import Archive
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import Lost
from tallystick.ledger.store.tree import HASH_BYTES
from tests.fuzz.target import Target, place
from tests.ledger.archive.shelves import SEGMENT, write

_BLOCKS = 2
_DIRECTORY = directory.directory_bytes(_BLOCKS)
_PLACES = _DIRECTORY - HASH_BYTES - _BLOCKS * 44  # where they begin: the offset, 8 bytes; the size, 4; the digest, 32
_REMAINS_HEAD = 16


@cache
def _made() -> Path:
    """An archive of two segments, of which the first was deleted."""
    folder = place("shelf")
    write(folder)
    with DiskLog.open(folder) as log:
        delete(log, log.archive.entries()[0], by="ada", at=1, reason="over")
    return folder / "archive"


def _name(number: int, kind: str) -> str:
    return files.name_of(number * SEGMENT + 1, (number + 1) * SEGMENT, kind)


@cache
def _copied(name: str) -> Path:
    """An archive for one target to spoil."""
    return Path(shutil.copytree(_made(), place(name) / "archive"))


def _sealed(data: bytes) -> bytes:
    """Make the checksums of a segment right, and its second directory the first again."""
    head, rest = bytearray(data[:_DIRECTORY]), data[_DIRECTORY:]
    if len(head) < _DIRECTORY:
        return data
    for number in range(_BLOCKS):
        at = _PLACES + number * 44
        offset, size = int.from_bytes(head[at : at + 8]), int.from_bytes(head[at + 8 : at + 12])
        head[at + 12 : at + 44] = sha256(data[offset : offset + size]).digest()
    head[-HASH_BYTES:] = sha256(head[:-HASH_BYTES]).digest()
    return bytes(head) + rest[:-_DIRECTORY] + bytes(head)


def _remains_sealed(data: bytes) -> bytes:
    """Make the checksum of remains right."""
    end = _REMAINS_HEAD + int.from_bytes(data[12:16])
    if end + HASH_BYTES > len(data):
        return data
    return data[:end] + sha256(data[:end]).digest() + data[end + HASH_BYTES :]


def _looked_at(folder: Path) -> None:
    """Read all of an archive, by positions and by tiles, and hear what is wrong with it."""
    archive = Archive(folder)
    last = 2 * SEGMENT
    bodies = archive.records(1, last)
    assert last == len(bodies)
    assert all(body is None or isinstance(body, bytes | Lost) for body in bodies)
    assert bodies[700] == archive.at([701])[701]
    for index in range(2 * _BLOCKS + 1):
        assert isinstance(archive.tile(index), bytes)
    for position, detail in archive.faults():
        assert position >= 0, detail
    archive.end()


def _segment(data: bytes) -> None:
    folder = _copied("segment")
    for content in (data, _sealed(data)):
        (folder / _name(1, files.SEGMENT)).write_bytes(content)
        _looked_at(folder)


def _remains(data: bytes) -> None:
    """Where there is a manifest, and where the files speak for themselves."""
    for folder in (_copied("listed"), _copied("unlisted")):
        (folder / _name(0, files.REMAINS)).write_bytes(_remains_sealed(data))
        if folder == _copied("unlisted"):
            (folder / files.MANIFEST).unlink(missing_ok=True)
        _looked_at(folder)


def _manifest(data: bytes) -> None:
    folder = _copied("manifest")
    (folder / files.MANIFEST).write_bytes(data)
    _looked_at(folder)


def _seeds(number: int, kind: str) -> list[bytes]:
    return [(_made() / _name(number, kind)).read_bytes()]


TARGETS = (
    Target(name="segment", seeds=lambda: _seeds(1, files.SEGMENT), read=_segment),
    Target(name="remains", seeds=lambda: _seeds(0, files.REMAINS), read=_remains),
    Target(
        name="archive-manifest",
        seeds=lambda: [(_made() / files.MANIFEST).read_bytes()],
        read=_manifest,
        words=("format", "segments", "first", "last", "file", "bytes", "recordedFirst", "state", "deleted", "kept"),
    ),
)
