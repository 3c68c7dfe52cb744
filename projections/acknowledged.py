"""What is acknowledged: the damage that an operator knows of, told beside the events. An audit says no more of it.

It is about this very damage: where it gets worse, or another begins, that is news.
"""

from collections.abc import Iterable
from contextlib import suppress

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.port import EventLog
from tallystick.projections.quarantine import Quarantined

NOTE = b"quarantine:"
_POSITION_BYTES = 8


class Acknowledged(Struct, frozen=True, array_like=True):
    """Which damage somebody knows of, who said so, and when (ms)."""

    position: int
    last: int
    detail: str
    stream: bytes | None
    actor: str
    at: int


_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Acknowledged).decode


def note_of(damage: Quarantined, actor: str, at: int) -> tuple[bytes, bytes]:
    """Return the note that somebody knows of damage. One about the same place takes the place of the one before."""
    place = damage.stream or damage.position.to_bytes(_POSITION_BYTES)
    known = Acknowledged(damage.position, damage.last, damage.detail, damage.stream, actor, at)
    return NOTE + place, _pack(known)


def acknowledged(event_log: EventLog) -> list[Acknowledged]:
    """Return what somebody knows of. What is unreadable is left out: then the audit tells it again."""
    found: list[Acknowledged] = []
    for _, value in event_log.notes(NOTE):
        with suppress(*UNREADABLE):
            found.append(_read(value))
    return found


def news(damages: Iterable[Quarantined], known: Iterable[Acknowledged]) -> list[Quarantined]:
    """Return the damage of which nobody knows yet."""
    told = {(each.position, each.last, each.detail, each.stream) for each in known}
    return [each for each in damages if (each.position, each.last, each.detail, each.stream) not in told]


def token_of(damage: Quarantined) -> str:
    """Return what damage is called: by its task or flow, else by its place."""
    if damage.stream is not None:
        return id_text(damage.stream)
    return str(damage.position) if damage.last == damage.position else f"{damage.position}-{damage.last}"
