"""The bytes of every record: no other file encodes or decodes one.

A record is MessagePack: an array of position, stream, version, occurred at, recorded at, actor, and the fact as a map
that has its name on disk under "type". What is stored is never rewritten: facts of older names are lifted on the way
in, one step at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.events import BY_NAME, Event
from tallystick.ledger.ids import ID_BYTES
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


class _Stamps(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The begin of a record; what follows is left unread, which takes half the time."""

    position: int
    stream: bytes
    version: int
    occurred_at: int
    recorded_at: int


_unpack_stamps = msgspec.msgpack.Decoder(_Stamps).decode
_BEFORE_STREAM = b"\xc4\x10"  # what comes before sixteen bytes


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
    events = read_events(first, bodies)
    if events is not None:
        return events
    return [read_body(position, body, lifts) for position, body in enumerate(bodies, first)]


def read_events(first: int, bodies: Sequence[Body]) -> list[Event] | None:
    """Return the events that are stored from the position `first` on; None unless all are there and of this version."""
    try:
        events = list(map(_unpack, bodies))  # type: ignore[arg-type] # what are no bytes is an exception like any other
    except Exception:  # noqa: BLE001
        return None
    if [event.position for event in events] == list(range(first, first + len(bodies))):
        return events
    return None


def first_after(first: int, bodies: Sequence[Body], at: int) -> int | None:
    """Return the position of the first event from `first` on that was recorded after a moment (ms); None for none."""
    for position, body in enumerate(bodies, first):
        recorded_at = _recorded_at(body)
        if recorded_at is not None and recorded_at > at and isinstance(read_body(position, body), Event):
            return position
    return None


def _recorded_at(body: Body) -> int | None:
    try:
        return _unpack_stamps(body).recorded_at  # type: ignore[arg-type] # what is no bytes is an exception
    except Exception:  # noqa: BLE001 - like any other: who reads the whole record hears of it
        return None


def read_share(first: int, bodies: Sequence[Body], number: int, shares: int) -> list[Stored]:
    """Return what is stored from `first` on of the tasks and flows that are in one of several shares.

    The last byte of an id says in which. Where there are no bytes, the first share has what is said of it. The others
    are told apart without being decoded; so a record that nobody here has encoded may come in another share than it
    belongs to, but never in none.
    """
    found: list[Stored] = []
    for start, end in _even(first, first + len(bodies) - 1):
        place = len(_pack(start)) + len(_BEFORE_STREAM) + ID_BYTES  # behind the first byte, which begins the array
        some = bodies[start - first : end - first + 1]
        try:
            chosen = [at for at, body in enumerate(some, start) if body[place] % shares == number]  # type: ignore[index]
        except (IndexError, TypeError):
            chosen = [at for at, body in enumerate(some, start) if _share(body, place, shares) == number]
        found.extend(_read_at(chosen, [bodies[at - first] for at in chosen]))
    return found


def _read_at(positions: Sequence[int], bodies: Sequence[Body]) -> Sequence[Stored]:
    """What is stored at these positions: all at once, or each for itself when one of them is not as it should be."""
    try:
        events = list(map(_unpack, bodies))  # type: ignore[arg-type] # what are no bytes is an exception like any other
    except Exception:  # noqa: BLE001
        events = []
    if [event.position for event in events] == positions:
        return events
    return [read_body(position, body) for position, body in zip(positions, bodies, strict=True)]


def share_of(stream: bytes, shares: int) -> int:
    """Return in which share a task or a flow is."""
    return stream[-1] % shares


def _share(body: Body, place: int, shares: int) -> int:
    return body[place] % shares if isinstance(body, bytes) and len(body) > place else 0


def _even(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of positions whose numbers take as many bytes each."""
    for most in (0x7F, 0xFF, 0xFFFF, 0xFFFF_FFFF, 2**64 - 1):
        if first <= min(last, most):
            yield first, min(last, most)
            first = min(last, most) + 1


def read_body(position: int, body: Body, lifts: Lifts = LIFTS) -> Stored:
    """Return what is stored at a position, whether there are bytes or not."""
    if isinstance(body, bytes):
        return read_record(position, body, lifts)
    return Damaged(position, MISSING) if body is None else body.stored(position)


def read_of_stream(stream: bytes, position: int, body: Body) -> Stored:
    """Return the record that the index says is the stream's."""
    record = read_body(position, body)
    if isinstance(record, Event) and record.stream != stream:
        return Damaged(position, f"the record says that it belongs to {record.task_id}")
    return record


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
