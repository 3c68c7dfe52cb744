"""Values: what a fact says, field by field, as formats with few types have it. Pure."""

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Struct

from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.payloads import lacking

Kind: TypeAlias = Literal["string", "integer", "boolean"]
Value: TypeAlias = str | int | bool

_encode = msgspec.json.Encoder().encode


class Field(Struct, frozen=True):
    """A field of a fact: its name on disk, and what its value is. A list or a map is the text that JSON has for it."""

    name: str
    kind: Kind
    attribute: str
    default: Any
    is_json: bool


@cache
def fields_of(kind: type[Fact]) -> tuple[Field, ...]:
    """Return the fields that facts of a class have."""
    hints = get_type_hints(kind)
    return tuple(
        Field(
            each.encode_name,
            _kind_of(hints[each.name]),
            each.name,
            UNSET if each.required else each.default,
            not all(map(_is_plain, _options(hints[each.name]))),
        )
        for each in msgspec.structs.fields(kind)
    )


ERASED = Field("erased", "string", "", (), is_json=True)
"""What no fact has, and formats add: the names of the fields that were kept beside the log and are not there."""


def said(data: Fact) -> Iterator[tuple[Field, Value]]:
    """Yield what a fact says. What has its default is left out, as on disk, and what was erased is only named."""
    gone = () if data.aside is None else lacking(data)
    for field in fields_of(data.__class__):
        value = getattr(data, field.attribute)
        if value != field.default and field.attribute not in gone:
            yield field, as_json(value) if field.is_json else value
    if gone:
        yield ERASED, as_json(gone)


def text_of(value: Value) -> str:
    """Return a value as a text; a truth value has small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_json(value: object) -> str:
    """Return the text that JSON has for a value."""
    return _encode(value).decode()


def _options(hint: Any) -> set[Any]:
    """What a value can be when there is one."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return {option for option in options if option is not type(None)}


def _is_plain(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, str | int)


def _kind_of(hint: Any) -> Kind:
    options = _options(hint)
    if options == {bool}:
        return "boolean"
    return "integer" if options == {int} else "string"
