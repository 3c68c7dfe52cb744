"""What becomes of a message that does not arrive: tried again, given up, or in doubt, and never lost."""

import itertools
from typing import Any

import pytest

from tallystick.ledger.delivery import Permanent, Retryable, Unconfirmed
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.parts import (
    ARRIVED,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SESSION,
    Channel,
    begun,
    ended,
    how,
    moments,
    told,
    types,
    until_dealt_with,
    waiting_texts,
)


def test_what_certainly_did_not_arrive_is_tried_again_with_the_same_id_and_text(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("busy")
    task = ended(ledger)
    ledger.settled()

    first = told(ledger, task)
    assert (DeliveryStatus.PENDING, 1, "busy") == (first.status, first.attempts, first.error)
    assert first.due_at is not None
    assert 5 * SECOND <= first.due_at - clock() <= 6 * SECOND
    clock.advance(4 * SECOND)
    ledger.sweep()
    assert 1 == len(chat.given)
    chat.answer = ARRIVED
    clock.advance(2 * SECOND)
    ledger.sweep()
    assert [1, 2] == [delivery.attempt for delivery in chat.given]
    assert 1 == len({(delivery.id, delivery.text, delivery.route) for delivery in chat.given})
    assert DeliveryStatus.DELIVERED == how(ledger, task)


@pytest.mark.slow
def test_pauses_double_up_to_ten_minutes_and_after_a_day_the_session_is_told(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("down")
    task = ended(ledger)
    began = clock()
    until_dealt_with(
        ledger, lambda: how(ledger, task) is DeliveryStatus.FAILED, lambda: clock.advance(SECOND * 30), 3000
    )

    attempts = moments(ledger.timeline(task.id), "delivery-attempted.1")
    gaps = [after - before for before, after in itertools.pairwise(attempts)]
    assert sorted(gaps[:3]) == gaps[:3]
    assert all(gap <= 14 * MINUTE for gap in gaps)
    assert max(gaps) >= 10 * MINUTE
    assert DAY - 14 * MINUTE <= clock() - began <= DAY + 4 * MINUTE
    assert ["delivery-failed.1", "delivery-queued.1"] == types(ledger, task)[-2:]
    assert [chat.texts[0]] == waiting_texts(ledger)
    assert DeliveryStatus.FAILED == how(ledger, task)
    [event] = ledger.session(SESSION).take()
    ledger.session(SESSION).ack(event.position)
    assert DeliveryStatus.DELIVERED == how(ledger, task)
    assert [DeliveryStatus.DISMISSED, DeliveryStatus.DELIVERED] == [each.status for each in ledger.deliveries(task.id)]


@pytest.mark.parametrize("after_ms", [7 * SECOND, 9 * MINUTE, 3 * HOUR])
def test_the_receiver_may_ask_for_more_patience_and_gets_it(
    ledger: Ledger, clock: HandClock, chat: Channel, after_ms: int
) -> None:
    chat.answer = Retryable("slow down", after_ms=after_ms)
    task = ended(ledger)
    ledger.settled()

    due_at = told(ledger, task).due_at
    assert due_at is not None
    assert due_at >= clock() + after_ms
    other = ended(ledger)  # the receiver has asked for it, so others wait, too
    until_dealt_with(
        ledger, lambda: clock() == due_at - 1, lambda: clock.advance(min(after_ms // 20, due_at - 1 - clock()))
    )
    assert 1 == len(chat.given)
    chat.answer = ARRIVED
    clock.at_ms = due_at + 10 * MINUTE
    ledger.sweep()
    assert [DeliveryStatus.DELIVERED] * 2 == [how(ledger, each) for each in (task, other)]


def test_a_receiver_that_asks_for_too_much_patience_leaves_the_message_to_the_session(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("come back in a week", after_ms=7 * DAY)
    first = ended(ledger, "first")
    ledger.settled()
    assert DeliveryStatus.FAILED == how(ledger, first)
    second = ended(ledger, "second")
    until_dealt_with(ledger, lambda: how(ledger, second) is DeliveryStatus.FAILED, lambda: clock.advance(9 * MINUTE))

    assert [first.id, second.id] == [delivery.task_id for delivery in chat.given], "each is tried once"
    assert clock() < told(ledger, second).queued_at + DAY + 20 * MINUTE
    assert 2 == len(waiting_texts(ledger))


def test_what_never_will_arrive_is_given_up_at_once_and_waits_in_the_session(ledger: Ledger, chat: Channel) -> None:
    chat.answer = Permanent("no such chat")
    task = ended(ledger)
    ledger.settled()

    assert ["delivery-queued.1", "delivery-failed.1", "delivery-queued.1"] == types(ledger, task)
    direct, fallback = ledger.deliveries(task.id)
    assert (DeliveryStatus.FAILED, "no such chat") == (direct.status, direct.error)
    assert (DeliveryStatus.SESSION_QUEUED, SESSION, direct.text) == (fallback.status, fallback.session, fallback.text)
    assert DeliveryStatus.FAILED == how(ledger, task)
    assert "succeeded" == ledger.get(task.id).status
    assert 1 == len(chat.given)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    "answer",
    [
        Unconfirmed("the line broke"),
        ValueError("a bug"),
        TimeoutError(),
        SystemExit(1),
        KeyboardInterrupt(),
        Unprintable(),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_what_may_have_arrived_is_unknown_and_sent_again_to_the_letter(
    ledger: Ledger, clock: HandClock, chat: Channel, answer: BaseException
) -> None:
    chat.answer = answer
    task = ended(ledger)
    ledger.settled()

    assert DeliveryStatus.UNKNOWN == how(ledger, task)
    assert ["delivery-queued.1", "delivery-unknown.1"] == types(ledger, task)
    chat.answer = ARRIVED
    clock.advance(6 * SECOND)
    ledger.sweep()
    assert 1 == len({(delivery.id, delivery.text) for delivery in chat.given})
    assert [1, 2] == [delivery.attempt for delivery in chat.given]
    assert DeliveryStatus.DELIVERED == how(ledger, task)


@pytest.mark.parametrize(
    "then", [Retryable("busy"), Permanent("no such chat")], ids=lambda answer: type(answer).__name__
)
def test_unknown_never_becomes_failed_and_the_session_hears_of_it_when_nothing_is_sent_any_more(
    ledger: Ledger, clock: HandClock, chat: Channel, then: Exception
) -> None:
    chat.answer = Unconfirmed("the line broke")
    task = ended(ledger)
    ledger.settled()
    chat.answer = then
    until_dealt_with(
        ledger, lambda: told(ledger, task).due_at is None, lambda: clock.advance(5 * MINUTE), rounds=DAY // MINUTE
    )

    assert DeliveryStatus.UNKNOWN == how(ledger, task)
    assert "delivery-failed.1" not in types(ledger, task)
    assert [told(ledger, task).text] == waiting_texts(ledger)
    assert {task.id} == {each.task_id for each in ledger.deliveries()}


@pytest.mark.parametrize("answer", [None, "ok", True, {"id": "7"}], ids=repr)
def test_an_answer_that_is_no_receipt_is_unknown_and_not_repeated_until_somebody_says_so(
    ledger: Ledger, clock: HandClock, chat: Channel, answer: Any
) -> None:
    chat.answer = answer
    task = ended(ledger)
    ledger.settled()

    assert DeliveryStatus.UNKNOWN == how(ledger, task)
    assert f"the channel answered {type(answer).__name__}, not a Receipt" == told(ledger, task).error
    clock.advance(2 * DAY)
    ledger.sweep()
    assert 1 == len(chat.given)
    chat.answer = ARRIVED
    ledger.retry(task.id)
    ledger.settled()
    assert [1, 2] == [delivery.attempt for delivery in chat.given]
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_a_message_that_says_more_than_fits_is_the_same_in_every_attempt(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("x" * 10_000)
    task = begun(ledger)
    task.fail("é" * 5_000)
    for _ in range(5):
        ledger.sweep()
        clock.advance(10 * MINUTE)

    assert 1 == len(set(chat.texts))
    assert 4 < len(chat.texts)
    assert len((told(ledger, task).error or "").encode()) <= 4_096
