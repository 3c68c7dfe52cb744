"""Telegram, as the Bot API documents it."""

from typing import Any

import pytest

from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tests.channels.parts import SUCCESS, TOKEN, channel, delivery, outcome
from tests.channels.service import Reply, Service

DONE = Reply(body=SUCCESS["telegram"])


def refused(code: int, description: str, **parameters: Any) -> Reply:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return Reply(status=code, body={**body, "parameters": parameters} if parameters else body)


def test_a_message_is_one_post_with_nothing_but_chat_and_text(service: Service) -> None:
    service.says(DONE)
    with channel("telegram", service.address) as sender:
        assert Receipt("77") == sender.send(delivery("3 < 4 & *done*", to=-1001234567890))

    asked = service.question
    assert ("POST", f"/bot{TOKEN}/sendMessage") == (asked.method, asked.path)
    assert "application/json" == asked.headers["content-type"]
    assert asked.headers["user-agent"].startswith("tallystick/")
    assert {"chat_id": -1001234567890, "text": "3 < 4 & *done*"} == asked.json


@pytest.mark.parametrize(("to", "thread"), [(42, 7), ("42", "7"), ("@ops", 0), (-7, "topic")])
def test_chat_and_topic_go_to_the_letter(service: Service, to: str | int, thread: str | int) -> None:
    service.says(DONE)
    with channel("telegram", service.address) as sender:
        sender.send(delivery("x", to=to, thread=thread))

    asked = service.question.json
    assert {"chat_id": to, "message_thread_id": thread, "text": "x"} == asked
    assert (type(to), type(thread)) == (type(asked["chat_id"]), type(asked["message_thread_id"]))


def test_a_text_that_is_too_long_is_cut_between_two_characters(service: Service) -> None:
    service.says(DONE)
    with channel("telegram", service.address) as sender:
        sender.send(delivery("x" * 4_096))
        sender.send(delivery("x" * 4_097))
        sender.send(delivery("x" + "🪵" * 2_048))

    texts = [question.json["text"] for question in service.questions]
    assert ["x" * 4_096, "x" * 4_095 + "…", "x" + "🪵" * 2_047 + "…"] == texts


def test_a_route_without_a_target_goes_where_the_channel_says(service: Service) -> None:
    service.says(DONE)
    with channel("telegram", service.address, to=-5) as sender:
        sender.send(delivery(to=None))
        sender.send(delivery(to=6))
    with channel("telegram", service.address) as sender:
        nowhere = outcome(sender, delivery(to=None))

    assert [-5, 6] == [question.json["chat_id"] for question in service.questions]
    assert "channel ops (telegram): not sent: neither the route nor the channel says to whom" == str(nowhere)
    assert isinstance(nowhere, Permanent)


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: message thread not found"),
        (401, "Unauthorized"),
        (403, "Forbidden: bot was blocked by the user"),
        (404, "Not Found"),
    ],
)
def test_what_telegram_refuses_is_permanent_in_its_own_words(service: Service, code: int, description: str) -> None:
    service.says(refused(code, description))
    with channel("telegram", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Permanent)
    assert f"channel ops (telegram): HTTP {code}: {description}" == str(error)


def test_a_group_that_moved_is_permanent_and_says_where_it_is_now(service: Service) -> None:
    service.says(refused(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100987))
    with channel("telegram", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Permanent)
    assert str(error).endswith("group chat was upgraded (the chat is now -100987)")


def test_too_many_requests_are_sent_again_when_telegram_says(service: Service) -> None:
    service.says(refused(429, "Too Many Requests: retry after 35", retry_after=35))
    with channel("telegram", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Retryable)
    assert 35_000 == error.after_ms


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_fault_at_telegram_leaves_nobody_who_could_tell(service: Service, code: int) -> None:
    service.says(refused(code, "Internal Server Error"))
    with channel("telegram", service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Unconfirmed)


def test_a_refusal_counts_whatever_the_status_is(service: Service) -> None:
    service.says(Reply(body={"ok": False, "error_code": 403, "description": "Forbidden"}))
    with channel("telegram", service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Permanent)
