"""The output: where an export goes. A file is there when it is whole, and not before."""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO, cast

from tallystick.ledger.archive.files import telling
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.store.folder import not_opened, sync_folder
from tallystick.sources import FILE_NAME as CONFIG_NAME

UNFINISHED = ".unfinished"
COMPRESSED = ".zst"
"""What ends the name of a file that is compressed with Zstandard."""

_NAME_BYTES_MAX = 255  # of file systems
_ALLOWED = "the path of a file in a folder that exists"


class Counting:
    """Passes bytes on, and counts them. What is closed here stays open there: whoever opened it closes it."""

    def __init__(self, below: BinaryIO) -> None:
        self._below = below
        self.written = 0

    def write(self, content: bytes) -> int:
        """Pass on all of it. Raises `BlockingIOError` when what is not buffered takes nothing of it."""
        self.written += len(content)
        left: bytes | memoryview = content
        while left:
            taken: int | None = self._below.write(left)
            if taken is None and not isinstance(self._below, io.RawIOBase):
                break  # most streams that somebody made say nothing, and have all of it
            if not taken:
                raise BlockingIOError(errno.EAGAIN, "the stream takes nothing more now; give one that waits", 0)
            left = memoryview(left)[taken:]
        return len(content)

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Pass on all of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is buffered."""
        self._below.flush()


def check_apart(path: Path, ledger: Path) -> None:
    """Raise `InvalidInput` when a file of a ledger would be replaced, or one be put where it looks for its own."""
    place, home = Path(os.path.realpath(path)), Path(os.path.realpath(ledger))
    if home in place.parents and (place.parent != home or place.name == CONFIG_NAME or os.path.lexists(place)):
        allowed = f"a place outside of {ledger}, or a name in it that is not there yet: nothing of a ledger is replaced"
        raise InvalidInput("out", str(path), allowed)


def unfinished_at(place: Path) -> Path:
    """Return under which name something is written beside its place, however long the name is that it will have."""
    ending = f".{os.getpid()}{UNFINISHED}"
    return place.with_name(os.fsdecode(os.fsencode(place.name)[: _NAME_BYTES_MAX - len(ending)]) + ending)


@contextmanager
def to_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file, for this user only: it replaces one of this name when the block ends, durable then.

    If the block raises, what was there before is there. A device or a pipe is written to as it is.
    Raises `InvalidInput` for what can be no file, `Full`, `StoreError`.
    """
    place = Path(os.path.realpath(path))  # which returns also of links that lead to themselves
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InvalidInput("out", str(path), _ALLOWED) from error
        raise not_opened(path, error.errno or 0, str(error)) from error
    if mode is not None and S_ISDIR(mode):
        raise InvalidInput("out", str(path), _ALLOWED)
    if mode is not None and not S_ISREG(mode):
        with telling(path), place.open("wb") as stream:
            yield stream
        return
    unfinished = unfinished_at(place)
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput("out", str(path), _ALLOWED) from error
    except OSError as error:
        raise not_opened(path.parent, error.errno or 0, str(error)) from error
    try:
        with telling(path):
            with os.fdopen(file, "wb") as stream:
                os.fchmod(file, 0o600)
                yield stream
                stream.flush()
                os.fsync(file)
            unfinished.replace(place)
            sync_folder(place.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def compressed(below: Counting) -> Iterator[BinaryIO]:
    """Compress what is written with Zstandard."""
    from zstandard import ZstdCompressor

    with ZstdCompressor(write_checksum=True).stream_writer(cast("BinaryIO", below), closefd=False) as stream:
        yield cast("BinaryIO", stream)


def is_compressed(path: Path | None) -> bool:
    """Whether the name of a file says that it is to be compressed."""
    return path is not None and path.name.endswith(COMPRESSED)
