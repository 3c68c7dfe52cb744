"""Events for the tests of the log: any fact that a class allows, and batches that follow each other."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import count
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import FACT_TYPES, VERSION_MAX, AnyFact, Event
from tallystick.ledger.facts.fact import Fact, Origin
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.limits import SALT_BYTES, TIME_MS_MAX
from tallystick.ledger.payloads import Payloads, Policy, put_aside

EVERYTHING = Policy(everything=True)
AT_MS = 1_790_000_000_000

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Every value that a field of a fact may have, whether it makes sense or not."""
    arguments = get_args(kind)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return st.one_of([values(argument) for argument in arguments])
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if kind is Origin:
        return structs(Origin)
    known: dict[type, st.SearchStrategy[Any]] = {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False),
        str: st.text(max_size=20),
        object: _ANYTHING,
    }
    return known[kind]


def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Structs of a class with every field drawn; those that have a default often keep it."""
    hints = get_type_hints(kind)
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        if field.name == "aside":
            continue  # what is put aside is somewhere, and its digest is no chance
        (required if field.required else optional)[field.name] = values(hints[field.name])
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))


def facts(kind: type[Fact] | None = None) -> st.SearchStrategy[Any]:
    """Facts of one class, or of all."""
    return structs(kind) if kind else st.one_of([structs(kind) for kind in FACT_TYPES])


def events(data: st.SearchStrategy[AnyFact] | None = None) -> st.SearchStrategy[Event]:
    """Events anywhere in any log."""
    return st.builds(
        Event,
        position=st.integers(1, 2**63 - 1),
        stream=st.binary(min_size=ID_BYTES, max_size=ID_BYTES),
        version=st.integers(1, VERSION_MAX),
        occurred_at=st.integers(0, TIME_MS_MAX),
        recorded_at=st.integers(0, TIME_MS_MAX),
        actor=st.text(max_size=8),
        data=facts() if data is None else data,
    )


def stream_id(number: int) -> bytes:
    """The id of one of the streams that tests write to."""
    return number.to_bytes(ID_BYTES)


def event(position: int, stream: int = 1, version: int = 1, data: AnyFact | None = None) -> Event:
    """One event; what it says is no concern of the log."""
    return Event(
        position, stream_id(stream), version, AT_MS + position, AT_MS + position, "test", data or TaskStarted()
    )


def kept_aside(
    events: Sequence[Event], number: int = 0, policy: Policy = EVERYTHING
) -> tuple[list[Event], dict[int, Payloads]]:
    """Events whose content is kept beside the log, and what is kept; the number makes the salts others."""
    numbers = count(number)
    kept: dict[int, Payloads] = {}
    found = []
    for each in events:
        data, payloads = put_aside(each.data, policy, lambda: next(numbers).to_bytes(SALT_BYTES))
        found.append(replace(each, data=data))
        if payloads:
            kept[each.position] = payloads
    return found, kept


class Author:
    """Writes the next events of any stream: positions and versions follow each other."""

    def __init__(self, head: int = 0) -> None:
        self.head = head
        self.versions: dict[int, int] = {}

    def write(self, *streams: int, data: AnyFact | None = None) -> list[Event]:
        """One event for each stream that is named, in that order."""
        return [self._next(stream, data) for stream in streams]

    def batches(self, *streams: tuple[int, ...]) -> Iterator[list[Event]]:
        """Several batches, each as `write` makes it."""
        return (self.write(*batch) for batch in streams)

    def _next(self, stream: int, data: AnyFact | None) -> Event:
        self.head += 1
        self.versions[stream] = self.versions.get(stream, 0) + 1
        return event(self.head, stream, self.versions[stream], data)
