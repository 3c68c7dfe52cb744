"""Webhooks, as Standard Webhooks has them: the receiver here verifies them with the library that it publishes."""

import base64

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tallystick.channels import build
from tallystick.channels.speech import Speech
from tallystick.channels.webhook import WebhookSender
from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tests.channels.parts import ID, SIGNING, TASK, channel, delivery, outcome
from tests.channels.service import Break, Reply, Service
from tests.face.parts import at_once


def test_a_delivery_is_one_post_with_all_that_it_says(service: Service) -> None:
    with channel("webhook", service.address) as sender:
        assert Receipt() == sender.send(delivery("Done: größer", thread="7", account="dev", artifacts=("file:a",)))

    asked = service.question
    assert ("POST", "/hook", "application/json") == (asked.method, asked.path, asked.headers["content-type"])
    assert {
        "type": "task.terminal",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "data": {
            "id": ID,
            "taskId": TASK,
            "kind": "terminal",
            "text": "Done: größer",
            "route": {"channel": "ops", "to": 42, "account": "dev", "thread": "7"},
            "artifacts": ["file:a"],
        },
    } == asked.json


def test_the_receiver_can_verify_it_and_know_it_by_its_id(service: Service) -> None:
    with channel("webhook", service.address) as sender:
        sender.send(delivery())

    asked = service.question
    assert asked.json == Webhook(SIGNING).verify(asked.body, asked.headers)
    assert ID == asked.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SIGNING).verify(asked.body + b" ", asked.headers)


def test_every_attempt_says_the_same_and_counts_itself_beside_it(service: Service) -> None:
    moments = iter([1_700_000_000.9, 1_700_000_600.2])
    secrets = {"url": f"{service.address}/hook", "secret": SIGNING}
    sender = WebhookSender(Speech("ops", "webhook"), {}, secrets, lambda: next(moments))
    for attempt in (1, 2):
        sender.send(delivery(attempt=attempt))
    sender.close()

    first, second = service.questions
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert ["1", "2"] == [question.headers["webhook-attempt"] for question in (first, second)]
    assert ["1700000000", "1700000600"] == [question.headers["webhook-timestamp"] for question in (first, second)]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_an_unsigned_webhook_has_no_signature(service: Service) -> None:
    sender = build("ops", {"kind": "webhook", "url": f"{service.address}/hook", "signed": False}, {})
    assert sender is not None
    sender.send(delivery())
    sender.close()

    assert "webhook-signature" not in service.question.headers
    assert ID == service.question.headers["webhook-id"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_status_of_success_is_one_with_or_without_a_body(service: Service, status: int) -> None:
    service.says(Reply(status=status))
    with channel("webhook", service.address) as sender:
        assert Receipt() == sender.send(delivery())


def test_a_success_whose_body_broke_off_is_one(service: Service) -> None:
    service.says(Break(sent=b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"))
    with channel("webhook", service.address) as sender:
        assert Receipt() == sender.send(delivery())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_permanent_and_not_followed(service: Service, status: int) -> None:
    service.says(Reply(status=status, headers={"Location": f"{service.address}/elsewhere"}))
    with channel("webhook", service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Permanent)

    assert ["/hook"] == [question.path for question in service.questions]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Permanent),
        (401, Permanent),
        (404, Permanent),
        (408, Retryable),
        (410, Permanent),
        (425, Retryable),
        (429, Retryable),
        (500, Retryable),
        (502, Unconfirmed),
        (503, Retryable),
        (504, Unconfirmed),
        (599, Unconfirmed),
    ],
)
def test_a_status_says_whether_it_was_taken(service: Service, status: int, kind: type[Exception]) -> None:
    service.says(Reply(status=status))
    with channel("webhook", service.address) as sender:
        error = outcome(sender, delivery())

    assert kind is type(error)
    assert str(error).startswith(f"channel ops (webhook): HTTP {status}: ")


def test_a_receiver_that_is_busy_says_when_to_come_again(service: Service) -> None:
    service.says(Reply(status=503, headers={"Retry-After": "2"}))
    with channel("webhook", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Retryable)
    assert 2_000 == error.after_ms


def test_user_and_query_of_the_address_are_sent(service: Service) -> None:
    address = service.address.replace("http://", "http://ada:pass%20word@")
    with channel("webhook", service.address, url=f"{address}/a%20b/hook?key=value") as sender:
        sender.send(delivery())

    asked = service.question
    assert "/a%20b/hook?key=value" == asked.path
    assert f"Basic {base64.b64encode(b'ada:pass word').decode()}" == asked.headers["authorization"]


@pytest.mark.parametrize("id_", ["two words", "line\nbreak", "größer"])
def test_an_id_that_no_header_can_carry_is_permanent(service: Service, id_: str) -> None:
    with channel("webhook", service.address) as sender:
        assert isinstance(outcome(sender, delivery(id=id_)), Permanent)

    assert [] == service.questions


def test_many_threads_send_at_once_over_connections_that_are_used_again(service: Service) -> None:
    with channel("webhook", service.address) as sender:
        at_once(8, lambda number: [sender.send(delivery(id=f"{number}:{count}")) for count in range(10)])

    assert 80 == len({question.headers["webhook-id"] for question in service.questions})
    assert all(question.json["data"]["id"] == question.headers["webhook-id"] for question in service.questions)
    assert len({question.port for question in service.questions}) <= 8
