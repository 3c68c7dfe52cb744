"""The pauses: which endpoints are paused, and why, told beside the events so that every process can see it.

Light to import: the commands that only read load this and not the courier.
"""

from contextlib import suppress
from hashlib import blake2b

import msgspec
from msgspec import Struct

from tallystick.ledger.store.port import EventLog
from tallystick.ledger.unreadable import UNREADABLE

PAUSED_NOTE = b"paused:"
_DIGEST_BYTES = 8
_OVER = b""


class Standing(Struct, frozen=True):
    """How an endpoint does: since when it is paused, until when (ms), after how many failures in a row, and why."""

    name: str
    failures: int
    since: int
    until: int
    error: str


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Standing).decode


def note_of(name: str, standing: Standing | None) -> tuple[bytes, bytes]:
    """Return the note of how the endpoint of this name does; None when it is not paused."""
    key = PAUSED_NOTE + blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()
    return key, _OVER if standing is None else _pack(standing)


def paused(event_log: EventLog) -> list[Standing]:
    """Return the endpoints that are paused, as their courier last told. What is unreadable is left out."""
    found: list[Standing] = []
    for _, value in event_log.notes(PAUSED_NOTE):
        if value != _OVER:
            with suppress(*UNREADABLE):
                found.append(_read(value))
    return found
