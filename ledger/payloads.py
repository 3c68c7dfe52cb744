"""The payload: a field of content that is kept beside the log, where it can be erased, while its digest is in the log.

The digest is SHA-256(salt || MessagePack of the value). Without the salt, which goes with the payload, nobody can find
out by trying what an erased value was. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.content import CONTENT, is_blank, said, type_of, without
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.limits import SALT_BYTES

Payloads: TypeAlias = Mapping[str, bytes]
"""What is kept of one event: by the name of the field, its salt and its value."""

NOTHING_KEPT: Payloads = MappingProxyType({})
"""What is kept of most events."""

F = TypeVar("F", bound=Fact)

_pack = msgspec.msgpack.Encoder().encode


class Policy(Struct, frozen=True):
    """What is put aside: all content when it is `everything`, else what takes more than `larger_than` bytes."""

    everything: bool = False
    larger_than: int | None = None

    @property
    def is_needed(self) -> bool:
        """Whether anything is put aside."""
        return self.everything or self.larger_than is not None


def put_aside(fact: F, policy: Policy, salt: Callable[[], bytes]) -> tuple[F, Payloads]:
    """Return a fact that names what of it is kept beside the log, and that; it still says all that it says.

    `salt` gives 16 random bytes each time.
    """
    payloads: dict[str, bytes] = {}
    for name in said(fact):
        value = _pack(getattr(fact, name))
        if policy.everything or (policy.larger_than is not None and len(value) > policy.larger_than):
            payloads[name] = salt() + value
    if not payloads:
        return unmarked(fact), payloads
    return replace(fact, aside={name: digest(payload) for name, payload in payloads.items()}), payloads


def unmarked(fact: F) -> F:
    """Return a fact of which nothing is put aside: whoever reports one has put nothing there."""
    return fact if fact.aside is None else replace(fact, aside=None)


def digest(payload: bytes) -> bytes:
    """Return what the log has of a payload."""
    return sha256(payload).digest()


def payload_of(value: object, salt: bytes) -> bytes:
    """Return what is kept of a value."""
    return salt + _pack(value)


def salt_of(payload: bytes) -> bytes:
    """Return the salt of a payload."""
    return payload[:SALT_BYTES]


def stripped(event: Event) -> Event:
    """Return what the log has of an event: without what is kept beside it."""
    return event if event.data.aside is None else replace(event, data=without(event.data, put(event.data)))


def put(fact: Fact) -> tuple[str, ...]:
    """Return the fields that a fact says are put aside. A record that nobody here has encoded may name anything."""
    aside = fact.aside
    return () if aside is None else tuple([name for name in CONTENT[fact.__class__] if name in aside])


def filled(event: Event, payloads: Payloads) -> Event:
    """Return an event with what is kept of it beside the log. Raises `Corrupt` for what no field can be.

    What is kept and the record does not name is nobody's: it changes nothing.
    """
    aside = put(event.data)
    values: dict[str, Any] = {}
    for name, payload in payloads.items():
        if name not in aside:
            continue
        try:
            values[name] = msgspec.msgpack.decode(payload[SALT_BYTES:], type=type_of(event.data.__class__, name))
        except Exception as error:
            raise Corrupt(f"the payload of {name}: {error}"[:200], position=event.position) from error
    return replace(event, data=replace(event.data, **values))


def kept(fact: Fact) -> tuple[str, ...]:
    """Return the fields that are put aside and still there."""
    return tuple(name for name in put(fact) if not is_blank(getattr(fact, name)))


def lacking(fact: Fact) -> tuple[str, ...]:
    """Return the fields that were put aside and are not there any more: they were erased, unless the log is damaged."""
    return tuple(name for name in put(fact) if is_blank(getattr(fact, name)))


def inline(fact: Fact) -> tuple[str, ...]:
    """Return the fields of content that are in the log itself, where nothing can be erased."""
    return tuple(name for name in said(fact) if name not in put(fact))


class Kept(Struct, frozen=True):
    """What of a history is kept beside the log: the names of the fields, in the order of their coming, and how many."""

    fields: tuple[str, ...] = ()
    count: int = 0


def kept_of(facts: Iterable[Fact]) -> Kept:
    """Return what of these facts is kept beside the log."""
    names = [name for fact in facts for name in kept(fact)]
    return Kept(tuple(dict.fromkeys(names)), len(names))


def strange(fact: Fact, payloads: Payloads) -> list[str]:
    """Return the names of those payloads that have not the digest that the record has under this name."""
    aside = fact.aside or {}
    return [name for name, payload in payloads.items() if aside.get(name) != digest(payload)]
