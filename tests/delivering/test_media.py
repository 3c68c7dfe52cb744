"""Media: the session that asked writes the message itself; when it does not take them, they go to the channel once."""

from typing import Any

import pytest

from tallystick.ledger.delivery import Permanent, Retryable
from tallystick.ledger.lifecycle import MEDIA_KINDS, DeliveryStatus
from tallystick.ledger.limits import MEDIA_CONFIRM_MS
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.parts import (
    ARRIVED,
    CHAT,
    DAY,
    MINUTE,
    SECOND,
    SESSION,
    Channel,
    Woken,
    how,
    told,
    types,
    waiting_texts,
)

MADE = ("file:///pictures/1.png", "file:///pictures/2.png")


def generated(ledger: Ledger, kind: str = "image_generation", **more: Any) -> Task:
    """Return a generation that has ended well."""
    asked: dict[str, Any] = {"runtime": "cli", "task": "A red fox", "owner": SESSION, "kind": kind, "origin": CHAT}
    task = ledger.create(**{**asked, **more})
    task.succeed("2 pictures", artifacts=list(MADE))
    return task


@pytest.mark.parametrize("kind", sorted(MEDIA_KINDS))
def test_media_wake_the_session_with_what_was_made_although_they_are_silent(
    ledger: Ledger, chat: Channel, kind: str
) -> None:
    woken = Woken()
    ledger.on_wake(woken)
    task = generated(ledger, kind)

    assert [SESSION] == woken.wait(1)
    assert "silent" == task.record.notify_policy.value
    [event] = ledger.session(SESSION).take()
    assert ("media", MADE, task.id) == (event.kind, event.artifacts, event.task_id)
    assert [] == chat.given


def test_media_that_the_session_has_taken_in_time_never_go_to_the_channel(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    task = generated(ledger)
    clock.advance(MEDIA_CONFIRM_MS - 1)
    ledger.sweep()
    [event] = ledger.session(SESSION).take()
    ledger.session(SESSION).ack(event.position)
    clock.advance(DAY)
    ledger.sweep()

    assert [] == chat.given
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_media_that_nobody_took_go_to_the_channel_exactly_once_and_name_what_was_made(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    task = generated(ledger)
    clock.advance(MEDIA_CONFIRM_MS)
    ledger.sweep()
    ledger.sweep()
    clock.advance(DAY)
    ledger.sweep()

    [delivery] = chat.given
    assert ["Background task done: A red fox. 2 pictures", *MADE] == delivery.text.splitlines()
    assert ("media", MADE, f"task-terminal:{task.id}:succeeded:default") == (
        delivery.kind,
        delivery.artifacts,
        delivery.id,
    )
    assert [] == waiting_texts(ledger)
    assert DeliveryStatus.DELIVERED == how(ledger, task)
    assert "the session did not confirm it within 120 s" == told(ledger, task).error


def test_media_without_a_channel_stay_in_the_session(ledger: Ledger, clock: HandClock) -> None:
    task = generated(ledger)
    clock.advance(MEDIA_CONFIRM_MS)
    ledger.sweep()
    ledger.sweep()
    clock.advance(DAY)
    ledger.sweep()

    [event] = ledger.session(SESSION).take()
    assert (MADE, "media") == (event.artifacts, event.kind)
    assert DeliveryStatus.SESSION_QUEUED == how(ledger, task)
    ledger.session(SESSION).ack(event.position)
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_media_that_the_channel_rejects_are_back_in_the_session(
    ledger: Ledger, clock: HandClock, chat: Channel
) -> None:
    chat.answer = Permanent("too large")
    task = generated(ledger)
    clock.advance(MEDIA_CONFIRM_MS)
    ledger.sweep()

    [event] = ledger.session(SESSION).take()
    assert MADE == event.artifacts
    assert DeliveryStatus.FAILED == how(ledger, task)
    clock.advance(DAY)
    ledger.sweep()
    assert 1 == len(chat.given)


def test_media_that_could_not_be_sent_yet_are_tried_again(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    chat.answer = Retryable("busy")
    task = generated(ledger)
    clock.advance(MEDIA_CONFIRM_MS)
    ledger.sweep()
    chat.answer = ARRIVED
    clock.advance(6 * SECOND)
    ledger.sweep()

    assert 1 == len({(delivery.id, delivery.text) for delivery in chat.given})
    assert DeliveryStatus.DELIVERED == how(ledger, task)


def test_hundreds_of_media_that_nobody_took_go_to_the_channel_in_one_sweep() -> None:
    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        chat = Channel()
        ledger.channel("chat", chat)
        with ledger.batch() as batch:
            for number in range(400):
                made = batch.create(
                    runtime="cli", task=f"fox {number}", owner=SESSION, kind="image_generation", origin=CHAT
                )
                made.succeed(artifacts=list(MADE))
        clock.advance(MEDIA_CONFIRM_MS)
        ledger.sweep()

        assert 400 == len(chat.given) == len({delivery.id for delivery in chat.given})


def test_a_generation_that_fails_wakes_the_session_too(ledger: Ledger, clock: HandClock, chat: Channel) -> None:
    task = ledger.create(runtime="cli", task="A red fox", owner=SESSION, kind="music_generation", origin=CHAT)
    task.fail("no more credits")
    assert ["Background task failed: A red fox. no more credits"] == waiting_texts(ledger)
    clock.advance(MINUTE)
    ledger.sweep()
    assert ["delivery-queued.1"] == types(ledger, task)
    assert [] == chat.given


def test_another_command_of_the_session_tells_nobody(ledger: Ledger, chat: Channel) -> None:
    generated(ledger, "build")
    ledger.settled()
    assert ([], []) == (chat.given, waiting_texts(ledger))
