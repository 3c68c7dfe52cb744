"""Unpacking: the files of a bundle read where they are, a folder or a zip, whoever made it. Nothing is written."""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from stat import S_IFMT, S_ISDIR, S_ISREG
from typing import BinaryIO, TypeAlias, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from tallystick.exports.manifest import FOLDERS, File
from tallystick.ledger.errors import InvalidInput, NotProved
from tallystick.ledger.limits import BUNDLE_BYTES_MAX, BUNDLE_EVENTS_MAX

BESIDE_PROOFS = 7
"""Files that a bundle has besides its proofs, at most."""

_FILES_MAX = BUNDLE_EVENTS_MAX + BESIDE_PROOFS
_DIRECTORY_BYTES_MAX = (_FILES_MAX + len(FOLDERS)) * 256  # of a zip: names are short, and have some fields beside
_END = struct.Struct("<4s4H2LH")
_LARGE, _LARGE_BYTES = b"PK\x06\x07", 20  # what says, before the end, where another directory is (ZIP64)
_IS_ENCRYPTED = 1
_WRONG = (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, UnicodeError, ValueError, zlib.error)

_Open: TypeAlias = Callable[[str], BinaryIO]


def unlike(path: str, why: str) -> NotProved:
    """Return the error of a file of a bundle that is not as it has to be."""
    return NotProved("bundle", f"{path}: {why}.")


class Unpacked:
    """The files of a bundle, by their paths; none of them is believed."""

    def __init__(self, paths: frozenset[str], opened: _Open) -> None:
        self.paths, self._opened = paths, opened

    def content(self, path: str, most: int) -> bytes:
        """Return what is in a file of at most so many bytes. Raises `NotProved`."""
        with self._reading(path) as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise unlike(path, f"it has more than {most} bytes")
        return data

    def pieces(self, path: str, file: File, most: int) -> Iterator[bytes]:
        """Yield the lines of a file, none longer than `most`. Raises `NotProved` unless it is the one of the manifest.

        That is known at its end: what was read until then is not to be believed before.
        """
        digest, length = sha256(), 0
        with self._reading(path) as stream:
            while piece := stream.readline(most + 1):
                length += len(piece)
                if len(piece) > most or length > file.bytes:
                    raise unlike(path, "it has other bytes than the manifest says: it is longer")
                digest.update(piece)
                yield piece
        if (digest.hexdigest(), length) != (file.sha256, file.bytes):
            raise unlike(path, "it has other bytes than the manifest says")

    @contextmanager
    def _reading(self, path: str) -> Iterator[BinaryIO]:
        if path not in self.paths:
            raise unlike(path, "it is missing")
        try:
            with self._opened(path) as stream:
                yield stream
        except _WRONG as error:
            raise unlike(path, f"it cannot be read ({str(error)[:200] or type(error).__name__})") from error


@contextmanager
def unpacked(bundle: Path) -> Iterator[Unpacked]:
    """Look at a bundle: a folder, or a zip.

    Raises `InvalidInput` when there is none, `NotProved` when something in it is no file of a bundle: a link, a device,
    a path that leads elsewhere, too many files or too many bytes. Nothing is unpacked to look.
    """
    try:
        if bundle.is_dir():
            yield _folder(bundle)
            return
        if not S_ISREG(bundle.stat().st_mode):  # a pipe would be waited for
            raise InvalidInput("bundle", str(bundle), "a folder, or a zip")
        with bundle.open("rb") as file, _zip_of(bundle, file) as archive:
            yield _zip(archive)
    except OSError as error:
        raise InvalidInput("bundle", str(bundle), f"a folder or a zip that can be read ({error.strerror})") from error


def _folder(bundle: Path) -> Unpacked:
    paths: set[str] = set()
    for place in (bundle, *(bundle / name for name in FOLDERS)):
        if place is not bundle and not os.path.lexists(place):
            continue
        with os.scandir(place) as entries:
            for entry in entries:
                path = entry.name if place is bundle else f"{place.name}/{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                if S_ISDIR(mode) and path in FOLDERS:
                    continue
                if not S_ISREG(mode):
                    raise unlike(path, "it is no file: a bundle has no links, devices or other folders")
                paths.add(path)
                if len(paths) > _FILES_MAX:
                    raise unlike(path, f"a bundle has at most {_FILES_MAX} files")

    def opened(path: str) -> BinaryIO:
        return os.fdopen(os.open(bundle / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    return Unpacked(frozenset(paths), opened)


@contextmanager
def _zip_of(bundle: Path, file: BinaryIO) -> Iterator[ZipFile]:
    """Open a zip whose directory was found to be small enough to be read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _END.size - _LARGE_BYTES, 0))
    last = file.read()
    before, tail = last[: -_END.size], last[-_END.size :]
    if before.startswith(_LARGE):  # whoever reads zips believes that one
        raise unlike(bundle.name, "it has two directories, one of them for large zips, which no bundle is")
    if len(tail) < _END.size or not tail.startswith(b"PK\x05\x06"):
        raise unlike(bundle.name, "it is no whole zip: its end is missing, or it was cut")
    *_, count, directory, _, _ = _END.unpack(tail)
    if count > _FILES_MAX + len(FOLDERS) or directory > _DIRECTORY_BYTES_MAX:
        raise unlike(bundle.name, f"it has {count} entries; a bundle has at most {_FILES_MAX} files")
    try:
        archive = ZipFile(file)
    except _WRONG as error:
        raise unlike(bundle.name, f"it is no whole zip ({str(error)[:200]})") from error
    with archive:
        yield archive


def _zip(archive: ZipFile) -> Unpacked:
    paths: set[str] = set()
    total = 0
    for info in archive.infolist():
        if not info.filename:
            raise unlike(f"entry {len(paths) + 1}", "it has no name")
        kind = S_IFMT(info.external_attr >> 16)
        if info.filename.rstrip("/") in FOLDERS and info.is_dir():
            continue
        if info.filename in paths:
            raise unlike(info.filename, "it is in the zip twice")
        if (kind and not S_ISREG(kind)) or info.is_dir():
            raise unlike(info.filename, "it is no file: a bundle has no links, devices or other folders")
        if info.flag_bits & _IS_ENCRYPTED or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise unlike(info.filename, "it is encrypted, or compressed in a way that no bundle has")
        total += info.file_size
        if total > BUNDLE_BYTES_MAX:
            raise unlike(info.filename, f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
        paths.add(info.filename)
    return Unpacked(frozenset(paths), lambda path: cast("BinaryIO", archive.open(path)))
