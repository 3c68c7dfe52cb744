"""Channels that hang: what is tried is in doubt, what is not waits, and nobody else is kept waiting."""

import threading
from collections.abc import Iterator

import pytest

from tallystick.ledger import ids
from tallystick.ledger.delivery import Delivery, Receipt
from tallystick.ledger.facts.deliveries import DeliveryUnknown
from tallystick.ledger.limits import DELIVERIES_AT_ONCE
from tests.actors.parts import PATIENCE_S, history
from tests.actors.posts import ARRIVED, LIMIT_MS, Post


@pytest.fixture
def hasty() -> Iterator[Post]:
    """One that gives a channel a moment to answer."""
    made = Post(limit=LIMIT_MS)
    yield made
    assert made.system.close()


def test_a_call_over_its_limit_is_unknown_and_tried_again_once_it_has_come_back(hasty: Post) -> None:
    gate, back = threading.Event(), threading.Event()

    def slow(_delivery: Delivery) -> Receipt:
        assert gate.wait(PATIENCE_S)
        back.set()
        return ARRIVED

    hasty.answer = slow
    stream = hasty.ended()
    hasty.settled()
    assert "unknown" == hasty.status(stream)
    assert "no answer within 0.05 s" in (hasty.deliveries(stream)[0].error or "")
    hasty.answer = ARRIVED
    gate.set()
    assert back.wait(PATIENCE_S)
    for _ in range(9):
        hasty.clock.advance(600_000)
        hasty.system.sweep()

    assert "delivered" == hasty.status(stream)
    assert 1 == len({(delivery.id, delivery.text) for delivery in hasty.given})


def test_a_message_whose_call_never_comes_back_keeps_no_other_of_its_endpoint_waiting(hasty: Post) -> None:
    """It has one thread, however often it is due again; the others have the rest."""
    never = threading.Event()
    hasty.answer = lambda delivery: ARRIVED if delivery.route.to != 13 or never.wait(PATIENCE_S) else None
    stuck = hasty.ended(to=13)
    hasty.settled()
    for number in range(30):
        hasty.clock.advance(600_000)
        hasty.system.sweep()
        fine = hasty.ended(to=100 + number)
        hasty.settled()
        assert "delivered" == hasty.status(fine)

    assert "unknown" == hasty.status(stuck)
    assert 1 == [delivery.route.to for delivery in hasty.given].count(13)
    assert [DeliveryUnknown] == list({type(event.data) for event in history(hasty.log, stuck)[4:]})
    never.set()


def test_a_channel_all_of_whose_calls_hang_is_paused_and_nothing_untried_is_in_doubt(hasty: Post) -> None:
    never = threading.Event()
    hasty.answer = lambda _delivery: never.wait(PATIENCE_S) and ARRIVED
    streams = [hasty.ended(to=number) for number in range(4 * DELIVERIES_AT_ONCE)]
    hasty.settled()
    for _ in range(3):
        hasty.clock.advance(600_000)
        hasty.system.sweep()

    states = {ids.id_text(stream): hasty.status(stream) for stream in streams}
    assert {task for task, status in states.items() if status == "unknown"} == {each.task_id for each in hasty.given}
    assert DELIVERIES_AT_ONCE <= len(hasty.given) <= 2 * DELIVERIES_AT_ONCE
    assert {"unknown", "pending"} == set(states.values())
    hasty.register("other")
    assert "delivered" == other_delivered(hasty)
    never.set()


def other_delivered(post: Post) -> str:
    post.answer = ARRIVED
    stream = post.ended(channel="other")
    post.settled()
    return post.status(stream)
