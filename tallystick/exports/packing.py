"""Packing: the files of a bundle into a new folder or a new zip, which is there as a whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tallystick.exports.manifest import FOLDERS, File
from tallystick.exports.output import unfinished_at
from tallystick.ledger.archive.files import telling
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import BUNDLE_BYTES_MAX
from tallystick.ledger.store.folder import sync_folder

ZIP = ".zip"
"""What ends the name of a bundle that is one file."""

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: the same contents are the same bytes
_MODE = 0o600

Opener: TypeAlias = Callable[[str], AbstractContextManager[BinaryIO]]


class Parcel:
    """What files are put into, one after another; `files` are those that are in it."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self.files: dict[str, File] = {}
        self._bytes = 0

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """Write one file. Raises `InvalidInput` when all of them have more than `BUNDLE_BYTES_MAX` bytes."""
        with self._opener(path) as below:
            stream = _Hashing(below, BUNDLE_BYTES_MAX - self._bytes)
            yield cast("BinaryIO", stream)
        self._bytes += stream.written
        self.files[path] = File(sha256=stream.digest.hexdigest(), bytes=stream.written)

    def put(self, path: str, content: bytes) -> None:
        """Write one file. Raises as `file`."""
        with self.file(path) as stream:
            stream.write(content)


class _Hashing:
    """Passes bytes on, and hashes and counts them."""

    def __init__(self, below: BinaryIO, room: int) -> None:
        self._below, self._room = below, room
        self.digest, self.written = sha256(), 0

    def write(self, content: bytes) -> int:
        self.written += len(content)
        if self.written > self._room:
            allowed = f"fewer events: a bundle has at most {BUNDLE_BYTES_MAX} bytes; narrow --since, --until or LOOKUP"
            raise InvalidInput("selection", "more", allowed)
        self.digest.update(content)
        return self._below.write(content)


@contextmanager
def packing(out: Path) -> Iterator[Parcel]:
    """Write a bundle: a zip if its name ends in ".zip", else a folder; for this user only, durable when the block ends.

    If the block raises, nothing is left. Raises `InvalidInput` when something is there, `Full`, `StoreError`.
    """
    target = out.absolute()
    if os.path.lexists(target):
        raise InvalidInput("out", str(out), "a name that is not there yet; nothing is written over")
    if not target.parent.is_dir():
        raise InvalidInput("out", str(out), "a name in a folder that exists")
    unfinished = unfinished_at(target)
    is_zip = target.suffix.lower() == ZIP
    try:
        with telling(target):
            with _zip(unfinished) if is_zip else _folder(unfinished) as parcel:
                yield parcel
            if is_zip:
                os.link(unfinished, target)  # which never replaces what somebody made meanwhile
                unfinished.unlink()
            else:
                unfinished.rename(target)
            sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink() if is_zip else shutil.rmtree(unfinished)
        raise


@contextmanager
def _folder(place: Path) -> Iterator[Parcel]:
    shutil.rmtree(place, ignore_errors=True)  # what a killed process of the same number left
    place.mkdir(mode=0o700)

    @contextmanager
    def opened(path: str) -> Iterator[BinaryIO]:
        target = place / path
        target.parent.mkdir(mode=0o700, exist_ok=True)
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(file, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(file)

    yield Parcel(opened)
    for name in FOLDERS:
        if (place / name).is_dir():
            sync_folder(place / name)
    sync_folder(place)


@contextmanager
def _zip(place: Path) -> Iterator[Parcel]:
    with suppress(FileNotFoundError):
        place.unlink()
    file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(file, "w+b") as stream:
        with ZipFile(stream, "w", ZIP_DEFLATED) as archive:

            @contextmanager
            def opened(path: str) -> Iterator[BinaryIO]:
                info = ZipInfo(path, _FIRST_DAY)
                info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, 3, (0o100000 | _MODE) << 16
                with archive.open(info, "w") as entry:
                    yield cast("BinaryIO", entry)

            yield Parcel(opened)
        stream.flush()
        os.fsync(file)
