"""What cannot be read is one thing, however a decoder says it: who catches only a part of it falls over the rest."""

import re
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.events import Event
from tallystick.ledger.record import TaskRecord
from tests.test_tidy import ROOT, sources

KINDS = (Any, Event, Command, TaskRecord, dict[str, Any], tuple[str, ...], list[int])
DEEP = 100_000
PART_OF_IT = re.compile(r"(?:except|suppress).*\b(?:MsgspecError|DecodeError|ValidationError)\b")


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=60))
@example(data=b"\xa1\xff")
@example(data=b"\x91" * DEEP)
@example(data=b"\x92\xa1a" * DEEP)
@example(data=b"\xdd\xff\xff\xff\xff")
def test_whatever_bytes_a_packed_value_has_nothing_else_is_raised(kind: Any, data: bytes) -> None:
    with suppress(*UNREADABLE):
        msgspec.msgpack.decode(data, type=kind)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(data=b'["\xff"]')
@example(data=b'"\\ud800"')
@example(data=b"[" * DEEP)
@example(data=b'{"a":' * DEEP)
@example(data=b"9" * 5_000)
def test_whatever_bytes_a_text_has_nothing_else_is_raised(kind: Any, data: bytes) -> None:
    with suppress(*UNREADABLE):
        msgspec.json.decode(data, type=kind)


@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(data=b'a = "\xff"')
@example(data=b"a = " + b"[" * DEEP)
@example(data=b"a = " + b"9" * 5_000)
def test_whatever_bytes_a_configuration_has_nothing_else_is_raised(data: bytes) -> None:
    with suppress(*UNREADABLE):
        msgspec.toml.decode(data, type=dict[str, Any])


def test_nobody_catches_a_part_of_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources("actors", "ledger", "projections", "tallystick")
        for line in path.read_text("utf-8").splitlines()
        if PART_OF_IT.search(line)
    ]

    assert [] == found, "catch UNREADABLE"
