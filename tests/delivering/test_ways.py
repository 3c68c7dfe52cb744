"""On which way a completion is told: directly where that is known, else through the session."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import Origin
from tallystick.ledger.delivery import Delivery, Receipt
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.sync import Ledger
from tallystick.testing import memory_ledger
from tests.delivering.parts import CHAT, SESSION, Channel, begun, ended, how, queued, record, told, types, waiting_texts

PARTS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["1", "-100123", "@name", "Ünïcode/…", " padded "]))


def test_a_completion_with_a_known_channel_is_sent_once_and_directly(ledger: Ledger, chat: Channel) -> None:
    task = ended(ledger, run_id="run-12345678")
    ledger.settled()

    [delivery] = chat.given
    assert f"task-terminal:{task.id}:succeeded:default" == delivery.id
    assert (task.id, 1, "terminal") == (delivery.task_id, delivery.attempt, delivery.kind)
    assert "Background task done: Count the tallies (run run-1234). 3 counted" == delivery.text
    assert DeliveryStatus.DELIVERED == how(ledger, task)
    assert [] == waiting_texts(ledger)
    ledger.sweep()
    assert 1 == len(chat.given)


@given(to=PARTS, thread=st.none() | PARTS, account=st.none() | st.sampled_from(["work", "7"]))
def test_a_channel_gets_target_and_thread_to_the_letter(to: Any, thread: Any, account: str | None) -> None:
    with memory_ledger() as ledger:
        channel = Channel()
        ledger.channel("chat", channel)
        ended(ledger, origin=Origin("chat", to, account, thread))
        ledger.settled()

        [delivery] = channel.given
        assert ("chat", to, account, thread) == (
            delivery.route.channel,
            delivery.route.to,
            delivery.route.account,
            delivery.route.thread,
        )
        assert [type(to), type(thread)] == [type(delivery.route.to), type(delivery.route.thread)]


def test_without_a_channel_that_anybody_serves_the_session_is_told(ledger: Ledger) -> None:
    task = ended(ledger)
    ledger.settled()

    assert ["Background task done: Count the tallies. 3 counted"] == waiting_texts(ledger)
    assert DeliveryStatus.SESSION_QUEUED == how(ledger, task)


@pytest.mark.parametrize("session", ["agent:main:chat:group:-100123", "agent:main:chat:channel:general"])
def test_a_session_that_several_read_is_told_in_the_session_only(ledger: Ledger, chat: Channel, session: str) -> None:
    ended(ledger, owner=session)
    ledger.settled()

    assert [] == chat.given
    assert 1 == len(waiting_texts(ledger, session))


def test_a_task_without_an_origin_is_told_in_its_session(ledger: Ledger, chat: Channel) -> None:
    ended(ledger, origin=None)
    ledger.settled()

    assert [] == chat.given
    assert 1 == len(waiting_texts(ledger))


def test_blanks_are_filled_from_the_way_on_which_the_session_was_last_reached(ledger: Ledger, chat: Channel) -> None:
    session = ledger.session(SESSION)
    session.reach({"channel": "chat", "to": 5, "account": "work", "thread": 9})
    for origin in ({"channel": "chat", "to": None}, {"channel": "chat", "to": "5"}, {"channel": "chat", "to": 6}):
        ended(ledger, origin=origin)
        ledger.settled()

    assert [
        Origin("chat", 5, "work", 9),
        Origin("chat", "5", "work", 9),  # the same target: to the letter as it was said, thread and account filled in
        Origin("chat", 6, None, None),  # another one: the thread is somebody else's
    ] == [delivery.route for delivery in chat.given]
    session.reach(Origin("chat", 8))
    ended(ledger, origin={"channel": "chat"})
    ledger.settled()
    assert Origin("chat", 8) == chat.given[-1].route


def test_a_way_that_says_too_little_leads_through_the_session(ledger: Ledger, chat: Channel) -> None:
    ended(ledger, origin={"channel": "chat"})
    ledger.settled()

    assert [] == chat.given
    assert 1 == len(waiting_texts(ledger))


@pytest.mark.parametrize(("thread", "sent"), [(None, 0), (77, 1)])
def test_the_work_of_a_child_session_is_reviewed_unless_it_was_asked_for_in_a_thread(
    ledger: Ledger, chat: Channel, thread: int | None, sent: int
) -> None:
    task = ended(ledger, runtime="acp", child_session="agent:main:acp:1", origin={**CHAT, "thread": thread})
    ledger.settled()

    assert sent == len(chat.given)
    assert 1 - sent == len(waiting_texts(ledger))
    if not sent:
        [event] = ledger.session(SESSION).take()
        assert "review" == event.kind
        assert event.text.startswith("Background task ready for review: ")
        assert DeliveryStatus.SESSION_QUEUED == how(ledger, task)


def test_every_end_is_told_and_progress_never_leaks_into_it(ledger: Ledger, chat: Channel) -> None:
    for verb in ("succeed", "fail", "time_out", "cancelled"):
        task = begun(ledger)
        task.start()
        task.progress("SECRET PROGRESS", force=True)
        getattr(task, verb)("said at the end")
    ended(ledger, None, owner=None, scope="system", runtime="cron", notify=None, origin=None)
    ledger.settled()

    assert {"done", "failed", "timed out", "cancelled"} == {text.split(": ")[0][16:] for text in chat.texts}
    assert 4 == len(chat.texts)
    assert not any("PROGRESS" in text for text in chat.texts)


def test_the_message_is_frozen_with_the_end_and_before_anything_is_sent(ledger: Ledger, chat: Channel) -> None:
    task = ended(ledger)
    ledger.settled()

    timeline = ledger.timeline(task.id)
    assert ["task-created.1", "task-started.1", "task-succeeded.1", "delivery-queued.1", "delivery-delivered.1"] == [
        event.type for event in timeline
    ]
    assert timeline[2].position + 1 == timeline[3].position
    assert chat.texts == [data.text for data in queued(ledger, task)]
    assert () == record(ledger, task).outbox


def test_a_silent_task_tells_nobody(ledger: Ledger, chat: Channel) -> None:
    task = ended(ledger, notify="silent")
    ledger.settled()

    assert ([], [], []) == (chat.given, waiting_texts(ledger), types(ledger, task))
    assert DeliveryStatus.NOT_APPLICABLE == how(ledger, task)


def test_transitions_are_told_in_order_to_who_wants_all_of_them(ledger: Ledger, chat: Channel) -> None:
    task = begun(ledger, notify="state_changes")
    task.start()
    task.progress("half", force=True)
    task.succeed("all")
    ledger.settled()

    assert ["started", "update", "done"] == [text.removeprefix("Background task ").split(":")[0] for text in chat.texts]
    assert 3 == len({delivery.id for delivery in chat.given})


def test_a_receipt_is_kept_with_the_delivery(ledger: Ledger, chat: Channel) -> None:
    chat.answer = Receipt(id="message-7")
    task = ended(ledger)
    ledger.settled()

    assert ("message-7", 1) == (told(ledger, task).receipt, told(ledger, task).attempts)


def test_a_channel_may_be_a_function_a_method_or_a_coroutine_function(ledger: Ledger) -> None:
    given: list[str] = []

    async def send(delivery: Delivery) -> Receipt:
        given.append(delivery.id)
        return Receipt(id="awaited")

    ledger.channel("chat", send)
    task = ended(ledger)
    ledger.settled()

    assert (1, "awaited") == (len(given), told(ledger, task).receipt)
