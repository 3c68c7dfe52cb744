"""The check-up: one look at one thing about a ledger or its place, and what to do when it is not as it should be."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallystick.cli.channel import channel_findings
from tallystick.cli.finding import Finding, Level
from tallystick.cli.messages import NOBODY_SENDS, are_left_waiting, pause_words
from tallystick.cli.place import place_findings
from tallystick.cli.sealed import checkpoint_findings
from tallystick.cli.stores import DAMAGED, NEWER, store_findings
from tallystick.cli.times import now_ms
from tallystick.config import load, spelled
from tallystick.ledger.errors import Corrupt, NewerFormat, TallystickError
from tallystick.ledger.events import Event
from tallystick.ledger.store.port import Damaged, Deleted
from tallystick.owner import is_stopped, live_owner
from tallystick.plain import plain
from tallystick.readings import LedgerStatus, ProjectionStanding, Readings, due_rules

if TYPE_CHECKING:
    from tallystick.cli.call import Call

LAG_LONG = 10_000  # events that every command that reads has to fold anew
RECORDS_LOOKED_AT = 1_000
CLOCK_AHEAD_MS = 60_000  # which no two machines that keep time differ by


def check_up(call: "Call") -> list[Finding]:
    """Look at everything, and go on whatever is found."""
    folder = call.folder
    found = [*place_findings(folder), *_configuration(call), *_versions()]
    try:
        with call.readings() as readings:
            found.extend(_inside(readings, folder, call.config))
    except Corrupt as error:
        found.append(Finding("store", Level.DAMAGED, str(error), DAMAGED))
    except NewerFormat as error:
        found.append(Finding("store", Level.BAD, str(error), NEWER))
    except (TallystickError, OSError) as error:
        found.append(Finding("store", Level.BAD, str(error), "read what it says: it names what to do"))
    return found


def worst(found: list[Finding]) -> Level:
    """Return the worst level of all."""
    return max((finding.level for finding in found), key=list(Level).index, default=Level.OK)


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
        for section in ("grace", "retention", "archive")
        for name, value in values[section].items()
    }
    spans["actors.live"] = str(settings.actors.live)
    yield Finding("configuration", Level.OK, ", ".join(f"{name} = {value}" for name, value in spans.items()))
    yield from channel_findings(call)


def _versions() -> Iterator[Finding]:
    import platform
    from importlib.metadata import version

    import lmdb

    engine = ".".join(map(str, lmdb.version()[:3]))
    said = f"tallystick {version('tallystick')}, Python {platform.python_version()}, LMDB {engine}"
    yield Finding(
        "versions", Level.OK, f"{said} (binding {lmdb.__version__}), {platform.system()} {platform.machine()}"
    )


# The inside.


def _inside(readings: Readings, folder: Path, config: Path | None) -> Iterator[Finding]:
    yield _owner(folder)
    yield from _newest_records(readings)
    yield from _clock(readings)
    yield from store_findings(readings, folder)
    with suppress(TallystickError):  # which is a finding already
        yield from checkpoint_findings(load(folder, config, channels=False).integrity, readings, folder)
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
    found = (stored for stored in readings.log.read(after=first) if isinstance(stored, Damaged))
    damaged = [stored for stored in found if not isinstance(stored, Deleted)]
    if damaged:
        detail = f"position {damaged[0].position} cannot be read: {damaged[0].detail}"
        yield Finding("log", Level.DAMAGED, plain(detail), 'run "tally verify" for all of it')
    else:
        yield Finding("log", Level.OK, f"{head:,} events, the newest {head - first:,} can be read")


def _clock(readings: Readings) -> Iterator[Finding]:
    """What was recorded later than it is now: retention, graces and deadlines wait until then."""
    head = readings.log.head()
    newest = [stored for stored in readings.log.read(after=max(head - 1, 0)) if isinstance(stored, Event)]
    ahead_ms = newest[0].recorded_at - now_ms() if newest else 0
    if ahead_ms > CLOCK_AHEAD_MS:
        said = f"the newest event was recorded {spelled(ahead_ms)} later than it is now"
        yield Finding("clock", Level.WARN, said, "set the clock of this machine right, and have it kept so")
    else:
        yield Finding("clock", Level.OK, "no event was recorded later than it is now")


def _projections(status: LedgerStatus) -> Iterator[Finding]:
    if not status.projections:
        yield Finding("projections", Level.WARN, "none that can be read", 'run "tally projections rebuild"')
    yield from map(lag_finding, status.projections)


def lag_finding(standing: ProjectionStanding) -> Finding:
    """Return how far a read model is behind, and whether that makes answers slow."""
    said = f"{standing.lag:,} events behind"
    if standing.lag > LAG_LONG:
        remedy = f'the owner catches up; if it stays so, run "tally projections rebuild {standing.name}"'
        return Finding(standing.name, Level.WARN, said, remedy)
    return Finding(standing.name, Level.OK, said)


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
