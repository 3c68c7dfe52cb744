"""Who waits for whom: no later message overtakes, and an endpoint that fails keeps only its own waiting."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_FAILURES_MAX
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.parts import (
    ARRIVED,
    MINUTE,
    PATIENCE_S,
    SECOND,
    Channel,
    Gate,
    begun,
    ended,
    how,
    pauses,
    until_dealt_with,
)

ANSWERS = st.sampled_from([ARRIVED, ARRIVED, Retryable("busy"), Unconfirmed("the line broke"), ValueError("bug")])


@given(answers=st.lists(ANSWERS, max_size=12))
def test_a_later_message_of_a_task_never_overtakes_an_earlier_one(answers: list[object]) -> None:
    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        left = list(answers)
        chat = Channel(lambda _delivery: left.pop(0) if left else ARRIVED)
        ledger.channel("chat", chat)
        task = begun(ledger, notify="state_changes")
        task.start()
        for step in range(3):
            task.progress(f"step {step}", force=True)
        task.succeed()
        until_dealt_with(ledger, lambda: not ledger.deliveries(), lambda: clock.advance(11 * MINUTE))

    said = ("started", "step 0", "step 1", "step 2", "done")
    order = [next(number for number, part in enumerate(said) if part in text) for text in chat.texts]
    assert sorted(order) == order
    assert set(range(len(said))) == set(order)


def test_different_tasks_on_an_endpoint_do_not_wait_for_each_other(ledger: Ledger, chat: Channel) -> None:
    first, second = begun(ledger), begun(ledger)
    chat.of[first.id] = Retryable("that one chat is slow")
    first.succeed()
    second.succeed()
    ledger.settled()

    assert [DeliveryStatus.PENDING, DeliveryStatus.DELIVERED] == [how(ledger, task) for task in (first, second)]


def test_as_many_messages_as_allowed_are_under_way_on_a_channel_at_once(ledger: Ledger, chat: Channel) -> None:
    barrier = threading.Barrier(DELIVERIES_AT_ONCE)
    chat.answer = lambda _delivery: barrier.wait(PATIENCE_S) is not None and ARRIVED
    tasks = [
        ended(ledger, origin={"channel": "chat", "to": number % DELIVERIES_AT_ONCE})
        for number in range(3 * DELIVERIES_AT_ONCE)
    ]
    ledger.settled()

    assert {DeliveryStatus.DELIVERED} == {how(ledger, task) for task in tasks}


def test_a_target_that_fails_keeps_no_other_target_of_its_channel_waiting(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    def answer(delivery: Delivery) -> Receipt:
        if delivery.route.to == "boom":
            raise Retryable("that chat is locked")
        return ARRIVED

    chat.answer = answer
    for _ in range(200):
        ended(ledger, origin={"channel": "chat", "to": "boom"})
    ledger.settled()
    clock.advance(MINUTE)
    good = ended(ledger, origin={"channel": "chat", "to": "ana"})
    ledger.settled()

    assert DeliveryStatus.DELIVERED == how(ledger, good)
    assert ["chat:boom"] == [standing.name for standing in pauses(ledger)]


def test_an_endpoint_that_fails_five_times_in_a_row_is_paused_visibly(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("down")
    for _ in range(ENDPOINT_FAILURES_MAX):
        assert [] == pauses(ledger)
        ended(ledger)
        ledger.settled()
    ledger.sweep()
    [standing] = pauses(ledger)
    assert ("chat:-100123", ENDPOINT_FAILURES_MAX, clock(), "down") == (
        standing.name,
        standing.failures,
        standing.since,
        standing.error,
    )
    assert 5 * SECOND <= standing.until - clock() <= 6 * SECOND
    more = [ended(ledger) for _ in range(20)]
    ledger.sweep()
    assert ENDPOINT_FAILURES_MAX == len(chat.given)

    clock.advance(6 * SECOND)
    ledger.sweep()  # one is tried: it fails, and the pause is longer
    assert ENDPOINT_FAILURES_MAX + 1 == len(chat.given)
    ledger.sweep()
    assert 10 * SECOND <= pauses(ledger)[0].until - clock() <= 12 * SECOND
    chat.answer = ARRIVED
    clock.advance(12 * SECOND)
    ledger.sweep()
    assert {DeliveryStatus.DELIVERED} == {how(ledger, task) for task in more}
    ledger.sweep()
    assert [] == pauses(ledger)


def test_while_one_is_tried_after_a_pause_nobody_else_is(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = Retryable("down")
    for _ in range(ENDPOINT_FAILURES_MAX):
        ended(ledger)
        ledger.settled()
    gate = Gate()
    chat.answer = gate
    clock.advance(6 * SECOND)
    ended(ledger)
    assert gate.entered.wait(PATIENCE_S)
    for _ in range(5):
        ended(ledger)
    before = len(chat.given)
    gate.opened.set()
    ledger.sweep()

    assert ENDPOINT_FAILURES_MAX + 1 == before
    assert [] == ledger.deliveries()


def test_a_receiver_that_rejects_for_good_does_work(ledger: Ledger, chat: Channel) -> None:
    chat.answer = Permanent("no such chat")
    for _ in range(3 * ENDPOINT_FAILURES_MAX):
        ended(ledger)
        ledger.settled()
    ledger.sweep()

    assert [] == pauses(ledger)
    assert 3 * ENDPOINT_FAILURES_MAX == len(chat.given)


def test_the_accounts_of_a_channel_do_not_wait_for_each_other(ledger: Ledger, clock: HandClock) -> None:
    given: list[str | None] = []

    def send(delivery: Delivery) -> Receipt:
        given.append(delivery.route.account)
        if delivery.route.account == "bad":
            raise Retryable("down")
        return ARRIVED

    ledger.channel("chat", send)
    for account in ["bad"] * 10 + ["good"] * 10:
        ended(ledger, origin={"channel": "chat", "to": 1, "account": account})
        ledger.settled()
    ledger.sweep()

    assert 10 == given.count("good")
    assert ["chat/bad:1"] == [standing.name for standing in pauses(ledger)]
    assert clock() == pauses(ledger)[0].since


def test_a_clock_that_is_set_back_makes_no_pause_longer(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = Retryable("down", after_ms=9 * MINUTE)
    ended(ledger)
    ledger.settled()
    chat.answer = ARRIVED
    clock.advance(-24 * 60 * MINUTE)
    task = ended(ledger)
    ledger.settled()

    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_a_channel_that_hangs_keeps_nobody_else_waiting(folder: Path) -> None:
    """All the threads that one channel may have hang; another goes on as if nothing were."""
    inside = threading.Semaphore(0)
    never = threading.Event()

    def hang(_delivery: Delivery) -> Receipt:
        inside.release()
        assert never.wait(3 * PATIENCE_S)
        return ARRIVED

    with tallystick.open(folder) as ledger:
        ledger.channel("stuck", hang)
        for number in range(DELIVERIES_AT_ONCE + 4):
            ended(ledger, origin={"channel": "stuck", "to": number})
        for _ in range(DELIVERIES_AT_ONCE):
            assert inside.acquire(timeout=PATIENCE_S)
        for _ in range(10):
            arrived = threading.Event()
            ledger.channel("chat", lambda _delivery, arrived=arrived: arrived.set() or ARRIVED)  # type: ignore[misc]
            ended(ledger)
            assert arrived.wait(2), "it is a matter of milliseconds"
        never.set()


@pytest.mark.slow
def test_a_channel_that_floods_with_errors_keeps_nobody_else_waiting(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        bad = Channel(ValueError("x" * 100_000))
        ledger.channel("bad", bad)
        for number in range(300):
            ended(ledger, origin={"channel": "bad", "to": 1, "account": f"account {number % 60}"})
        for _ in range(10):
            arrived = threading.Event()
            ledger.channel("chat", lambda _delivery, arrived=arrived: arrived.set() or ARRIVED)  # type: ignore[misc]
            ended(ledger)
            assert arrived.wait(3)


@pytest.mark.slow
def test_ten_thousand_messages_that_waited_out_an_outage_arrive_each_once() -> None:
    clock = HandClock()
    count = 10_000
    with memory_ledger(clock=clock) as ledger:
        chat = Channel(Retryable("down"))
        ledger.channel("chat", chat)
        with ledger.batch() as batch:
            for _ in range(count):
                task = batch.create(runtime="subagent", task="Count", owner="o", origin={"channel": "chat", "to": 1})
                task.succeed()
        ledger.sweep()
        tried = len(chat.given)
        assert tried <= ENDPOINT_FAILURES_MAX + DELIVERIES_AT_ONCE
        chat.answer = ARRIVED
        clock.advance(MINUTE)
        ledger.sweep()

        assert [] == ledger.deliveries()
        assert count + tried == len(chat.given)
        assert count == len({delivery.id for delivery in chat.given[tried:]})


def test_what_is_told_of_a_pause_is_durable_for_who_waits_until_what_can_be_sent_was_sent(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    writing, may_write = threading.Event(), threading.Event()

    def slow(text: str) -> list[str]:
        if text == "takes long":
            writing.set()
            assert may_write.wait(PATIENCE_S)
        return []

    chat.answer = Retryable("not today", after_ms=24 * 60 * MINUTE)
    ended(ledger)
    ledger.settled()
    ended(ledger)
    ledger.redact(slow, stored=True)
    clock.advance(12 * 60 * MINUTE)  # the pause is over, and the receiver has asked for more patience
    writer = threading.Thread(target=lambda: begun(ledger, task="takes long"))
    writer.start()
    assert writing.wait(PATIENCE_S)

    with pytest.raises(TimeoutError):
        ledger.settled(timeout_s=0.2)
    may_write.set()
    writer.join(PATIENCE_S)
    ledger.settled()

    [paused] = ledger.status().paused
    assert paused.until > clock()
