"""The place of a ledger in a check-up: who may read it, what kind of disk it is on, and how much room is left."""

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from tallystick.cli.finding import Finding, Level
from tallystick.cli.sizes import in_bytes
from tallystick.ledger.store.folder import file_bytes
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER

FREE_BYTES_BAD = 64 * 1024 * 1024
FREE_BYTES_LOW = 1024 * 1024 * 1024
NETWORK = ("nfs", "cifs", "smb", "afs", "9p", "ceph", "gluster", "lustre", "fuse.sshfs", "davfs", "ncpfs")
MODE_FOLDER = 0o700
MODE_FILE = 0o600


def place_findings(folder: Path) -> Iterator[Finding]:
    """Look at the folder, its file system and its disk."""
    if folder.is_dir():
        yield _permissions(folder)
    yield file_system_finding(file_system_of(folder.resolve()))
    try:
        free = os.statvfs(folder)
    except OSError as error:
        yield Finding("disk", Level.BAD, f"{folder}: {error.strerror}", 'name a folder that is there, with "--ledger"')
        return
    yield disk_finding(free.f_bavail * free.f_frsize, file_bytes(folder / VIEWS_FOLDER))
    yield _limits(folder)


def disk_finding(left: int, views: int) -> Finding:
    """Return what so many free bytes mean; read models as large as `views` are rebuilt beside the old ones."""
    said = f"{in_bytes(left)} free; rebuilding all read models takes at most {in_bytes(views)} of it"
    if left < FREE_BYTES_BAD:
        return Finding("disk", Level.BAD, said, "free space: what is full refuses to write")
    if left < FREE_BYTES_LOW or left < views:
        return Finding("disk", Level.WARN, said, "free space before it runs out")
    return Finding("disk", Level.OK, said)


def _limits(folder: Path) -> Finding:
    """What this user's shell lets a process have; the process that owns the ledger may be given other limits."""
    largest = max(file_bytes(folder / LOG_FOLDER), file_bytes(folder / VIEWS_FOLDER))
    told: list[str] = []
    low = False
    for name, flag, number, needed in (
        ("files", "f", resource.RLIMIT_FSIZE, 2 * largest),
        ("addresses", "v", resource.RLIMIT_AS, 4 * largest + (1 << 32)),
    ):
        bound, _ = resource.getrlimit(number)
        if bound != resource.RLIM_INFINITY:
            told.append(f"{name} up to {in_bytes(bound)} (ulimit -{flag})")
            low |= bound < needed
    said = " and ".join(told) or "files and addresses without a bound"
    remedy = "raise it where the process starts that opens the ledger: what cannot grow refuses to write"
    return Finding("limits", Level.WARN if low else Level.OK, said, remedy if low else None)


def _permissions(folder: Path) -> Finding:
    open_to_others: list[str] = []
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode & ~(MODE_FOLDER if path.is_dir() else MODE_FILE):
            open_to_others.append(f"{path} is {mode:04o}")
    if not open_to_others:
        return Finding("permissions", Level.OK, f"folders {MODE_FOLDER:04o}, files {MODE_FILE:04o}")
    shown = ", ".join(open_to_others[:3]) + (" …" if len(open_to_others) > len(open_to_others[:3]) else "")
    return Finding("permissions", Level.WARN, shown, f"chmod -R go= {folder}")


def file_system_finding(kind: str) -> Finding:
    """Return whether a ledger can be on a file system of this kind."""
    if kind.startswith(NETWORK):
        return Finding("file system", Level.BAD, kind, "move it to a local disk: locks and maps need one")
    return Finding("file system", Level.OK, kind)


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is on, as the system calls it."""
    import psutil

    holders = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    return max(holders, key=lambda part: len(part.mountpoint)).fstype if holders else "unknown"
