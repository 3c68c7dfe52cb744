"""The absent: what of an event was kept beside the log and is not here, and which event erased it. Pure.

What no event that is here erased was erased later, or somebody left it out: the record names it all the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from tallystick.exports.values import fields_of
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.port import Stored


class Absent(Struct, frozen=True):
    """Fields of an event that are not here, and the event that erased them; None when that is not here, either."""

    fields: tuple[str, ...]
    erasure: Event | None


def absent_of(events: Sequence[Event]) -> Mapping[int, Absent]:
    """Return what of the events of one task or flow is not here, by position; those that are whole are left out."""
    found: dict[int, Absent] = {}
    erasure: Event | None = None
    for event in reversed(events):
        if fields := lacking(event.data):
            found[event.position] = Absent(fields, erasure)
        if event.data.__class__ in ERASURES:
            erasure = event
    return found


def streams_of(records: Iterable[Stored]) -> Mapping[bytes, list[Event]]:
    """Return the events among some records, by the task or flow that they are of."""
    found: dict[bytes, list[Event]] = {}
    for record in records:
        if isinstance(record, Event):
            found.setdefault(record.stream, []).append(record)
    return found


def on_disk(fact: Fact, fields: Iterable[str]) -> Iterator[str]:
    """Yield the names that JSON has for some fields of a fact."""
    names = {field.attribute: field.name for field in fields_of(fact.__class__)}
    return (names[field] for field in fields)
