"""The bytes of every record: no other file encodes or decodes one.

A record is MessagePack: an array of position, stream, version, occurred at, recorded at, actor, and the fact as a map
that has its name on disk under "type". What is stored is never rewritten: facts of older names are lifted on the way
in, one step at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.events import BY_NAME, Event
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.store.port import Body, Damaged, Stored

Raw: TypeAlias = dict[str, Any]
"""A fact as it is stored: its fields by name, without its type."""

Lifts: TypeAlias = Mapping[str, tuple[str, Callable[[Raw], Raw]]]
"""From an older name on disk to the next one, and how the fields change on the way."""

LIFTS: Lifts = {}

MISSING = "there is no record"
"""What is said of a position that has none."""

DETAIL_CHARACTERS_MAX = 200  # of what a decoder says about bytes that may be anything
_FACT = 6  # where the fact stands in the array

_pack = msgspec.msgpack.Encoder().encode

_unpack = msgspec.msgpack.Decoder(Event).decode


def encode(event: Event) -> bytes:
    """Return the bytes to store: the leaf of the tree, kept for ever.

    Raises `InvalidInput` when they are more than a record may have, or when no bytes can say it.
    """
    try:
        body = _pack(event)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidInput("event", event, f"what a record can hold ({error})") from error
    if len(body) > RECORD_BYTES_MAX:
        raise InvalidInput("record", f"{len(body)} bytes", f"an event of at most {RECORD_BYTES_MAX} bytes")
    return body


def encode_all(events: Sequence[Event]) -> list[bytes]:
    """Return the bytes of every event: `encode` for a batch, without the calls."""
    try:
        bodies = list(map(_pack, events))
    except (OverflowError, TypeError, ValueError):
        return [encode(event) for event in events]
    if max(map(len, bodies), default=0) > RECORD_BYTES_MAX:
        return [encode(event) for event in events]
    return bodies


def decode(body: bytes, lifts: Lifts = LIFTS) -> Event:
    """Return the event that has these bytes, lifted if they are of an older version.

    Raises `Corrupt` for whatever else they are.
    """
    # The bytes may be anything, and so may be what a decoder says of them, or a lift of what it does not expect.
    try:
        return _unpack(body)
    except Exception as error:  # noqa: BLE001
        reason = error
    try:
        stored = msgspec.msgpack.decode(body)
        fact = dict(stored[_FACT])
        name = fact.pop("type")
        known = name in lifts
    except Exception:  # noqa: BLE001
        known = False
    if not known:
        raise Corrupt(_detail(reason)) from reason
    try:
        while name in lifts:
            name, lift = lifts[name]
            fact = lift(fact)
        stored[_FACT] = {"type": name, **fact}
        return msgspec.convert(stored, Event, builtin_types=(bytes,))
    except Exception as error:
        raise Corrupt(_detail(error)) from error


def _detail(error: Exception) -> str:
    return str(error)[:DETAIL_CHARACTERS_MAX] or type(error).__name__


def read_record(position: int, body: bytes, lifts: Lifts = LIFTS) -> Event | Damaged:
    """Return the event that is stored at a position, or what is wrong with the bytes there; never raise."""
    try:
        event = decode(body, lifts)
    except Corrupt as error:
        return Damaged(position, error.detail)
    if event.position != position:
        return Damaged(position, f"the record says that it stands at {event.position}")
    return event


def read_records(first: int, bodies: Sequence[Body], lifts: Lifts = LIFTS) -> Sequence[Stored]:
    """Return what is stored from the position `first` on; where nothing is, or can be had, reads as damaged too."""
    try:
        events = list(map(_unpack, bodies))  # type: ignore[arg-type] # what are no bytes is an exception like any other
    except Exception:  # noqa: BLE001
        events = []
    if [event.position for event in events] == list(range(first, first + len(bodies))):
        return events
    return [read_body(position, body, lifts) for position, body in enumerate(bodies, first)]


def read_body(position: int, body: Body, lifts: Lifts = LIFTS) -> Stored:
    """Return what is stored at a position, whether there are bytes or not."""
    if isinstance(body, bytes):
        return read_record(position, body, lifts)
    return Damaged(position, MISSING) if body is None else body.stored(position)


def check_lifts(lifts: Lifts) -> None:
    """Raise `ValueError` unless every lift ends at a name that is known, and none replaces a known one."""
    for start in lifts:
        if start in BY_NAME:
            raise ValueError(f"{start} is known as it is and must not be lifted")
        name, steps = start, 0
        while name in lifts:
            name, steps = lifts[name][0], steps + 1
            if steps > len(lifts):
                raise ValueError(f"the lifts of {start} form a cycle")
        if name not in BY_NAME:
            raise ValueError(f"the lifts of {start} end at {name}, which nobody knows")


check_lifts(LIFTS)
