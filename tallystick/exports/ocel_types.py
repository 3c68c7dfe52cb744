"""OCEL types: which kinds of events and objects an object-centric log has, and which attributes these have. Pure.

Everything is declared, whether a log has any of it or not: what is declared depends on the version alone.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from tallystick.exports.activities import DAMAGED, DELETED, activities_of
from tallystick.exports.values import ERASED, fields_of
from tallystick.ledger.events import FACT_TYPES

Of: TypeAlias = Literal["task", "flow", "session", "agent", "message"]

TASK: Of = "task"
FLOW: Of = "flow"
SESSION: Of = "session"
AGENT: Of = "agent"
MESSAGE: Of = "message"

STATUS = "status"
"""The attribute that changes with time."""


class Declared(Struct, frozen=True):
    """An attribute: its name, and what its values are."""

    name: str
    type: str


class Type(Struct, frozen=True):
    """A type of events or objects."""

    name: str
    attributes: tuple[Declared, ...]


_EVERY_RECORD = (Declared("position", "integer"),)
_EVERY_FACT = (
    *_EVERY_RECORD,
    Declared("version", "integer"),
    Declared("fact", "string"),
    Declared("occurredAt", "time"),
    Declared("recordedAt", "time"),
    Declared("actor", "string"),
)
_OF_OBJECTS: dict[Of, tuple[str, ...]] = {
    TASK: (
        *("runtime", "scope", "task", "label", "kind", "sourceId", "runId", "parent", "root", "metadata"),
        *(STATUS, "deliveryStatus", "notifyPolicy", ERASED.name),
    ),
    FLOW: ("mode", "goal", "controller", STATUS, "step", ERASED.name),
    SESSION: ("name",),
    AGENT: ("name",),
    MESSAGE: ("name", "kind", "text", "channel", STATUS),
}


def object_types() -> tuple[Type, ...]:
    """Return the types of objects. All of their attributes are texts."""
    return tuple(
        Type(of, tuple(Declared(name, "string") for name in attributes)) for of, attributes in _OF_OBJECTS.items()
    )


def event_types() -> tuple[Type, ...]:
    """Return the types of events: one for each activity."""
    return tuple(_event_types())


def _event_types() -> Iterator[Type]:
    for kind in FACT_TYPES:
        said = (Declared(field.name, field.kind) for field in (*fields_of(kind), ERASED))
        attributes = (*_EVERY_FACT, *said)
        for activity in activities_of(kind):
            yield Type(activity, attributes)
    for gap in (DAMAGED, DELETED):
        yield Type(gap, (*_EVERY_RECORD, Declared("detail", "string")))
