"""Slack, as the Web API documents it."""

import uuid
from typing import Any

import pytest

from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tests.channels.parts import SUCCESS, TOKEN, channel, delivery, outcome
from tests.channels.service import Break, Reply, Service

DONE = Reply(body=SUCCESS["slack"])


def test_a_message_is_one_post_that_is_shown_to_the_letter(service: Service) -> None:
    service.says(DONE)
    with channel("slack", f"{service.address}/api") as sender:
        assert Receipt("1700000000.000100") == sender.send(delivery("<!channel> 3 < 4 & *done*", to="C1"))

    asked = service.question
    assert ("POST", "/api/chat.postMessage") == (asked.method, asked.path)
    assert f"Bearer {TOKEN}" == asked.headers["authorization"]
    assert asked.headers["content-type"].startswith("application/json")
    said = asked.json
    assert 5 == uuid.UUID(said.pop("client_msg_id")).version
    assert {"channel": "C1", "text": "&lt;!channel&gt; 3 &lt; 4 &amp; *done*", "mrkdwn": False} == said


@pytest.mark.parametrize(("thread", "stamp"), [("1700000000.000100", "1700000000.000100"), (1700000000, "1700000000")])
def test_a_thread_goes_as_text(service: Service, thread: str | int, stamp: str) -> None:
    service.says(DONE)
    with channel("slack", service.address) as sender:
        sender.send(delivery(to="C1", thread=thread))

    assert stamp == service.question.json["thread_ts"]


def test_every_attempt_has_the_message_id_of_its_delivery(service: Service) -> None:
    service.says(DONE)
    with channel("slack", service.address) as sender:
        for id_, attempt in (("a", 1), ("a", 2), ("b", 1)):
            sender.send(delivery(id=id_, attempt=attempt))

    first, again, other = (question.json["client_msg_id"] for question in service.questions)
    assert first == again != other


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("channel_not_found", Permanent),
        ("invalid_auth", Permanent),
        ("is_archived", Permanent),
        ("not_in_channel", Permanent),
        ("no_text", Permanent),
        ("a_code_of_next_year", Permanent),
        ("ratelimited", Retryable),
        ("request_timeout", Retryable),
        ("service_unavailable", Retryable),
        ("fatal_error", Unconfirmed),
        ("internal_error", Unconfirmed),
        ("duplicate_message_not_found", Unconfirmed),
    ],
)
def test_what_slack_refuses_is_sorted_by_its_code(service: Service, code: str, kind: type[Exception]) -> None:
    service.says(Reply(body={"ok": False, "error": code}))
    with channel("slack", service.address) as sender:
        error = outcome(sender, delivery(to="C1"))

    assert (kind, f"channel ops (slack): HTTP 200: {code}") == (type(error), str(error))


def test_a_scope_that_is_missing_is_named(service: Service) -> None:
    service.says(Reply(body={"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "users:read"}))
    with channel("slack", service.address) as sender:
        error = outcome(sender, delivery(to="C1"))

    assert "channel ops (slack): HTTP 200: missing_scope (needs chat:write)" == str(error)


@pytest.mark.parametrize("body", [{"ok": False, "error": "ratelimited"}, b""])
def test_too_many_requests_are_sent_again_when_slack_says(service: Service, body: Any) -> None:
    service.says(Reply(status=429, body=body, headers={"Retry-After": "30"}))
    with channel("slack", service.address) as sender:
        error = outcome(sender, delivery(to="C1"))

    assert isinstance(error, Retryable)
    assert 30_000 == error.after_ms


def test_a_connection_that_broke_is_not_tried_a_second_time(service: Service) -> None:
    service.says(Break())
    with channel("slack", service.address) as sender:
        assert isinstance(outcome(sender, delivery(to="C1")), Unconfirmed)

    assert 1 == len(service.questions)
