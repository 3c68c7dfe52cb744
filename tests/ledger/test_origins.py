"""Origins and routes: where a request came from, and where its completion goes, to the letter."""

from collections.abc import Callable
from types import MappingProxyType

import pytest

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.limits import (
    KEY_BYTES_MAX,
)


def refused(check: Callable[..., object], value: object, field: str = "field", **more: object) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        check("field", value, **more)
    assert field == error.value.field
    assert isinstance(error.value.allowed, str)
    return error.value


@pytest.mark.parametrize(
    "origin",
    [
        Origin(channel="telegram", to="123", account=None, thread=77),
        Origin(channel="telegram", to=-1001234567890, account="bot", thread="77"),
        Origin(channel="discord", to=2**63 - 1),
        Origin(channel="slack", to=" C01 ", account=" main ", thread=" 1.2 "),
        Origin(channel="telegram"),
        Origin(to=-1001234567890),
        Origin(account="bot"),
        Origin(thread=77),
        Origin(to="123", thread="77"),
    ],
)
def test_an_origin_is_kept_to_the_letter(origin: Origin) -> None:
    as_mapping = {name: getattr(origin, name) for name in Origin.__struct_fields__}

    for form in (origin, as_mapping, MappingProxyType(as_mapping)):
        kept = fields.origin("origin", form)
        assert origin == kept
        assert type(origin.thread) is type(kept.thread)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ("telegram", "field"),
        (7, "field"),
        ({}, "field"),
        (dict.fromkeys(Origin.__struct_fields__), "field"),
        (Origin(), "field"),
        ({"channel": " ", "to": "1"}, "field.channel"),
        ({"channel": 7, "to": "1"}, "field.channel"),
        ({"channel": "c", "to": ""}, "field.to"),
        ({"channel": "c", "to": True}, "field.to"),
        ({"channel": "c", "to": 2**63}, "field.to"),
        ({"channel": "c", "to": 1.5}, "field.to"),
        ({"channel": "c", "to": "t" * (KEY_BYTES_MAX + 1)}, "field.to"),
        ({"channel": "c", "to": "1", "account": 7}, "field.account"),
        ({"channel": "c", "to": "1", "account": ""}, "field.account"),
        ({"channel": "c", "to": "1", "thread": "\0"}, "field.thread"),
        ({"channel": "c", "to": "1", "topic": 7}, "a name in field"),
        (Origin(channel="", to="1"), "field.channel"),
        (Origin(channel="c", to=True), "field.to"),
    ],
)
def test_an_origin_that_leads_nowhere_is_refused(bad: object, field: str) -> None:
    refused(fields.origin, bad, field)
    refused(fields.route, bad, field)


def test_an_origin_that_says_nothing_is_told_what_it_may_say() -> None:
    assert "at least one of the fields channel, to, account, thread" == refused(fields.origin, {}, "field").allowed


def test_a_route_is_an_origin_that_says_where_and_to_whom() -> None:
    whole = Origin(channel="telegram", to=-1001234567890, thread="77")

    assert (
        whole
        == fields.route("field", whole)
        == fields.route("field", {"channel": "telegram", "to": -1001234567890, "thread": "77"})
    )
    for part, missing in (
        ({"channel": "telegram"}, "field.to"),
        ({"channel": "telegram", "to": None, "thread": 7}, "field.to"),
        ({"to": "1"}, "field.channel"),
        ({"account": "bot"}, "field.channel"),
        (Origin(thread=7), "field.channel"),
    ):
        assert Origin() != fields.origin("field", part)
        assert "the channel and whom to reach there; both are needed" == refused(fields.route, part, missing).allowed


def test_the_place_that_an_answer_goes_to_is_a_text_or_a_number() -> None:
    allowed = refused(fields.origin, {"channel": "c", "to": 1.5}, "field.to").allowed

    assert "a number, or text that is not blank, at most 512 bytes in UTF-8" == allowed
