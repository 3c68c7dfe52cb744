"""The watched: what the supervisor has seen of tasks without an event, told beside the events for every process.

Light to import: whoever only reads loads this and not the supervisor.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from tallystick.ledger.store.port import EventLog

WATCHED_NOTE = b"watched"


class Unknown(Struct, frozen=True, array_like=True):
    """A probe that cannot tell of a task: since when (ms), which one it is, and what it says."""

    since: int
    probe: str
    detail: str | None = None


class Watched(Struct, frozen=True, array_like=True):
    """What is known of running tasks by looking at them, by the sixteen bytes of their ids.

    `alive` has those of which no event has told for a while, with when (ms) they were seen alive last; `unknown` those
    whose probes cannot tell.
    """

    alive: Mapping[bytes, int] = field(default_factory=dict)
    unknown: Mapping[bytes, Unknown] = field(default_factory=dict)


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Watched).decode


def note_of(watched: Watched) -> tuple[bytes, bytes]:
    """Return the note that tells it: its name and its value."""
    return WATCHED_NOTE, _pack(watched)


def watched(event_log: EventLog) -> Watched:
    """Return what the supervisor told last; nothing when it told nothing, or that cannot be read."""
    value = event_log.note(WATCHED_NOTE)
    if value is None:
        return Watched()
    try:
        return _read(value)
    except msgspec.MsgspecError:
        return Watched()
