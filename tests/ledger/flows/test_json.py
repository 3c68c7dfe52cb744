"""What a controller may keep with a flow: JSON to the letter, of bounded size; everything else is refused."""

import json
import math
import sys
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tallystick.ledger.errors import SHOWN_MAX, InvalidInput
from tallystick.ledger.fields import INTEGER_MAX, INTEGER_MIN
from tallystick.ledger.flows.json import json_value
from tallystick.ledger.limits import FLOW_JSON_BYTES_MAX, FLOW_JSON_DEPTH_MAX
from tests.ledger.flows.some import json_values


class Colour(StrEnum):
    """A text that is more than a text."""

    RED = "red"


class Size(IntEnum):
    """A number that is more than a number."""

    LARGE = 3


class Shouting(str):
    """A text that says something else of itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "HELLO"


def nested(levels: int) -> Any:
    """Return lists in lists; what is in the innermost is that many levels deep."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def kinds(value: Any) -> Any:
    """Return a value with the kind of everything in it: 1, 1.0 and True are equal, and not the same."""
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    if isinstance(value, list):
        return [kinds(each) for each in value]
    return type(value), value


@given(json_values)
def test_what_is_accepted_is_read_again_to_the_letter(value: Any) -> None:
    kept = json_value("state", value)

    assert kinds(value) == kinds(kept)
    for encode, decode in (
        (msgspec.json.encode, msgspec.json.decode),
        (msgspec.msgpack.encode, msgspec.msgpack.decode),
    ):
        assert kinds(kept) == kinds(decode(encode(kept)))
    assert kinds(kept) == kinds(json.loads(msgspec.json.encode(kept)))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((1, ("a", [])), [1, ["a", []]]),
        (Colour.RED, "red"),
        ({Colour.RED: Size.LARGE}, {"red": 3}),
        (Shouting("hello"), "hello"),
        ({Shouting("hello"): ()}, {"hello": []}),
        (True, True),
        (-0.0, -0.0),
        (INTEGER_MAX, INTEGER_MAX),
        (INTEGER_MIN, INTEGER_MIN),
    ],
)
def test_what_is_nearly_json_becomes_json(given: Any, kept: Any) -> None:
    assert kinds(kept) == kinds(json_value("state", given))


def test_what_is_kept_is_a_copy_of_its_own() -> None:
    inner: list[int] = [1]
    given = {"a": inner}

    kept = json_value("state", given)
    inner.append(2)
    given["b"] = []

    assert {"a": [1]} == kept


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        [{"a": math.nan}],
        {1: "a"},
        {None: "a"},
        {("a",): 1},
        b"bytes",
        bytearray(b"bytes"),
        "\ud800",
        {"\udfff": 1},
        INTEGER_MAX + 1,
        INTEGER_MIN - 1,
        {1, 2},
        object(),
        1j,
        range(3),
        "x" * FLOW_JSON_BYTES_MAX,  # with its quotes it is longer
        "\x00" * (FLOW_JSON_BYTES_MAX // 4),  # six bytes each as JSON
        [1.5] * (FLOW_JSON_BYTES_MAX // 8),  # nine bytes each as it is stored
        nested(FLOW_JSON_DEPTH_MAX + 1),
        nested(sys.getrecursionlimit() * 20),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_or_too_large_is_refused_by_its_field(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"state: .*JSON value") as caught:
        json_value("state", value)

    assert "state" == caught.value.field
    assert len(caught.value.value) <= SHOWN_MAX


def test_a_list_within_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(InvalidInput, match="state"):
        json_value("state", endless)


def test_a_value_that_is_small_in_memory_and_endless_as_text_is_refused_at_once() -> None:
    """Each level twice the level below: a billion zeros in thirty lists."""
    doubled: Any = 0
    for _ in range(30):
        doubled = [doubled, doubled]

    with pytest.raises(InvalidInput, match="state") as caught:
        json_value("state", doubled)

    assert len(caught.value.value) <= SHOWN_MAX


def test_the_largest_and_the_deepest_are_accepted() -> None:
    largest = "x" * (FLOW_JSON_BYTES_MAX - 3)  # as it is stored the length takes three bytes
    deepest = nested(FLOW_JSON_DEPTH_MAX)

    assert largest == json_value("state", largest)
    assert deepest == json_value("state", deepest)
    assert [0] * 8_000 == json_value("state", [0] * 8_000)
