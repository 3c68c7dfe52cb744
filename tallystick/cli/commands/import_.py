"""`tally import`: an export made the same ledger again, or what OpenClaw recorded taken over."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tallystick.cli.answer import Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import PATH
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.times import now_ms, stamp
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.imports.rebuild import Rebuilt
    from tallystick.imports.taking import Taken
    from tallystick.sync import Ledger

_SHOWN = 20  # rows that were left out, for people; programs get all


@_command(
    "import",
    json="""{ok, from: "ndjson", path, events, rootHash, exportedAt, seconds}
    {ok, from: "openclaw", dryRun, tasks: {imported, known, over}, flows: {imported, known, mirrored}, deliveries,
    updated, quarantined: [{table, row, field, value, why}], seconds}""",
    help="""FILE is what "tally export --format ndjson" wrote of a whole ledger, compressed or not; or OpenClaw's state
    database, "openclaw.sqlite", which may be in use.

    An export becomes the very same log, to the byte, with the root hash that it says; in a ledger that has no events,
    or is not there yet. The file is held to what it says of itself before anything is written. Whoever opens the ledger
    then sends what it had to send.

    What OpenClaw recorded becomes tasks and flows beside those that are there, with the times that it reported; nobody
    is told of it. A row that contradicts itself, or what is known, is left out and listed. To import the same again
    adds nothing, a newer state adds what is new. It goes to the live owner of the ledger; without one this command acts
    itself.""",
)
@click.argument("file", type=PATH)
@click.option("--dry-run", is_flag=True, help="Say what it would do; write nothing.")
def command(call: Call, *, file: Path, dry_run: bool) -> Answer:
    """Import a file."""
    from tallystick.imports.database import is_database

    return _openclaw(call, file, dry_run) if is_database(file) else _export(call, file, dry_run)


# An export.


def _export(call: Call, file: Path, dry_run: bool) -> Answer:
    from tallystick.imports.rebuild import checked, rebuild

    with bar("Importing") as told:
        made = checked(file, call.folder, told=told) if dry_run else rebuild(file, call.folder, now=now_ms(), told=told)
    data = {
        "ok": True,
        "from": "ndjson",
        **present(dryRun=dry_run or None),
        "path": made.path,
        "events": made.events,
        "rootHash": made.root_hash.hex(),
        "exportedAt": made.exported_at,
        "seconds": made.seconds,
    }
    return Answer(data, lambda screen: _export_lines(screen, made, dry_run=dry_run))


def _export_lines(screen: Screen, made: "Rebuilt", *, dry_run: bool) -> Iterator[str]:
    yield f"{'checked for' if dry_run else 'imported to'}  {plain(made.path)}"
    yield f"events       {made.events:,}, exported {stamp(made.exported_at)}"
    yield f"root hash    {made.root_hash.hex()}"
    yield f"took         {made.seconds:.2f} s"
    if dry_run:
        yield "It can be imported. Nothing was written."
    else:
        yield screen.colour("The log is the one that the file has.", "green")
        yield screen.dim(
            '"tally verify --checkpoint FILE --key VKEY" says whether that goes on from what somebody kept.'
        )


# OpenClaw.


def _openclaw(call: Call, file: Path, dry_run: bool) -> Answer:
    settings = call.settings
    if dry_run:
        with _reading(call) as ledger, bar("Looking") as told:
            taken = ledger.import_openclaw(file, dry_run=True, told=told)
    else:
        from tallystick.joining import join

        with impatient(call.folder), join(call.folder, config=settings) as ledger, bar("Importing") as told:
            taken = ledger.import_openclaw(file, told=told)
    return Answer(as_data(taken), lambda screen: _taken_lines(screen, taken))


def _reading(call: Call) -> "Ledger":
    """Return the ledger to be read, or an empty one while nobody has made it."""
    from tallystick.readings import LOG_FOLDER

    if (call.folder / LOG_FOLDER).is_dir():
        from tallystick.opening import open as opened

        return opened(call.folder, config=call.settings, read_only=True)
    from tallystick.testing import memory_ledger

    return memory_ledger(clock=now_ms)


def as_data(taken: "Taken") -> dict[str, Any]:
    """Return an import of OpenClaw's database as JSON says it."""
    return {
        "ok": True,
        "from": "openclaw",
        **present(dryRun=taken.dry_run or None),
        "tasks": {"imported": taken.tasks, "known": taken.known_tasks, "over": taken.over},
        "flows": {"imported": taken.flows, "known": taken.known_flows, "mirrored": taken.mirrors},
        "deliveries": taken.deliveries,
        "updated": taken.updated,
        "quarantined": msgspec.to_builtins(taken.quarantined),
        "seconds": taken.seconds,
    }


def _taken_lines(screen: Screen, taken: "Taken") -> Iterator[str]:
    known = f", {taken.known_tasks:,} known already" if taken.known_tasks else ""
    yield f"tasks        {taken.tasks:,}{known}"
    known = f", {taken.known_flows:,} known already" if taken.known_flows else ""
    yield f"flows        {taken.flows:,}{known}, {taken.mirrors:,} that only follow tasks"
    yield f"deliveries   {taken.deliveries:,}"
    if taken.updated:
        yield f"updated      {taken.updated:,} that were imported before"
    yield f"took         {taken.seconds:.2f} s"
    if taken.over:
        yield f"The retention of {taken.over:,} is over: upkeep will remove them from the lists; the log keeps them."
    if taken.quarantined:
        noun = "row was" if len(taken.quarantined) == 1 else "rows were"
        yield screen.colour(f"{len(taken.quarantined):,} {noun} left out:", "yellow")
        for row in taken.quarantined[:_SHOWN]:
            yield plain(f"  {row.table} {row.row}: {row.field} {row.value or '(blank)'}: {row.why}")
        if len(taken.quarantined) > _SHOWN:
            yield f"  and {len(taken.quarantined) - _SHOWN:,} more; --json names all"
    if taken.dry_run:
        yield "Nothing was written."
