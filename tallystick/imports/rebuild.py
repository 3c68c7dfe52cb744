"""Rebuilding: the log of an export made anew, in a ledger that has no events."""

import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tallystick.exports.source import Told, nobody
from tallystick.imports.exported import ExportFile, unfit
from tallystick.ledger.claims import claims_given_in, claims_left_in
from tallystick.ledger.errors import InvalidInput, NotOwner, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.guard import guards_of
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.folder import make_folder, remove_folder
from tallystick.ledger.store.restoring import restore
from tallystick.owner import OwnerLock, live_owner, owner_in_words, this_process
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings
from tallystick.unfinished import Unfinished

_EMPTY = 'the folder of a ledger without events, or none yet: name another one with "--ledger"'


class Rebuilt(Struct, frozen=True, kw_only=True):
    """A log that was made of an export: the same positions, the same bytes, the same root."""

    path: str
    events: int
    root_hash: bytes
    exported_at: int
    seconds: float


def rebuild(file: Path, ledger: Path, *, now: int, told: Told = nobody) -> Rebuilt:
    """Make the log of an export that of a ledger, which is made if it is not there; durable on return.

    The file is read twice: once to hold it to what it says of itself, once to write. Nothing is written before the
    first is done, and the log is there as a whole or not at all, whoever is killed when.
    Raises `InvalidInput` when the ledger has events, or the file is not as it was written; `NotOwner` when a process
    owns the ledger; `NewerFormat`, `Full`.
    """
    began = time.monotonic()
    _check_empty(ledger)
    export = ExportFile.open(file)
    export.verify(lambda done, total: told(done, 2 * total))
    Readings.prepare(ledger)
    lock = OwnerLock.take_over(ledger, this_process(now, transient=True))
    try:
        _check_empty(ledger)
        place = ledger / LOG_FOLDER
        if place.exists():  # an empty folder can be replaced in one step, and whoever opens it finds an empty log
            remove_folder(place)
            make_folder(place)
        with Unfinished(place) as unfinished:
            _write(export, unfinished.path, lambda done, total: told(done + total, 2 * total))
            remove_folder(ledger / VIEWS_FOLDER)  # whatever they were folded from
            unfinished.finish()
    except WrongVersion as error:
        raise unfit(file, "an export whose events follow each other", str(error)) from error
    finally:
        lock.release()
    return _rebuilt(export, ledger, began)


def checked(file: Path, ledger: Path, *, told: Told = nobody) -> Rebuilt:
    """Return what `rebuild` would make, and write nothing. Raises as that does for the file, and for the ledger."""
    began = time.monotonic()
    _check_empty(ledger)
    owner = live_owner(ledger)
    if owner is not None and not owner.transient:
        raise NotOwner(str(ledger), who=owner_in_words(owner))
    export = ExportFile.open(file)
    export.verify(told)
    return _rebuilt(export, ledger, began)


def _rebuilt(export: ExportFile, ledger: Path, began: float) -> Rebuilt:
    root = export.header.root_hash
    assert root is not None, "what has none is not rebuilt"
    return Rebuilt(
        path=str(ledger.absolute()),
        events=export.header.size,
        root_hash=root,
        exported_at=export.header.made_at,
        seconds=round(time.monotonic() - began, 3),
    )


def _check_empty(ledger: Path) -> None:
    place = ledger / LOG_FOLDER
    if not place.is_dir() or not any(place.iterdir()):
        return
    log = DiskLog.open(place, readonly=True)
    try:
        head = log.head()
    finally:
        log.close()
    if head:
        noun = "event" if head == 1 else "events"
        raise InvalidInput("ledger", str(ledger), f"{_EMPTY} (this one has {head:,} {noun})")


def _write(export: ExportFile, place: Path, told: Told) -> None:
    """Write the records, and what is known by them: who has which run, which key, which request."""
    with DiskLog.open(place) as log:
        for some in export.slices(told):
            restore(log, some.bodies, _claims, some.payloads)
        head = log.tree_head()
    if (head.size, head.root_hash) != (export.header.size, export.header.root_hash):
        raise unfit(export.path, "a file that nobody changes while it is imported", "it has changed")


def _claims(events: Sequence[Event]) -> dict[bytes, bytes]:
    """What is claimed by events: runs, keys, requests for generations. Who came later has what it took over."""
    claims: dict[bytes, bytes] = {}
    for event in events:
        claims.update(dict.fromkeys(_claimed_in(event.data), event.stream))
    return claims


def _claimed_in(fact: Fact) -> tuple[bytes, ...]:
    """What a fact claims, as far as it still says so: whose texts were erased, of that nobody can find these again."""
    if not isinstance(fact, TaskCreated):
        return claims_given_in(fact)
    guards = () if "task" in lacking(fact) else guards_of(fact)
    return (*claims_left_in(fact), *guards)
