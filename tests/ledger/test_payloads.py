"""What is kept beside the log, and what the log has instead of it."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.content import CONTENT, said
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.facts.tasks import TaskFailed, TaskSucceeded
from tallystick.ledger.limits import SALT_BYTES
from tallystick.ledger.payloads import (
    Policy,
    digest,
    filled,
    inline,
    kept,
    kept_of,
    lacking,
    payload_of,
    put_aside,
    salt_of,
    stripped,
    unmarked,
)
from tests.ledger.store import make

EVERYTHING = Policy(everything=True)


def salts() -> Callable[[], bytes]:
    """Return what gives a salt that no other call gives."""
    numbers = count(1)
    return lambda: next(numbers).to_bytes(SALT_BYTES)


@given(make.facts())
def test_what_is_put_aside_is_all_that_a_fact_says_and_it_still_says_it(fact: Any) -> None:
    put, payloads = put_aside(fact, EVERYTHING, salts())

    assert set(said(fact)) == set(payloads)
    assert fact == unmarked(put)
    assert kept(put) == said(fact) == tuple(put.aside or ())
    assert () == inline(put) == lacking(put)


@given(make.events())
def test_the_log_has_of_it_no_more_than_a_salted_digest(event: Any) -> None:
    put, payloads = put_aside(event.data, EVERYTHING, salts())

    left = stripped(replace(event, data=put))

    assert () == said(left.data) == kept(left.data)
    assert set(payloads) == set(lacking(left.data))
    for name, payload in payloads.items():
        value = msgspec.msgpack.encode(getattr(event.data, name))
        assert sha256(payload[:SALT_BYTES] + value).digest() == digest(payload) == (left.data.aside or {})[name]


@given(make.events())
def test_with_what_is_kept_an_event_is_whole_again(event: Any) -> None:
    put, payloads = put_aside(event.data, EVERYTHING, salts())
    whole = replace(event, data=put)

    assert whole == filled(stripped(whole), payloads)


@given(make.events(), st.data())
def test_with_some_of_it_the_rest_is_lacking(event: Any, data: st.DataObject) -> None:
    put, payloads = put_aside(event.data, EVERYTHING, salts())
    some = {name: payload for name, payload in payloads.items() if data.draw(st.booleans())}

    found = filled(stripped(replace(event, data=put)), some).data

    assert set(some) == set(kept(found))
    assert set(payloads) - set(some) == set(lacking(found))


@given(make.facts(), st.integers(0, 60))
def test_only_what_is_larger_is_put_aside_if_that_is_wanted(fact: Any, most: int) -> None:
    put, payloads = put_aside(fact, Policy(larger_than=most), salts())

    large = {name for name in said(fact) if len(msgspec.msgpack.encode(getattr(fact, name))) > most}
    assert large == set(payloads) == set(put.aside or ())
    assert set(said(fact)) - large == set(inline(put))


@given(make.facts())
def test_nothing_is_put_aside_unless_it_is_wanted_and_nobody_else_can_say_so(fact: Any) -> None:
    marked = replace(fact, aside=dict.fromkeys(CONTENT[fact.__class__], bytes(32)))

    assert (fact, {}) == put_aside(marked, Policy(), salts())
    assert not Policy().is_needed
    assert Policy(larger_than=0).is_needed


def test_each_field_has_a_salt_of_its_own() -> None:
    fact = TaskFailed(error="the same", summary="the same")

    put, payloads = put_aside(fact, EVERYTHING, salts())

    assert payloads["error"] != payloads["summary"]
    assert (put.aside or {})["error"] != (put.aside or {})["summary"]
    assert payloads["error"] == payload_of("the same", salt_of(payloads["error"]))


def test_what_is_kept_of_a_history_is_counted_and_named_once() -> None:
    facts = [put_aside(TaskFailed(error=error), EVERYTHING, salts())[0] for error in ("one", "two")]

    found = kept_of([*facts, TaskSucceeded(summary="inline")])

    assert (("error",), 2) == (found.fields, found.count)


@pytest.mark.parametrize(
    "payloads",
    [
        {"error": bytes(SALT_BYTES) + msgspec.msgpack.encode(7)},
        {"error": bytes(SALT_BYTES) + b"\xc1"},
        {"error": b"short"},
    ],
)
def test_a_payload_that_no_field_can_be_is_damage(payloads: dict[str, bytes]) -> None:
    event = make.event(1, data=TaskFailed(error="", aside={"error": bytes(32), "status": bytes(32)}))

    with pytest.raises(Corrupt, match="payload"):
        filled(event, payloads)


@pytest.mark.parametrize("name", ["summary", "status", "of nothing"])
def test_what_is_kept_and_the_record_does_not_name_changes_nothing(name: str) -> None:
    event = make.event(1, data=TaskFailed(error="", aside={"error": bytes(32), "status": bytes(32)}))

    assert event == filled(event, {name: bytes(SALT_BYTES) + msgspec.msgpack.encode("x")})


def test_a_record_that_names_what_no_fact_has_is_read_all_the_same() -> None:
    event = make.event(1, data=TaskFailed(error="", aside={"error": bytes(32), "nothing": bytes(32)}))

    assert ("error",) == lacking(event.data)
    assert event == stripped(event)
