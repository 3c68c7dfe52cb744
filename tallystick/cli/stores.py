"""The stores of a ledger in a check-up: their formats, their maps, who reads them, the archive, and the inbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.cli.finding import Finding, Level
from tallystick.cli.sizes import in_bytes
from tallystick.ledger.archive import files, manifest
from tallystick.ledger.errors import Corrupt, NewerFormat, StoreError
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.plain import plain
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings

if TYPE_CHECKING:
    from tallystick.ledger.archive.manifest import Entry
    from tallystick.ledger.store.environment import Environment
    from tallystick.ledger.store.mapping import Info

MAP_SHARE_LOW = 0.8
READER_LAG_LONG = 10_000  # commits whose pages cannot be used again
READERS_SHARE_HIGH = 0.8
SHOWN = 3

NEWER = "install the version of tallystick that wrote it, or a newer one; nothing was changed"
DAMAGED = "keep the folder as it is; restore a backup elsewhere"


def store_findings(readings: Readings, folder: Path) -> Iterator[Finding]:
    """Look at every store of an open ledger."""
    yield from _formats(readings, folder)
    if isinstance(readings.log, DiskLog):
        yield from _environment(LOG_FOLDER, readings.log.environment)
    if readings.views is not None:
        yield from _environment(VIEWS_FOLDER, readings.views.environment)
    yield from _inbox(folder)
    if isinstance(readings.log, DiskLog):
        yield from _archive(readings.log)


# Formats.


def _formats(readings: Readings, folder: Path) -> Iterator[Finding]:
    from tallystick.ledger.store.layout import FORMAT, format_of
    from tallystick.projections.views import VIEWS_FORMAT, format_in

    known = f"this version knows log format {FORMAT}, views format {VIEWS_FORMAT}, archive format {manifest.FORMAT}"
    here = []
    if isinstance(readings.log, DiskLog):
        here.append(f"log format {format_of(readings.log.environment)}")
        if readings.log.archive.entries():
            here.append(f"archive format {manifest.FORMAT}")
    views = VIEWS_FORMAT if readings.views is not None else format_in(folder / VIEWS_FOLDER)
    if views is not None:
        here.append(f"views format {views}")
    said = f"on disk: {', '.join(here) or 'nothing'}; {known}"
    if views not in (None, VIEWS_FORMAT):
        remedy = "nothing is lost: whoever opens the ledger next builds the read models anew"
        yield Finding("formats", Level.WARN, said, remedy)
    else:
        yield Finding("formats", Level.OK, said)


# Maps and readers.


def _environment(name: str, environment: "Environment") -> Iterator[Finding]:
    info = environment.info()
    yield map_finding(name, info)
    yield readers_finding(name, info)


def map_finding(name: str, info: "Info") -> Finding:
    """Return how much of what a store may grow to it has."""
    low = info.used_bytes / info.map_bytes_max > MAP_SHARE_LOW
    said = f"{in_bytes(info.used_bytes)} of at most {in_bytes(info.map_bytes_max)}"
    remedy = "let the owner archive and prune: what is full refuses to write" if low else None
    return Finding(f"{name} map", Level.WARN if low else Level.OK, said, remedy)


def readers_finding(name: str, info: "Info") -> Finding:
    """Return how many read a store, and whether one of them keeps space that nobody can use."""
    check = f"{name} readers"
    said = f"{info.readers} of {info.readers_max} reading, the oldest {info.oldest_reader_lag} commits behind"
    if info.oldest_reader_lag > READER_LAG_LONG:
        remedy = f"end process {info.oldest_reader_pid}, which reads so long: the file only grows"
        return Finding(check, Level.WARN, said, remedy)
    if info.readers > READERS_SHARE_HIGH * info.readers_max:
        return Finding(check, Level.WARN, said, "let fewer processes and threads read at the same time")
    if info.dead_readers:
        slots = "slot" if info.dead_readers == 1 else "slots"
        said = f"{said}; {info.dead_readers} {slots} of processes that are gone kept space until now"
        return Finding(check, Level.WARN, said, "nothing: they were freed just now; see what kills who reads")
    return Finding(check, Level.OK, said)


def _inbox(folder: Path) -> Iterator[Finding]:
    try:
        inbox = CommandInbox.open_readonly(folder)
    except (Corrupt, StoreError) as error:
        remedy = "open the ledger, for that makes it anew; what waited in it is lost, and its senders are told"
        yield Finding(INBOX_FOLDER, Level.WARN, plain(str(error)), remedy)
        return
    if inbox is None:
        return
    try:
        waiting, _ = inbox.counts()
        yield from _environment(INBOX_FOLDER, inbox.environment)
    finally:
        inbox.close()
    from tallystick.owner import live_owner

    noun = "command waits" if waiting == 1 else "commands wait"
    said = f"{waiting:,} {noun}" if waiting else "no command waits"
    if waiting and live_owner(folder) is None:
        yield Finding(INBOX_FOLDER, Level.WARN, f"{said}, and nobody owns the ledger", "open it: they are decided then")
    else:
        yield Finding(INBOX_FOLDER, Level.OK, said)


# The archive.


def _archive(log: DiskLog) -> Iterator[Finding]:
    folder = log.archive.folder
    if not folder.is_dir():
        return
    try:
        listed = manifest.read(folder)
    except NewerFormat as error:
        yield Finding("archive", Level.BAD, f"{folder}: {error}", NEWER)
        return
    except (Corrupt, OSError) as error:
        remedy = 'nothing is lost: it is taken from the segments; "tally verify" says whether they are sound'
        yield Finding("archive", Level.WARN, f"{folder}: {error}", remedy)
        listed = None
    entries = log.archive.entries() if listed is None else listed
    astray = [said for entry in entries for said in _fault_of(folder, entry)]
    if astray:
        remedy = 'copy them from a backup; until then "tally verify" names what cannot be read'
        yield Finding("archive", Level.DAMAGED, plain(_some(astray)), remedy)
    elif entries:
        kept = sum(not entry.is_deleted for entry in entries)
        size = sum(entry.bytes for entry in entries if not entry.is_deleted)
        said = f"{kept:,} segments with positions up to {entries[-1].last:,}, {in_bytes(size)}"
        gone = len(entries) - kept
        yield Finding("archive", Level.OK, f"{said}; {gone:,} deleted" if gone else said)
    left = sorted(path.name for path in folder.iterdir() if path.name.endswith(files.UNFINISHED))
    if left:
        remedy = "nothing, if the owner archives just now; else remove them: somebody was killed in the middle"
        yield Finding("archive", Level.WARN, f"unfinished: {_some(left)}", remedy)


def _fault_of(folder: Path, entry: "Entry") -> Iterator[str]:
    name = files.name_of(entry.first, entry.last, files.REMAINS) if entry.is_deleted else entry.file
    try:
        size = (folder / name).stat().st_size
    except OSError as error:
        yield f"{name}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}"
        return
    if not entry.is_deleted and entry.bytes and size != entry.bytes:
        yield f"{name}: {size:,} bytes instead of {entry.bytes:,}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
