"""Which fields of facts are content: every text is, or tells things apart, and nobody may forget to say which."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given

from tallystick.ledger.content import CONTENT, blank, is_blank, said, type_of, without
from tallystick.ledger.events import FACT_TYPES, NAMES
from tallystick.ledger.facts.fact import Fact, Origin
from tests.ledger.store import make

NO_CONTENT = {
    # who and what is meant: found by it, compared with it, claimed by it
    "owner",
    "requester",
    "child_session",
    "run_id",
    "kind",
    "source_id",
    "parent",
    "root",
    "flow",
    "agent",
    "requester_agent",
    "idempotency_key",
    "request_key",
    "delivery",
    "session",
    "sources",
    "controller",
    "step",
    "claimant",
    "blocked_task",
    "name",
    "closed",
    "receipt",
    # how it was found out, and what probes go by
    "backing",
    "evidence",
    "rule",
    "signal",
    "outcome",
    "tool",
    "usage",
    "codes",
    # what was erased, and why
    "fields",
    # of any fact
    "aside",
    "redacted",
}
"""The fields with texts in them that stay in the log whatever happens."""

ONLY_THERE = {("flow-task-linked.1", "task"), ("task-erased.1", "reason"), ("flow-erased.1", "reason")}
"""The fields that are content in other facts."""


def has_text(kind: Any) -> bool:
    """Whether a value of a type may have a text in it that somebody chose."""
    if get_origin(kind) in (Union, UnionType, dict, tuple):
        return any(map(has_text, get_args(kind)))
    return kind in (str, object, Origin)


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: NAMES[kind])
def test_every_text_of_every_fact_is_content_or_said_not_to_be(kind: type[Fact]) -> None:
    texts = {info.name for info in msgspec.structs.fields(kind) if has_text(info.type)}
    besides = {name for of, name in ONLY_THERE if of == NAMES[kind]}

    assert texts == set(CONTENT[kind]) | (texts & NO_CONTENT) | besides
    assert set() == set(CONTENT[kind]) & (NO_CONTENT | besides)


@given(make.facts())
def test_without_its_content_a_fact_still_is_one_and_says_nothing(fact: Any) -> None:
    left = without(fact, CONTENT[fact.__class__])

    assert () == said(left)
    assert type(fact) is type(left)
    assert left == msgspec.msgpack.decode(msgspec.msgpack.encode(left), type=type(fact))
    for name in fact.__struct_fields__:
        if name not in CONTENT[fact.__class__]:
            assert getattr(fact, name) == getattr(left, name)


@given(make.facts())
def test_what_is_blank_is_of_the_kind_that_was_there(fact: Any) -> None:
    for name in CONTENT[fact.__class__]:
        value, left = getattr(fact, name), blank(getattr(fact, name))
        assert is_blank(left)
        assert left is None or type(left) is type(value)
        assert left == msgspec.convert(msgspec.to_builtins(left), type_of(fact.__class__, name))


def test_of_a_route_its_channel_stays() -> None:
    assert Origin("chat") == blank(Origin("chat", 49, "main", "7"))
    assert is_blank(Origin("chat"))
    assert not is_blank(Origin("chat", 49))
