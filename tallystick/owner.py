"""The live owner: one process a ledger writes, held by a lock that dies with it."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tallystick.forks import leave_in_children
from tallystick.ledger.errors import NotOwner
from tallystick.ledger.store.folder import not_opened

LOCK_NAME = "owner.lock"
TRIES = 5
TRY_S = 0.005


class OwnerInfo(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who owns a ledger: enough to tell one process from every other, also after a restart of either."""

    host: str
    pid: int
    boot_id: str | None = None
    started_at: int | None = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process(now_ms: int) -> OwnerInfo:
    """Return who this process is."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot_id = None
    return OwnerInfo(host=os.uname().nodename, pid=os.getpid(), boot_id=boot_id, started_at=now_ms)


class OwnerLock:
    """The exclusive lock on a ledger's folder. The kernel lets it go when the process ends, however it ends."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file
        leave_in_children(self)

    @classmethod
    def take(cls, folder: Path, who: OwnerInfo) -> "OwnerLock":
        """Take the lock of a ledger's folder, without waiting.

        Raises `NotOwner` with who holds it, `InvalidInput` when the folder cannot be written, `Full`.
        """
        path = folder / LOCK_NAME
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise not_opened(folder, error.errno or 0, str(error)) from error
        if not _locked(file):
            os.close(file)
            raise NotOwner(str(folder), who=str(_read(path) or "another process"))
        with suppress(OSError):  # on a full disk the lock holds all the same, and does not say whose it is
            os.ftruncate(file, 0)
            os.pwrite(file, msgspec.json.encode(who), 0)
        return cls(file)

    def release(self) -> None:
        """Let go of the lock. Doing so twice is allowed."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.ftruncate(file, 0)
            os.close(file)

    def leave_to_parent(self) -> None:
        """A fork inherits the descriptor, and with it the lock: the child closes its copy, the parent's holds."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _locked(file: int) -> bool:
    """Lock the file exclusively; a process that only asks who the owner is holds it for microseconds."""
    for attempt in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(attempt * TRY_S)
        else:
            return True
    return False


def live_owner(folder: Path) -> OwnerInfo | None:
    """Return who owns the ledger now, or None. Reads only: never takes the lock for longer than the question."""
    path = folder / LOCK_NAME
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    else:
        return None
    finally:
        os.close(file)


def _read(path: Path) -> OwnerInfo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=OwnerInfo)
    except (OSError, msgspec.DecodeError):
        return None
