"""The check-up: one look at one thing about a ledger or its place, and what to do when it is not as it should be."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallystick.cli.channel import channel_findings
from tallystick.cli.finding import Finding, Level
from tallystick.cli.messages import NOBODY_SENDS, are_left_waiting, pause_words
from tallystick.cli.times import now_ms
from tallystick.config import load, spelled
from tallystick.ledger.errors import Corrupt, TallystickError
from tallystick.ledger.store.port import Damaged
from tallystick.owner import is_stopped, live_owner
from tallystick.plain import plain
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, LedgerStatus, Readings, due_rules

if TYPE_CHECKING:
    from tallystick.cli.call import Call
    from tallystick.ledger.store.environment import Environment

FREE_BYTES_BAD = 64 * 1024 * 1024
FREE_BYTES_LOW = 1024 * 1024 * 1024
MAP_SHARE_LOW = 0.8
READER_LAG_LONG = 10_000  # commits whose pages cannot be used again
LAG_LONG = 10_000  # events that every command that reads has to fold anew
RECORDS_LOOKED_AT = 1_000
NETWORK = ("nfs", "cifs", "smb", "afs", "9p", "ceph", "gluster", "lustre", "fuse.sshfs", "davfs", "ncpfs")
MODE_FOLDER = 0o700
MODE_FILE = 0o600


def check_up(call: "Call") -> list[Finding]:
    """Look at everything, and go on whatever is found."""
    folder = call.folder
    found = [*_place(folder), *_configuration(call), *_versions()]
    try:
        with call.readings() as readings:
            found.extend(_inside(readings, folder))
    except Corrupt as error:
        found.append(
            Finding("store", Level.DAMAGED, str(error), "keep the folder as it is; restore a backup elsewhere")
        )
    except (TallystickError, OSError) as error:
        found.append(Finding("store", Level.BAD, str(error), "see the message"))
    return found


def worst(found: list[Finding]) -> Level:
    """Return the worst level of all."""
    return max((finding.level for finding in found), key=list(Level).index, default=Level.OK)


# The place.


def _place(folder: Path) -> Iterator[Finding]:
    if folder.is_dir():
        yield _permissions(folder)
    yield _file_system(folder)
    try:
        free = os.statvfs(folder)
    except OSError as error:
        yield Finding("disk", Level.BAD, f"{folder}: {error.strerror}", 'name a folder that is there, with "--ledger"')
        return
    left = free.f_bavail * free.f_frsize
    said = f"{_bytes(left)} free"
    if left < FREE_BYTES_BAD:
        yield Finding("disk", Level.BAD, said, "free space: what is full refuses to write")
    elif left < FREE_BYTES_LOW:
        yield Finding("disk", Level.WARN, said, "free space before it runs out")
    else:
        yield Finding("disk", Level.OK, said)


def _permissions(folder: Path) -> Finding:
    open_to_others: list[str] = []
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~(MODE_FOLDER if path.is_dir() else MODE_FILE):
            open_to_others.append(f"{path} is {mode:04o}")
    if not open_to_others:
        return Finding("permissions", Level.OK, f"folders {MODE_FOLDER:04o}, files {MODE_FILE:04o}")
    shown = ", ".join(open_to_others[:3]) + (" …" if len(open_to_others) > len(open_to_others[:3]) else "")
    return Finding("permissions", Level.WARN, shown, f"chmod -R go= {folder}")


def _file_system(folder: Path) -> Finding:
    kind = file_system_of(folder.resolve())
    if kind.startswith(NETWORK):
        return Finding("file system", Level.BAD, kind, "move it to a local disk: locks and maps need one")
    return Finding("file system", Level.OK, kind)


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is on, as the system calls it."""
    import psutil

    holders = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    return max(holders, key=lambda part: len(part.mountpoint)).fstype if holders else "unknown"


# What it is set to, and what reads it.


def _configuration(call: "Call") -> Iterator[Finding]:
    try:
        settings = load(call.folder, call.config, channels=False)
        due_rules(settings)
    except TallystickError as error:
        yield Finding("configuration", Level.BAD, str(error), "correct it")
        return
    values = msgspec.to_builtins(settings)
    spans = {
        f"{section}.{name}": spelled(value)
        for section in ("grace", "retention")
        for name, value in values[section].items()
    }
    spans["actors.live"] = str(settings.actors.live)
    yield Finding("configuration", Level.OK, ", ".join(f"{name} = {value}" for name, value in spans.items()))
    yield from channel_findings(call)


def _versions() -> Iterator[Finding]:
    import platform
    from importlib.metadata import version

    import lmdb

    from tallystick.ledger.store.layout import FORMAT
    from tallystick.projections.views import VIEWS_FORMAT

    engine = ".".join(map(str, lmdb.version()[:3]))
    said = f"tallystick {version('tallystick')}, Python {platform.python_version()}, LMDB {engine}"
    yield Finding(
        "versions", Level.OK, f"{said} (binding {lmdb.__version__}), {platform.system()} {platform.machine()}"
    )
    yield Finding("formats", Level.OK, f"this version writes log format {FORMAT} and views format {VIEWS_FORMAT}")


# The inside.


def _inside(readings: Readings, folder: Path) -> Iterator[Finding]:
    yield _owner(folder)
    yield from _newest_records(readings)
    for name, environment in _environments(readings):
        yield from _environment(name, environment)
    status = readings.status()
    yield from _projections(status)
    yield from _messages(status)


def _owner(folder: Path) -> Finding:
    owner = live_owner(folder)
    if owner is not None and is_stopped(owner):
        return Finding("owner", Level.WARN, plain(f"{owner} is stopped"), f"let it go on with kill -CONT {owner.pid}")
    return Finding("owner", Level.OK, "nobody owns it now" if owner is None else plain(str(owner)))


def _newest_records(readings: Readings) -> Iterator[Finding]:
    head = readings.log.head()
    first = max(head - RECORDS_LOOKED_AT, 0)
    damaged = [stored for stored in readings.log.read(after=first) if isinstance(stored, Damaged)]
    if damaged:
        detail = f"position {damaged[0].position} cannot be read: {damaged[0].detail}"
        yield Finding("log", Level.DAMAGED, plain(detail), 'run "tally verify" for all of it')
    else:
        yield Finding("log", Level.OK, f"{head:,} events, the newest {head - first:,} can be read")


def _environments(readings: Readings) -> "Iterator[tuple[str, Environment]]":
    from tallystick.ledger.store.disk import DiskLog

    if isinstance(readings.log, DiskLog):
        yield LOG_FOLDER, readings.log.environment
    if readings.views is not None:
        yield VIEWS_FOLDER, readings.views.environment


def _environment(name: str, environment: "Environment") -> Iterator[Finding]:
    info = environment.info()
    share = info.used_bytes / info.map_bytes_max
    said = f"{_bytes(info.used_bytes)} of at most {_bytes(info.map_bytes_max)}"
    low = share > MAP_SHARE_LOW
    yield Finding(f"{name} map", Level.WARN if low else Level.OK, said, "archive or prune" if low else None)
    said = f"{info.readers} of {info.readers_max} reading, the oldest {info.oldest_reader_lag} commits behind"
    if info.oldest_reader_lag > READER_LAG_LONG:
        yield Finding(f"{name} readers", Level.WARN, said, "end the process that reads so long: the file only grows")
    else:
        yield Finding(f"{name} readers", Level.OK, said)


def _projections(status: LedgerStatus) -> Iterator[Finding]:
    if not status.projections:
        yield Finding("projections", Level.WARN, "none that can be read", 'run "tally projections rebuild"')
    for standing in status.projections:
        said = f"{standing.lag:,} events behind"
        if standing.lag > LAG_LONG:
            yield Finding(standing.name, Level.WARN, said, "the next owner catches up; if it stays so, rebuild it")
        else:
            yield Finding(standing.name, Level.OK, said)


def _messages(status: LedgerStatus) -> Iterator[Finding]:
    failed, now = status.outbox.failed, now_ms()
    if failed:
        said = f"{failed:,} {'task has' if failed == 1 else 'tasks have'} messages that could not be delivered"
        remedy = 'see "tally deliveries", then "tally retry LOOKUP" or "tally dismiss LOOKUP"'
        yield Finding("messages", Level.WARN, said, remedy)
    else:
        yield Finding("messages", Level.OK, "none is stuck")
    if are_left_waiting(status):
        outbox = status.outbox
        said = f"{outbox.pending:,} to be sent, {outbox.queued:,} waiting in sessions"
        said += f", {outbox.withheld:,} withheld" if outbox.withheld else ""
        yield Finding("sending", Level.WARN, f"{said}. {NOBODY_SENDS}", "start the program that opens the ledger")
    for standing in status.paused:
        remedy = "correct what it says; what waits follows as soon as one message arrives"
        yield Finding("paused", Level.WARN, pause_words(standing, now), remedy)


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:  # noqa: PLR2004 - the step between units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"
