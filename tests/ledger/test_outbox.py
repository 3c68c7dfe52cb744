"""The outbox: what of it may be sent next, and under which name a receiver knows a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.outbox import Waiting, endpoint_of, find, id_of, is_main, sendable
from tests import strategies as some
from tests.announced import CHAT, OPS, Announced
from tests.story import BEGIN_MS, OTHER_ID, TASK_ID


@given(some.outboxes)
def test_of_each_route_the_first_that_is_sent_may_be_sent_next_and_no_other(outbox: tuple[Waiting, ...]) -> None:
    found = list(sendable(outbox))

    assert found == [waiting for waiting in outbox if waiting in found], "in the order of the outbox"
    for route in {waiting.route for waiting in outbox}:
        of_route = [waiting for waiting in outbox if waiting.route == route and waiting.is_sent]
        assert of_route[:1] == [waiting for waiting in found if waiting.route == route]


@given(some.outboxes)
def test_what_waits_is_sent_or_stuck_or_in_a_session(outbox: tuple[Waiting, ...]) -> None:
    for waiting in outbox:
        assert (waiting.route is not None) == (waiting.is_sent != waiting.is_stuck)
        assert not (waiting.is_sent and waiting.is_stuck)


@given(some.outboxes, st.text("abc", max_size=2))
def test_what_waits_is_found_by_its_name(outbox: tuple[Waiting, ...], name: str) -> None:
    found = find(outbox, name)

    assert (found is None) == (name not in [waiting.delivery for waiting in outbox])
    assert found is None or (name == found.delivery and found in outbox)


@given(some.announced(), some.announced())
def test_no_two_messages_have_the_same_id_unless_they_tell_the_same_end(one: Announced, other: Announced) -> None:
    names = [message.delivery for message in (*one.messages, *other.messages)]
    for task_id in (TASK_ID, OTHER_ID):
        assert len(set(names)) == len({id_of(task_id, name) for name in names})
    assert {id_of(TASK_ID, name) for name in names}.isdisjoint(id_of(OTHER_ID, name) for name in names)


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("terminal:succeeded:default", "task-terminal:{}:succeeded:default"),
        ("terminal:succeeded:blocked", "task-terminal:{}:succeeded:blocked"),
        ("terminal:lost:default@ops", "task-terminal:{}:lost:default@ops"),
        ("terminal:failed:default#session", "task-terminal:{}:failed:default#session"),
        ("wake:succeeded:default", "task-wake:{}:succeeded:default"),
        ("event:3:started", "task-event:{}:3:started"),
    ],
)
def test_a_receiver_knows_a_message_by_its_kind_its_task_and_what_it_tells(delivery: str, expected: str) -> None:
    assert expected.format(TASK_ID) == id_of(TASK_ID, delivery)


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("terminal:succeeded:default", True),
        ("wake:succeeded:default", True),
        ("terminal:succeeded:default#session", False),
        ("terminal:succeeded:default@ops", False),
        ("terminal:succeeded:default@ops#session", False),
        ("event:3:started", False),
        ("event:3:update@ops", False),
    ],
)
def test_one_message_of_an_end_is_for_the_one_who_asked(delivery: str, expected: bool) -> None:  # noqa: FBT001
    assert expected == is_main(delivery)
    assert expected == Waiting(delivery, 1, DeliveryStatus.PENDING, BEGIN_MS).is_main


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (CHAT, "telegram/work:-100123"),
        (OPS, "slack:#ops"),
        (Origin("telegram", 5, thread=7), "telegram:5"),
        (Origin("a", "b", "c"), "a/c:b"),
        (Origin("hook", "hook"), "hook"),
    ],
)
def test_what_goes_to_the_same_target_shares_its_fate_whatever_the_thread(route: Origin, expected: str) -> None:
    assert expected == endpoint_of(route)


def test_a_message_that_is_stuck_holds_nobody_up() -> None:
    first = Waiting("a", 1, DeliveryStatus.PENDING, BEGIN_MS, CHAT, due_at=BEGIN_MS)
    second = replace(first, delivery="b", position=2)

    assert [first] == list(sendable((first, second)))
    assert [second] == list(sendable((replace(first, status=DeliveryStatus.FAILED, due_at=None), second)))


def test_routes_are_the_same_only_to_the_letter() -> None:
    number = Waiting("a", 1, DeliveryStatus.PENDING, BEGIN_MS, Origin("telegram", 5), due_at=BEGIN_MS)
    text = replace(number, delivery="b", route=Origin("telegram", "5"))

    assert [number, text] == list(sendable((number, text)))
