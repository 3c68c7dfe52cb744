"""An operator's part: to have messages sent again that are stuck, or to give them up."""

from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput, NotFound, Refused
from tallystick.ledger.delivery import Permanent, Retryable
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import RECOVERED_AT_ONCE
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
    Gate,
    begun,
    ended,
    how,
    told,
    types,
    until_dealt_with,
    waiting_texts,
)

GONE = Permanent("no such chat")


def test_what_is_stuck_is_sent_again_on_request_and_need_not_wait_in_the_session_then(
    ledger: Ledger, chat: Channel
) -> None:
    chat.answer = GONE
    task = ended(ledger)
    ledger.settled()
    chat.answer = ARRIVED
    [record] = ledger.retry(task.id, reason="the bot is back in the chat")
    assert DeliveryStatus.PENDING == record.delivery_status
    ledger.settled()

    assert DeliveryStatus.DELIVERED == how(ledger, task)
    assert 1 == len({(delivery.id, delivery.text) for delivery in chat.given})
    assert [1, 2] == [delivery.attempt for delivery in chat.given]
    assert [] == waiting_texts(ledger)


def test_a_message_that_fails_again_waits_in_the_session_once(ledger: Ledger, chat: Channel) -> None:
    chat.answer = GONE
    task = ended(ledger)
    ledger.settled()
    for _ in range(3):
        ledger.retry(task.id)
        ledger.settled()

    assert 4 == len(chat.given)
    assert 1 == len(waiting_texts(ledger))


def test_after_a_retry_the_window_starts_anew(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = GONE
    task = ended(ledger)
    ledger.settled()
    clock.advance(3 * DAY)
    chat.answer = Retryable("busy")
    ledger.retry(task.id)
    ledger.settled()

    assert (DeliveryStatus.PENDING, clock()) == (told(ledger, task).status, clock())
    clock.advance(23 * HOUR)
    ledger.sweep()
    assert DeliveryStatus.PENDING == how(ledger, task)
    until_dealt_with(ledger, lambda: how(ledger, task) is DeliveryStatus.FAILED, lambda: clock.advance(20 * MINUTE))


def test_a_retry_does_not_wait_for_the_pause_that_its_endpoint_had_for_others(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = GONE
    task = ended(ledger)
    ledger.settled()
    clock.advance(SECOND)
    chat.answer = ARRIVED
    ledger.retry(task.id)
    ledger.sweep()

    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_nothing_that_is_stuck_is_a_refusal_and_the_others_are_sent_all_the_same(ledger: Ledger, chat: Channel) -> None:
    chat.answer = GONE
    stuck = ended(ledger)
    ledger.settled()
    chat.answer = ARRIVED
    fine = ended(ledger)
    ledger.settled()

    with pytest.raises(Refused) as refused:
        ledger.retry(fine.id, stuck.id)
    assert (fine.id, "retry") == (refused.value.token, refused.value.attempted)
    ledger.settled()
    assert DeliveryStatus.DELIVERED == how(ledger, stuck)
    with pytest.raises(Refused):
        ledger.retry(stuck.id)


def test_a_refusal_says_how_the_messages_are_and_what_to_do_also_to_who_joined(folder: Path, clock: HandClock) -> None:
    chat = Channel()
    with tallystick.open(folder, clock=clock) as ledger, tallystick.join(folder, clock=clock) as joined:
        ledger.channel("chat", chat)
        fine, waits, quiet = ended(ledger), ended(ledger, origin=None), ended(ledger, notify="silent")
        ledger.settled()
        chat.answer = Retryable("busy")
        sent = ended(ledger)
        ledger.settled()
        for verb, task, said in (
            ("retry", fine, f'its delivery is delivered. See "tally deliveries {fine.id}".'),
            ("dismiss", fine, f'its delivery is delivered. See "tally deliveries {fine.id}".'),
            (
                "retry",
                waits,
                f"its message waits in the session {SESSION}. It is done with when the session takes",
            ),
            ("retry", quiet, f'it is silent, nobody was to be told. "tally notify {quiet.id} done_only" has it told.'),
            (
                "retry",
                sent,
                f'its message is being sent. It goes on by itself; "tally deliveries {sent.id}"',
            ),
        ):
            for asked in (ledger, joined):
                with pytest.raises(Refused) as refused:
                    getattr(asked, verb)(task.id)
                assert f"Task {task.id} has nothing to {verb}: {said}" in str(refused.value)
                assert (task.id, "succeeded", verb) == (
                    refused.value.token,
                    refused.value.status,
                    refused.value.attempted,
                )


@pytest.mark.parametrize("verb", ["retry", "dismiss"])
def test_one_to_ten_tasks_are_recovered_together(ledger: Ledger, chat: Channel, verb: str) -> None:
    chat.answer = GONE
    tasks = [ended(ledger) for _ in range(RECOVERED_AT_ONCE + 1)]
    ledger.settled()

    for tokens in ([], [task.id for task in tasks]):
        with pytest.raises(InvalidInput, match="1 to 10 at a time"):
            getattr(ledger, verb)(*tokens)
    with pytest.raises(NotFound):
        getattr(ledger, verb)(tasks[0].id, "nobody")
    assert 11 == len(chat.given)
    assert [DeliveryStatus.FAILED] * 11 == [how(ledger, task) for task in tasks]
    records = getattr(ledger, verb)(*[task.id for task in tasks[:9]], tasks[0].id)
    assert [task.id for task in tasks[:9]] == [record.task_id for record in records]


def test_a_message_that_was_dismissed_is_never_sent_again(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = Retryable("busy")
    task = ended(ledger)
    ledger.settled()
    [record] = ledger.dismiss(task.id, reason="nobody cares")
    chat.answer = ARRIVED
    clock.advance(DAY)
    ledger.sweep()

    assert ((), DeliveryStatus.DISMISSED) == (record.outbox, record.delivery_status)
    assert 1 == len(chat.given)
    assert [] == ledger.deliveries()
    with pytest.raises(Refused):
        ledger.dismiss(task.id)
    with pytest.raises(Refused):
        ledger.retry(task.id)


def test_dismissing_gives_up_what_waits_in_the_session_too(ledger: Ledger, chat: Channel) -> None:
    chat.answer = GONE
    task = ended(ledger)
    ledger.settled()
    ledger.dismiss(task.id)

    assert [] == waiting_texts(ledger)
    assert ["delivery-dismissed.1"] * 2 == types(ledger, task)[-2:]


def test_what_is_on_its_way_can_be_dismissed_and_its_outcome_changes_nothing(ledger: Ledger, chat: Channel) -> None:
    gate = Gate(GONE)
    chat.answer = gate
    task = ended(ledger)
    assert gate.entered.wait(20)
    ledger.dismiss(task.id)
    gate.opened.set()
    ledger.settled()

    assert ["delivery-queued.1", "delivery-dismissed.1"] == types(ledger, task)
    assert DeliveryStatus.DISMISSED == how(ledger, task)


def test_the_next_message_follows_when_the_one_before_it_is_dismissed(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Retryable("busy")
    task = begun(ledger, notify="state_changes")
    task.start()
    ledger.settled()
    chat.answer = ARRIVED
    task.succeed()
    ledger.settled()
    assert ["Background task started: Count the tallies."] == chat.texts
    clock.advance(SECOND)
    ledger.dismiss(task.id)
    ledger.settled()
    assert 1 == len(chat.given)  # all of it was given up


def test_what_needs_an_operator_comes_first_among_open_deliveries(ledger: Ledger, chat: Channel) -> None:
    quiet = ended(ledger, "quiet", origin=None)
    chat.answer = Retryable("busy")
    pending = ended(ledger, "pending")
    ledger.settled()
    chat.answer = GONE
    stuck = ended(ledger, "stuck")
    ledger.settled()

    assert [stuck.id, stuck.id, pending.id, quiet.id] == [each.task_id for each in ledger.deliveries()]
    assert [stuck.id] == [each.task_id for each in ledger.deliveries(limit=1)]
    position = ledger.session(SESSION).take()[-1].position
    ledger.session(SESSION).ack(position)
    assert [pending.id] == [each.task_id for each in ledger.deliveries()]
