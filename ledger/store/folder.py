"""The folder of a store: private, made whole before anything is mapped, and what is wrong with it in words.

Owns folders, files, permissions and free space; what the files contain is LMDB's, but for the format it names.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

from tallystick.ledger.errors import Corrupt, Full, InvalidInput, NewerFormat, StoreError

DATA_NAME = "data.mdb"
LOCK_NAME = "lock.mdb"

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ROOM_BYTES_MIN = 64 * 1024

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_LMDB_FORMAT = 1
_LMDB_MAGIC = (0xBEEFC0DE).to_bytes(4, "little")
_LMDB_MAGIC_OFFSETS = (16, 24)  # format 1, format 3
_LOCK_HEAD_BYTES = 192
_LOCK_SLOT_BYTES = 64


def life_of_the_machine(told_in: Path = _BOOT_ID) -> str:
    """Return what changes whenever the machine starts anew; empty if the system does not tell."""
    try:
        return told_in.read_text("ascii").strip()
    except OSError:
        return ""


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, each 0700 whatever the umask; durable on return."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):  # somebody else was faster; if it is a file, whoever opens it will say so
        path.mkdir(0o700)
        path.chmod(0o700)
        sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder of files, as far as this user may."""
    with suppress(OSError):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, as fsync does for what a file contains."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_store_files(path: Path, *, readers_max: int) -> None:
    """Make the files that LMDB would make, where they are missing: 0600 whatever the umask, durable on return."""
    make_folder(path)
    _make_file(path / LOCK_NAME, _lock_bytes(readers_max))
    if _make_file(path / DATA_NAME, 0):
        sync_folder(path)


def make_lock_file(path: Path, *, readers_max: int) -> None:
    """Make the lock file of a store that came without, for a reader; where that is forbidden, LMDB decides."""
    try:
        _make_file(path / LOCK_NAME, _lock_bytes(readers_max))
    except OSError as error:
        if error.errno not in _NO_ACCESS:
            raise


def _lock_bytes(readers_max: int) -> int:
    return _LOCK_HEAD_BYTES + (readers_max - 1) * _LOCK_SLOT_BYTES


def _make_file(path: Path, size: int) -> bool:
    """Make a private file with `size` bytes that are on the disk; False if there is one already.

    LMDB writes to its lock file through a map. A map over a hole kills the process when the disk is full,
    so the space is taken here, where running out of it is an error. LMDB takes a file of zeros for a new one.
    """
    with suppress(FileNotFoundError):
        # An empty one was left by somebody who got no space, and is taken up.
        # Any other is not even opened: closing it again would drop the locks of this process on it.
        if path.stat().st_size or not size:
            return False
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, 0o600)
        if size and not os.fstat(file).st_size:
            os.posix_fallocate(file, 0, size)
    finally:
        os.close(file)
    return True


def require_store(path: Path) -> None:
    """`InvalidInput` unless the folder has a store."""
    if not path.is_dir():
        os.stat(path)  # noqa: PTH116 - its error says whether nothing is there, or nothing that may be seen
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
    if not file_bytes(path):
        raise no_store(path)


def file_bytes(path: Path) -> int:
    """Return the size of the store's data; 0 if there is none."""
    try:
        return (path / DATA_NAME).stat().st_size
    except FileNotFoundError:
        return 0


def has_room(path: Path) -> bool:
    """Whether a store could grow by a few pages: on its disk, and within what this process may write to a file."""
    disk = os.statvfs(path)
    bound, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return disk.f_bavail * disk.f_frsize >= _ROOM_BYTES_MIN and (
        bound == resource.RLIM_INFINITY or file_bytes(path) + _ROOM_BYTES_MIN <= bound
    )


def no_store(path: Path) -> InvalidInput:
    """The error for a folder without a store."""
    return InvalidInput("path", os.fspath(path), "a folder that has a store; this one has none")


def is_utf8(path: str) -> bool:
    """Whether a path is text that UTF-8 can say: LMDB opens no other."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def not_opened(path: Path, code: int, reason: str) -> InvalidInput | StoreError:
    """The error for a store that the system did not let us open."""
    shown = os.fspath(path)
    if code in NO_ROOM:
        return Full(f"the disk of {shown} is full", bytes=0)
    if code in _NO_ACCESS:
        return InvalidInput("path", shown, "a folder that this user may read and write")
    if code == errno.ENOENT:
        return InvalidInput("path", shown, "a folder that exists")
    if code in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return InvalidInput("path", shown, "a folder")
    return StoreError(f"{shown}: {reason}")


def not_a_store(path: Path) -> StoreError:
    """The error for data that LMDB does not recognise."""
    with (path / DATA_NAME).open("rb") as data:
        head = data.read(32)
    for offset in _LMDB_MAGIC_OFFSETS:
        if head[offset : offset + 4] == _LMDB_MAGIC:
            found = int.from_bytes(head[offset + 4 : offset + 8], "little")
            if found > _LMDB_FORMAT:
                return NewerFormat(f"{path / DATA_NAME}", found=found, known=_LMDB_FORMAT)
    return Corrupt(f"{path / DATA_NAME} is not an LMDB file")
