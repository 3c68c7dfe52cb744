"""The backup: a whole ledger in another folder, as of one moment, made beside whoever writes it, and looked at anew.

A backup is a ledger's folder: the log, the archive and the configuration, and `backup.json`, which says what was there.
What others fold from the log, what only waits between processes, and what belongs to a running one is left out.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tallystick.ledger.archive import files, manifest
from tallystick.ledger.archive.manifest import Entry
from tallystick.ledger.errors import UNREADABLE, Corrupt, InvalidInput, NewerFormat
from tallystick.ledger.limits import MAP_BYTES_FIRST, MAP_BYTES_MAX
from tallystick.ledger.store import folder as stores
from tallystick.ledger.store import layout
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.verify import Verification, verify
from tallystick.projections.board import Board
from tallystick.projections.catch_up import Progressed, catch_up, nobody
from tallystick.projections.counts import Counting
from tallystick.projections.flows import FlowBoard
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER
from tallystick.sources import FILE_NAME as CONFIG_NAME
from tallystick.unfinished import Unfinished, check_free

BACKUP_NAME = "backup.json"
FORMAT = 1
ROUNDS = 5  # in which the archive may change while it is copied


class Backup(Struct, frozen=True, kw_only=True):
    """A backup that was made, or restored: where it is, and what it has.

    `events` can be read, of `head` that there are; `root_hash` is over all of them, `tasks` are in its read model.
    `problems` counts what `verify` finds: the ledger has the same. `bytes` are those of the files, `segments` those of
    the archive, and `seconds` what it took.
    """

    path: str
    made_at: int
    events: int
    head: int
    root_hash: bytes
    tasks: int
    segments: int
    bytes: int
    seconds: float
    problems: int = 0


class _Noted(Struct, frozen=True, kw_only=True, rename="camel"):
    """What `backup.json` says."""

    format: int
    made_at: int
    events: int
    head: int
    root_hash: str
    segments: int
    problems: int


def make(ledger: Path, target: Path, *, now: int, progressed: Progressed = nobody) -> Backup:
    """Make a backup of the ledger in a folder, beside whoever writes it; durable on return.

    To be called in a process that does not write the ledger: a writer here could not grow meanwhile.
    Raises `InvalidInput` when something is in the place, or it is inside of the ledger; `Full`, `Corrupt` when the copy
    is not as the ledger is. Then nothing is left.
    """
    began = time.monotonic()
    check_outside(ledger, target)
    with _opened(ledger) as log, Unfinished(target) as place:
        copied = copy_all(ledger, log, place.path)
        found, tasks = _looked_at(place.path, progressed)
        if not found.ok:
            _check_same(found, verify(log), target)
        noted = _Noted(
            format=FORMAT,
            made_at=now,
            events=found.events,
            head=found.head,
            root_hash=found.root_hash.hex(),
            segments=copied,
            problems=found.problem_count,
        )
        _write(place.path / BACKUP_NAME, msgspec.json.format(msgspec.json.encode(noted), indent=2) + b"\n")
        size = _bytes_below(place.path)
        place.finish()
    return _told(target, noted, tasks, size, began)


def restore(backup: Path, target: Path, *, progressed: Progressed = nobody) -> Backup:
    """Make a ledger of a backup, in a folder that is not there yet or empty; the backup stays as it is.

    Both are verified, and held to what the backup says of itself. Raises `InvalidInput` when it is no backup, or the
    place is taken, `Corrupt` when it is not what was backed up, `NewerFormat`, `Full`. Then nothing is left.
    """
    began = time.monotonic()
    check_free(target.absolute())
    check_outside(backup, target)
    noted = _noted(backup)
    with _opened(backup) as log:
        found = verify(log, progress=progressed)
        _check_noted(found, noted, backup)
        with Unfinished(target) as place:
            copied = copy_all(backup, log, place.path)
            found, tasks = _looked_at(place.path, progressed)
            _check_noted(found, noted, target)
            size = _bytes_below(place.path)
            place.finish()
    return _told(target, msgspec.structs.replace(noted, segments=copied), tasks, size, began)


def check_outside(ledger: Path, target: Path) -> None:
    """Raise `InvalidInput` when a copy would be a part of what it is a copy of."""
    if target.resolve().is_relative_to(ledger.resolve()):
        raise InvalidInput("path", str(target), f"a place outside of {ledger}")


# What is copied.


def _opened(ledger: Path) -> DiskLog:
    return DiskLog.open(ledger / LOG_FOLDER, readonly=True)


def copy_all(ledger: Path, log: DiskLog, place: Path) -> int:
    """Copy the log, then what the archive has by then, and the configuration. Returns how many segments there are.

    In this order, because a segment is in the archive before it leaves the log: what the copied log lacks was there.
    """
    (place / LOG_FOLDER).mkdir(0o700)
    log.environment.copy(place / LOG_FOLDER)
    archive = place / LOG_FOLDER / log.archive.folder.name
    segments = _copy_archive(log.archive.folder, archive)
    _drop_kept(place / LOG_FOLDER, archive)
    with suppress(FileNotFoundError):
        _write(place / CONFIG_NAME, (ledger / CONFIG_NAME).read_bytes())
    return segments


def _copy_archive(source: Path, target: Path) -> int:
    """Copy the archive as of one moment.

    Its files never change, but a link to one would be the same bytes on the same disk: damaged where that is.
    """
    if not source.is_dir():
        return 0
    target.mkdir(0o700)
    for _ in range(ROUNDS):
        segments = _listed(source)
        wanted = {(entry.first, entry.last): entry for entry in segments or ()}
        try:
            for path in sorted(source.iterdir()):
                place = files.range_of(path.name)
                if place is not None and (segments is None or place in wanted):
                    _copy(path, target / path.name)
        except FileNotFoundError:
            continue  # deleted meanwhile
        if segments == _listed(source):
            if segments is not None:
                manifest.write(target, segments)
            _drop_deleted(target, segments or ())
            return sum(path.suffix == files.SEGMENT for path in target.iterdir())
    raise Corrupt(f"{source} goes on changing; try again when nobody deletes archives")


def _listed(archive: Path) -> tuple[Entry, ...] | None:
    """Return what the manifest lists; None where there is none that can be read: the files speak for themselves."""
    try:
        return manifest.read(archive)
    except Corrupt:
        return None


def _drop_deleted(target: Path, segments: tuple[Entry, ...]) -> None:
    for entry in segments:
        if entry.is_deleted:
            (target / files.name_of(entry.first, entry.last)).unlink(missing_ok=True)


def _drop_kept(place: Path, archive: Path) -> None:
    """Drop what is kept in a copied log beside records that were deleted before their archive was copied."""
    deleted = [entry.last for entry in _listed(archive) or () if entry.is_deleted]
    if not deleted:
        return
    environment = layout.open_environment(place, map_bytes=MAP_BYTES_FIRST, map_bytes_max=MAP_BYTES_MAX)
    with DiskLog(environment, place) as log:  # not as one that grows: its tree may be damaged
        log.forget_payloads(max(deleted))


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    with source.open("rb") as original:  # first: one that is gone leaves nothing
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as copy:
            os.fchmod(file, 0o600)
            shutil.copyfileobj(original, copy, 1 << 20)


def _write(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as written:
        os.fchmod(file, 0o600)
        written.write(content)


def _bytes_below(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


# What is looked at.


def _looked_at(place: Path, progressed: Progressed) -> tuple[Verification, int]:
    """Verify a copy, and build a read model of it; returns what was found, and how many tasks there are."""
    with _opened(place) as log:
        found = verify(log, progress=progressed)
        views = Views.open(place / VIEWS_FOLDER, log, projections=(Board(), Counting(), FlowBoard()))
        try:
            catch_up(views, log, progressed=progressed)
            tasks = Reader(log, views).counts().total
        finally:
            views.close()
            shutil.rmtree(place / VIEWS_FOLDER)
    # Nobody else can have it open. Where somebody could, to remove a lock would let two at the same pages.
    (place / LOG_FOLDER / stores.LOCK_NAME).unlink()
    return found, tasks


def _check_same(copy: Verification, ledger: Verification, target: Path) -> None:
    """Raise `Corrupt` when a copy has problems that the ledger has not: those of the ledger are copied with it."""
    known = {(problem.position, problem.kind) for problem in ledger.problems}
    for problem in copy.problems:
        if (problem.position, problem.kind) not in known:
            what = f"the copy in {target} is not as the ledger is: {problem.kind.value} at {problem.position}"
            raise Corrupt(f"{what}: {problem.detail}", position=problem.position)


def _noted(backup: Path) -> _Noted:
    path = backup / BACKUP_NAME
    allowed = 'a folder that "tally backup" made'
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=_Noted)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput("backup", str(backup), allowed) from error
    except UNREADABLE as error:
        raise Corrupt(f"{path} cannot be read: {error}") from error
    if noted.format > FORMAT:
        raise NewerFormat(str(path), found=noted.format, known=FORMAT)
    return noted


def _check_noted(found: Verification, noted: _Noted, place: Path) -> None:
    said = (found.head, found.root_hash.hex(), found.events, found.problem_count)
    if said == (noted.head, noted.root_hash, noted.events, noted.problems):
        return
    if found.problems and found.problem_count > noted.problems:
        first = found.problems[0]
        raise Corrupt(f"{place}: {first.kind.value} at {first.position}: {first.detail}", position=first.position)
    raise Corrupt(
        f"{place} has {found.head} events with the root hash {found.root_hash.hex()}; {BACKUP_NAME} says "
        f"{noted.head} with {noted.root_hash}"
    )


def _told(target: Path, noted: _Noted, tasks: int, size: int, began: float) -> Backup:
    return Backup(
        path=str(target.absolute()),
        made_at=noted.made_at,
        events=noted.events,
        head=noted.head,
        root_hash=bytes.fromhex(noted.root_hash),
        tasks=tasks,
        segments=noted.segments,
        bytes=size,
        seconds=round(time.monotonic() - began, 3),
        problems=noted.problems,
    )
