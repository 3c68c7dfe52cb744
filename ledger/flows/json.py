"""JSON of bounded size: what a controller may keep with a flow. Pure."""

import math
from reprlib import Repr
from typing import Any

import msgspec

from tallystick.ledger.errors import InvalidInput, Shown
from tallystick.ledger.facts.flows import Json
from tallystick.ledger.fields import INTEGER_MAX, INTEGER_MIN
from tallystick.ledger.limits import FLOW_JSON_BYTES_MAX, FLOW_JSON_DEPTH_MAX

_ALLOWED = (
    "a JSON value: dicts with text as keys, lists, texts, finite numbers of 64 bits, True, False, None;"
    f" at most {FLOW_JSON_DEPTH_MAX} levels deep and {FLOW_JSON_BYTES_MAX} bytes long"
)

_brief = Repr()  # `repr` would follow a value as deep and as far as it goes


class _NoJson(Exception):
    """JSON cannot say it, or it is too large or too deep."""


def json_value(field: str, value: Any) -> Json:
    """Return a JSON value as it will be read again: a copy, in which tuples are lists.

    Raises `InvalidInput` for what JSON cannot say, and for what is too large or too deep.
    """
    try:
        kept = _Copy().of(value, 0)
        if max(len(msgspec.json.encode(kept)), len(msgspec.msgpack.encode(kept))) > FLOW_JSON_BYTES_MAX:
            raise _NoJson
    except _NoJson:
        raise InvalidInput(field, Shown(_brief.repr(value)), _ALLOWED) from None
    return kept


class _Copy:
    """Copies one value, and stops where it is certainly too large: something in it may stand there many times."""

    def __init__(self) -> None:
        self._room = FLOW_JSON_BYTES_MAX

    def of(self, value: Any, depth: int) -> Json:
        self._room -= 1  # a byte at least for everything
        if depth > FLOW_JSON_DEPTH_MAX or self._room < 0:
            raise _NoJson
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            if INTEGER_MIN <= value <= INTEGER_MAX:
                return int(value)
        elif isinstance(value, float):
            if math.isfinite(value):
                return float(value)
        elif isinstance(value, dict):
            if all(isinstance(name, str) for name in value):
                return {self._text(name): self.of(each, depth + 1) for name, each in value.items()}
        elif isinstance(value, list | tuple):
            return [self.of(each, depth + 1) for each in value]
        raise _NoJson

    def _text(self, value: str) -> str:
        """Return a text as it is. Refused: what UTF-8 cannot say."""
        self._room -= len(value)
        if self._room < 0:
            raise _NoJson
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _NoJson from None
        return str.__str__(value)
