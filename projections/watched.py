"""The watched: what the supervisor has seen of tasks without an event, told beside the events for every process.

It is spread over notes by the last byte of the tasks' ids, so that news of one task writes a few kilobytes at most.
Light to import: whoever only reads loads this and not the supervisor.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.store.port import EventLog

WATCHED_NOTE = b"watched"
"""Tells what is about all tasks. Earlier versions told in it all that they had seen."""

WATCHED_NOTES = 256


class Unknown(Struct, frozen=True, array_like=True):
    """A probe that cannot tell of a task: since when (ms), which one it is, and what it says."""

    since: int
    probe: str
    detail: str | None = None


class Watched(Struct, frozen=True):
    """What is known of running tasks by looking at them, by the sixteen bytes of their ids.

    `alive` has those of which no event has told for a while, with when (ms) they were seen alive last; `unknown` those
    whose probes cannot tell. `beyond_at` is when (ms) there were last more silent tasks alive than can be told of: what
    is not in `alive` may be alive all the same then. `is_in_one` says that an earlier version told some of it in one
    note.
    """

    alive: Mapping[bytes, int] = field(default_factory=dict)
    unknown: Mapping[bytes, Unknown] = field(default_factory=dict)
    beyond_at: int | None = None
    is_in_one: bool = False


class _Note(Struct, frozen=True, array_like=True):
    """What one note tells. The note about all tasks alone has the third; earlier versions left it out."""

    alive: Mapping[bytes, int] = field(default_factory=dict)
    unknown: Mapping[bytes, Unknown] = field(default_factory=dict)
    beyond_at: int | None = None


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(_Note).decode
_NO_NOTE = _Note()


def place_of(stream: bytes) -> int:
    """Return which of the notes tells of a task: the last byte of an id is as good as chance."""
    return stream[-1]


def note_of(place: int, alive: Mapping[bytes, int], unknown: Mapping[bytes, Unknown]) -> tuple[bytes, bytes]:
    """Return the note that tells of the tasks at a place: its name and its value."""
    return b"%s:%02x" % (WATCHED_NOTE, place), _pack(_Note(alive, unknown))


def note_of_all(beyond_at: int | None) -> tuple[bytes, bytes]:
    """Return the note about all tasks: its name and its value."""
    return WATCHED_NOTE, _pack(_Note(beyond_at=beyond_at))


def watched(event_log: EventLog) -> Watched:
    """Return what the supervisor has told, of all notes that can be read."""
    alive: dict[bytes, int] = {}
    unknown: dict[bytes, Unknown] = {}
    about_all = _NO_NOTE
    for name, value in event_log.notes(WATCHED_NOTE):  # the one about all comes first, and says least of one task
        told = _told(value)
        if name == WATCHED_NOTE:
            about_all = told
        for stream, at in told.alive.items():
            alive[stream] = max(at, alive.get(stream, at))
        unknown.update(told.unknown)
    return Watched(alive, unknown, about_all.beyond_at, bool(about_all.alive or about_all.unknown))


def _told(value: bytes) -> _Note:
    try:
        return _read(value)
    except UNREADABLE:
        return _NO_NOTE
