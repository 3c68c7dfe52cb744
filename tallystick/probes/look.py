"""The look: what is at a pid now, and on which machine. From `/proc`; where there is none, by psutil."""

import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from tallystick.probes.identity import Found, Identity, Machine

MS_PER_S = 1_000

_PROC = Path("/proc")

# Places behind the name in /proc/PID/stat, which proc(5) counts from 1 with the name as the second.
_STATE, _GROUP, _THREADS, _TICKS = 0, 2, 17, 19


@functools.cache
def boot_id() -> str | None:
    """Return the id that this machine has had since it started; None where machines have none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(host=os.uname().nodename, boot=boot_id())


def look(expected: Identity) -> Found | None:
    """Return what is at a pid now, None for nothing. Raises `OSError` when something is there and hidden.

    When it started in ms is looked up only where the identity has nothing better.
    """
    try:
        raw = (_PROC / str(expected.pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        if not (_PROC / "self/stat").exists():
            return _by_psutil(expected.pid)
        if _is_nobody(expected.pid):
            return None
        raise PermissionError(errno.EACCES, "Hidden from this process") from None
    found = parsed(raw)
    if expected.ticks is None and expected.started is not None:
        return Found(found.ticks, started_ms(expected.pid), found.is_zombie, found.group, found.name)
    return found


def parsed(raw: bytes) -> Found:
    """Return what a line of /proc/PID/stat says. The name in it may have spaces and parentheses of its own."""
    name, _, rest = raw.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    # When the first thread of a process has ended and others go on, the process looks like a zombie and is none.
    is_zombie = fields[_STATE] in {b"Z", b"X", b"x"} and int(fields[_THREADS]) <= 1
    return Found(
        ticks=int(fields[_TICKS]),
        is_zombie=is_zombie,
        group=int(fields[_GROUP]),
        name=name.decode(errors="replace"),
    )


def started_ms(pid: int) -> int | None:
    """Return when a process started, UTC ms; None when it is gone or does not say."""
    import psutil

    try:
        return round(psutil.Process(pid).create_time() * MS_PER_S)
    except psutil.Error:
        return None


def members(group: int) -> Iterator[int]:
    """Yield the pids of those in a process group that live; a zombie does not, and nobody may ever ask how it ended.

    Who may not be seen is no member: nobody here could signal it either.
    """
    import psutil

    for pid in psutil.pids():
        try:
            found = look(Identity(pid))
            if found is not None and not found.is_zombie and _group(pid, found) == group:
                yield pid
        except OSError:
            continue


def _group(pid: int, found: Found) -> int:
    return os.getpgid(pid) if found.group is None else found.group


def _is_nobody(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _by_psutil(pid: int) -> Found | None:
    import psutil

    try:
        process = psutil.Process(pid)
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return Found(None, round(process.create_time() * MS_PER_S), is_zombie, os.getpgid(pid), process.name())
    except psutil.ZombieProcess:
        return Found(is_zombie=True)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None
    except psutil.AccessDenied as error:
        raise PermissionError(errno.EACCES, "Hidden from this process") from error
