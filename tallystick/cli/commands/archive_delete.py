"""`tally archive delete`: the oldest segments of the archive go for good; their hashes stay."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import command as _command
from tallystick.cli.commands.archive_list import segment_table, shown_data
from tallystick.cli.menu import ARCHIVE
from tallystick.cli.screen import Screen
from tallystick.cli.times import moment, now_ms
from tallystick.ledger.errors import InvalidInput

if TYPE_CHECKING:
    from tallystick.archives import Archived

POSITION_DIGITS_MAX = 19  # of any position that there can be
WHEN_ALLOWED = "--before or --expired; one of them"
FOREVER_ALLOWED = 'a duration as archive in [retention], such as archive = "730d": "forever" never expires'


@_command(
    "delete",
    menu=ARCHIVE,
    json="{count, events, bytes, segments: [segment]}, each segment as `archive list` has it",
    help="""Deletes the segments that lie wholly before a position or a moment, the oldest first, for good. The hashes
    of their records stay, so that "tally verify" recomputes the same root as before. A segment with an event of a task
    or flow that is not pruned is refused, and then none is deleted.

    WHEN is a position, or a moment: "2026-09-21", or a duration before now, such as "730d". --expired means what
    archive in [retention] says. Nothing ever deletes archives by itself.""",
)
@click.option("--before", metavar="WHEN", help="What lies before this position or moment.")
@click.option("--expired", is_flag=True, help="What is older than archive in [retention].")
@click.option("--reason", required=True, metavar="R", help="Why; it is kept, with who and when.")
def command(call: Call, *, before: str | None, expired: bool, reason: str) -> Answer:
    """Delete the oldest segments of the archive."""
    position, at = _when(call, before, expired=expired)
    settings, folder = call.settings, call.require()

    from tallystick.joining import join

    with impatient(folder), join(folder, config=settings) as ledger:
        deleted = ledger.delete_archives(before=position, recorded_before=at, reason=reason)
    data = {
        "count": len(deleted),
        "events": sum(segment.events for segment in deleted),
        "bytes": sum(segment.bytes for segment in deleted),
        "segments": [shown_data(segment) for segment in deleted],
    }
    return Answer(data, lambda screen: _lines(screen, deleted))


def _when(call: Call, before: str | None, *, expired: bool) -> tuple[int | None, int | None]:
    """Return the position or the moment before which segments go. Raises `InvalidInput`."""
    if (before is None) != expired:
        raise InvalidInput("before", before, WHEN_ALLOWED)
    if before is None:
        kept_ms = call.settings.retention["archive"]
        if kept_ms is None:
            raise InvalidInput("retention.archive", "forever", FOREVER_ALLOWED)
        return None, max(now_ms() - kept_ms, 0)
    text = before.strip()
    if text.isascii() and text.isdecimal():
        if len(text) > POSITION_DIGITS_MAX:
            raise InvalidInput("before", f"a number of {len(text)} digits", WHEN_ALLOWED)
        return int(text), None
    return None, moment("before", text, now_ms())


def _lines(screen: Screen, deleted: "tuple[Archived, ...]") -> Iterator[str]:
    if not deleted:
        yield "No segment lies wholly before it. Nothing was deleted."
        return
    noun = "segment" if len(deleted) == 1 else "segments"
    yield f"Deleted {len(deleted):,} {noun} with {sum(segment.events for segment in deleted):,} events."
    yield ""
    yield from segment_table(screen, deleted)
    yield ""
    yield screen.dim("The hashes of the records stay: tally verify recomputes the same root.")
