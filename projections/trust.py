"""Whether what the disk has of the views can be believed.

The views are written without waiting for the disk: they can be had again from the log. A killed process leaves them
whole, because the system has every page; but after a crash of the machine any of those pages may be missing, and a
tree with holes must not be read. So a file beside them names the present life of the machine for as long as something
may not have reached the disk. When it names another life, nothing is believed.
"""

import os
from contextlib import suppress
from pathlib import Path

from tallystick.ledger.store.folder import sync_folder

_MARK = "unflushed"
_UNKNOWN = ""  # the life of a machine that does not tell: then only what was flushed is believed


def is_believable(folder: Path, life: str) -> bool:
    """Return whether everything in the folder is as it was written."""
    try:
        named = (folder / _MARK).read_bytes()
    except OSError:
        return True
    return life != _UNKNOWN and named == life.encode()


def expect_writes(folder: Path, life: str) -> None:
    """Say on disk, before anything is written, that something may not reach it."""
    descriptor = os.open(folder / _MARK, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, life.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)


def all_is_flushed(folder: Path) -> None:
    """Say on disk that everything has reached it."""
    with suppress(FileNotFoundError):
        (folder / _MARK).unlink()
