"""The files of an archive: written whole or not at all, private, durable, and what is wrong in words."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from tallystick.ledger.errors import Full, StoreError
from tallystick.ledger.store.folder import NO_ROOM, has_room, make_folder, sync_folder

MANIFEST = "manifest.json"
LOCK = "lock"
SEGMENT = ".seg"
REMAINS = ".tiles"
UNFINISHED = ".unfinished"
POSITION_DIGITS = 20  # of the largest that eight bytes can say

_CHUNK_BYTES = 1 << 20
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def name_of(first: int, last: int, kind: str = SEGMENT) -> str:
    """Return the name of the file that has these positions: names sort as positions do."""
    return f"{first:0{POSITION_DIGITS}}-{last:0{POSITION_DIGITS}}{kind}"


def range_of(name: str) -> tuple[int, int] | None:
    """Return the positions that a file's name says; None if it says none."""
    stem, _, kind = name.partition(".")
    first, _, last = stem.partition("-")
    sound = all(map(_is_position, (first, last))) and f".{kind}" in (SEGMENT, REMAINS)
    return (int(first), int(last)) if sound and 0 < int(first) <= int(last) else None


def _is_position(text: str) -> bool:
    """Whether a text is a number that Python reads, which has a bound: it may stand in a manifest that is forged."""
    return text.isdecimal() and len(text) <= POSITION_DIGITS


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Say in this project's errors what the system says in its own."""
    try:
        yield
    except OSError as error:
        # A disk that took only a part of a write may say so as an input/output error.
        if error.errno in NO_ROOM or (error.errno == errno.EIO and not has_room(path.parent)):
            raise Full(f"the disk of {path} is full, or its files may not grow", bytes=_size(path)) from error
        raise StoreError(f"{path}: {error.strerror or error}") from error


def pass_on(error: OSError, path: Path) -> None:
    """Raise `StoreError` when this process lacks something now: that says nothing of the file, which may be sound."""
    if error.errno in _PASSING:
        raise StoreError(f"{path}: {error.strerror}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def whole(path: Path) -> Iterator[int]:
    """Write a file: the block gets a descriptor, and when it ends the file is there, whole and durable.

    Under another name until then: if the block raises, nothing is left. Raises `Full`, `StoreError`.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    with telling(path):
        file = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.fchmod(file, 0o600)
                yield file
                os.fsync(file)
            finally:
                os.close(file)
            unfinished.replace(path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        sync_folder(path.parent)


def write_all(file: int, content: bytes) -> None:
    """Write all of it where the file stands; `OSError` if the disk takes less."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def remove(path: Path) -> None:
    """Remove a file, if it is there, for good."""
    with telling(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file. Raises `OSError`."""
    told = sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            told.update(chunk)
    return told.digest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else change the manifest meanwhile, in this process or another; makes the folder if it is missing.

    Whoever is killed lets go of it.
    """
    path = folder / LOCK
    with telling(path):
        make_folder(folder)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with telling(path):
            os.fchmod(file, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # to close it is not enough: a child that was forked meanwhile has it open, too
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)
