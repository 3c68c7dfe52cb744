"""`tally archive list`: the segments of the archive, and what became of each."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.menu import ARCHIVE
from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table
from tallystick.cli.times import stamp
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.archives import Archived

_KB = 1_000


@_command(
    "list",
    menu=ARCHIVE,
    json="""{count, events, bytes, segments: [{first, last, file, bytes, sha256, rootHash, recordedFirst, recordedLast,
    state, deletedAt, deletedBy, reason}]}, the oldest first; count, events and bytes are of those that are kept""",
    help="""A segment has the events from one position to another, as one compressed file that every command reads as if
    it were still in the log. Of a deleted one the hashes are left, and who deleted it, when and why.""",
)
def command(call: Call) -> Answer:
    """List the segments of the archive."""
    from tallystick.archives import archives

    with call.readings(or_none_yet=True) as readings:
        segments = archives(readings.log)
    kept = [segment for segment in segments if not segment.is_deleted]
    data = {
        "count": len(kept),
        "events": sum(segment.events for segment in kept),
        "bytes": sum(segment.bytes for segment in kept),
        "segments": [shown_data(segment) for segment in segments],
    }
    return Answer(data, lambda screen: _lines(screen, segments))


def shown_data(segment: "Archived") -> dict[str, object]:
    """Return a segment as JSON has it."""
    return {name: value for name, value in msgspec.to_builtins(segment).items() if value is not None}


def segment_table(screen: Screen, segments: "Sequence[Archived]") -> Iterator[str]:
    """Yield segments as a table."""
    columns = [
        Column("First", [f"{segment.first:,}" for segment in segments], 15, right=True),
        Column("Last", [f"{segment.last:,}" for segment in segments], 15, right=True),
        Column("Recorded until", [stamp(segment.recorded_last) for segment in segments], 24),
        Column("kB", [f"{segment.bytes / _KB:,.0f}" for segment in segments], 12, right=True),
        Column("State", [_state(segment) for segment in segments], 200),
    ]
    yield from table(screen, columns)


def _state(segment: "Archived") -> str:
    if not segment.is_deleted:
        return segment.state.value
    at = "" if segment.deleted_at is None else f" at {stamp(segment.deleted_at)}"
    return plain(f"{segment.state.value}{at} by {segment.deleted_by}: {segment.reason}")


def _lines(screen: Screen, segments: "Sequence[Archived]") -> Iterator[str]:
    if not segments:
        yield "Nothing is archived yet. The owner of the ledger moves whole segments there when they are old enough:"
        yield "[archive] after in the configuration says how old."
        return
    kept = [segment for segment in segments if not segment.is_deleted]
    events, size = sum(segment.events for segment in kept), sum(segment.bytes for segment in kept)
    noun = "segment" if len(kept) == 1 else "segments"
    yield f"{len(kept):,} {noun} with {events:,} events in {size / _KB:,.0f} kB"
    yield ""
    yield from segment_table(screen, segments)
