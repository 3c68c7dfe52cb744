"""The live owner: one process a ledger writes, held by a lock that dies with it, and named in the log."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from tallystick.forks import leave_in_children
from tallystick.ledger.errors import UNREADABLE, NotOwner
from tallystick.ledger.store.folder import life_of_the_machine, not_opened
from tallystick.ledger.store.port import EventLog

LOCK_NAME = "owner.lock"
WANTED_NAME = "owner.next"
TRIES = 5
TRY_S = 0.005

YIELD_S_MAX = 10.0
"""How long a process that opens a ledger waits for one that only owns it because nobody else did."""

OWNER_NOTE = b"owner:"
_POSITION_BYTES = 8
_START_TICKS = 19  # of the fields of /proc/PID/stat behind the name: the one that proc(5) calls the 22nd
_MS_PER_S = 1_000
_UNNAMED_S = 0.5  # how long an owner may take to say who it is


class OwnerInfo(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who owns a ledger: enough to tell one process from every other, also after a restart of either.

    `started_at` (UTC, ms) and `ticks` (clock ticks since the machine started, which nobody can set) say when the
    process began, `since` when it took over. A `transient` owner leaves the ledger to the first that opens it.
    """

    host: str
    pid: int
    boot_id: str | None = None
    started_at: int | None = None
    ticks: int | None = None
    since: int | None = None
    transient: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process(now_ms: int, *, transient: bool = False) -> OwnerInfo:
    """Return who this process is, as an owner from now on."""
    ticks, started_at = _start()
    return OwnerInfo(
        host=os.uname().nodename,
        pid=os.getpid(),
        boot_id=life_of_the_machine() or None,
        started_at=started_at,
        ticks=ticks,
        since=now_ms,
        transient=transient,
    )


def _start() -> tuple[int | None, int | None]:
    """When this process began: in ticks since the machine started, and in UTC milliseconds."""
    try:
        stat = Path("/proc/self/stat").read_text("ascii", errors="replace")
        ticks = int(stat.rpartition(")")[2].split()[_START_TICKS])
        system = Path("/proc/stat").read_text("ascii")
        machine_s = next(int(line.split()[1]) for line in system.splitlines() if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return None, None
    return ticks, machine_s * _MS_PER_S + ticks * _MS_PER_S // os.sysconf("SC_CLK_TCK")


def owner_note(who: OwnerInfo) -> Callable[[int], tuple[bytes, bytes]]:
    """Return what makes the note by which the log knows its owner from a position on."""
    return lambda position: (OWNER_NOTE + position.to_bytes(_POSITION_BYTES), msgspec.msgpack.encode(who))


def owners(event_log: EventLog) -> tuple[tuple[int, OwnerInfo], ...]:
    """Return who has written the log, each with the first position that is theirs. What is unreadable is left out."""
    found: list[tuple[int, OwnerInfo]] = []
    for name, value in event_log.notes(OWNER_NOTE):
        with suppress(*UNREADABLE):
            who = msgspec.msgpack.decode(value, type=OwnerInfo)
            found.append((int.from_bytes(name.removeprefix(OWNER_NOTE)), who))
    return tuple(found)


def kept_by(event_log: EventLog) -> dict[str, object]:
    """Return who wrote the log last, as evidence; nothing when it does not say."""
    known = owners(event_log)[-1:]
    return {
        f"owner{name}": value
        for _position, who in known
        for name, value in (
            ("Host", who.host),
            ("Pid", who.pid),
            ("BootId", who.boot_id),
            ("StartedAt", who.started_at),
            ("Ticks", who.ticks),
        )
        if value is not None
    }


class OwnerLock:
    """The exclusive lock on a ledger's folder. The kernel lets it go when the process ends, however it ends."""

    def __init__(self, file: int, who: OwnerInfo) -> None:
        self._file: int | None = file
        self.who = who
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
            holder = _read(path)
            raise NotOwner(str(folder), who="another process" if holder is None else owner_in_words(holder))
        with suppress(OSError):  # on a full disk the lock holds all the same, and does not say whose it is
            os.ftruncate(file, 0)
            os.pwrite(file, msgspec.json.encode(who), 0)
        return cls(file, who)

    @classmethod
    def take_over(cls, folder: Path, who: OwnerInfo) -> "OwnerLock":
        """Take the lock; an owner that is only there for want of a better one is asked to leave, and waited for.

        Raises as `take`, `NotOwner` too when that owner does not leave within YIELD_S_MAX.
        """
        try:
            return cls.take(folder, who)
        except NotOwner:
            if not _may_yield(folder):
                raise
        from tallystick.sharing.bell import DOOR_NAME, YIELD, ring  # who only reads needs no sockets

        with _Wanted(folder):
            deadline = time.monotonic() + YIELD_S_MAX
            while True:
                ring(folder / DOOR_NAME, YIELD)
                try:
                    return cls.take(folder, who)
                except NotOwner:
                    if time.monotonic() >= deadline or not _may_yield(folder):
                        raise
                time.sleep(TRY_S)

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


def _may_yield(folder: Path) -> bool:
    """Whether the owner of this moment leaves when it is asked."""
    deadline = time.monotonic() + _UNNAMED_S
    while time.monotonic() < deadline:
        owner = _read(folder / LOCK_NAME)
        if owner is not None:
            return owner.transient
        if not _is_locked(folder / LOCK_NAME):
            return True
        time.sleep(TRY_S)
    return False


class _Wanted:
    """Says, for as long as its block lasts, that somebody who is to own the ledger waits for it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / WANTED_NAME
        self._file: int | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):  # it is a courtesy among those who wait
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _locked(self._file, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)


def is_wanted(folder: Path) -> bool:
    """Whether somebody waits for the ledger who is to own it: then nobody takes it for want of a better owner."""
    return _is_locked(folder / WANTED_NAME, fcntl.LOCK_EX)


def _locked(file: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock the file; a process that only asks who the owner is holds it for microseconds."""
    for attempt in range(TRIES):
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(attempt * TRY_S)
        else:
            return True
    return False


def is_stopped(owner: OwnerInfo) -> bool:
    """Whether an owner does nothing because somebody stopped it, with Ctrl-Z, say; False if nobody knows."""
    if owner.host != os.uname().nodename:
        return False
    try:
        stat = Path(f"/proc/{owner.pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] in (["T"], ["t"])


def owner_in_words(owner: OwnerInfo) -> str:
    """Return who owns a ledger, and what to do when that process cannot answer."""
    return f"{owner}, which is stopped (kill -CONT {owner.pid} lets it go on)" if is_stopped(owner) else str(owner)


def live_owner(folder: Path) -> OwnerInfo | None:
    """Return who owns the ledger now, or None. Reads only: never takes the lock for longer than the question."""
    path = folder / LOCK_NAME
    return _read(path) if _is_locked(path) else None


def _is_locked(path: Path, how: int = fcntl.LOCK_SH) -> bool:
    """Whether somebody has a lock that excludes this one."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _read(path: Path) -> OwnerInfo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=OwnerInfo)
    except (OSError, *UNREADABLE):
        return None
