"""The pauses: which endpoints are paused, and why, told beside the events so that every process can see it.

Light to import: the commands that only read load this and not the courier.
"""

from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b

import msgspec
from msgspec import Struct

from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.outbox import endpoint_of
from tallystick.ledger.store.port import EventLog

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


def forgotten(facts: Iterable[Fact]) -> dict[bytes, bytes]:
    """Return the notes that say no more of the endpoints to which these messages went.

    For whoever erases them: an endpoint is named by an address, and its error is what a channel said of a message.
    """
    routes = (fact.route for fact in facts if isinstance(fact, DeliveryQueued) and fact.route is not None)
    return dict(note_of(endpoint_of(route), None) for route in routes)


def paused(event_log: EventLog) -> list[Standing]:
    """Return the endpoints that are paused, as their courier last told. What is unreadable is left out."""
    found: list[Standing] = []
    for _, value in event_log.notes(PAUSED_NOTE):
        if value != _OVER:
            with suppress(*UNREADABLE):
                found.append(_read(value))
    return found
