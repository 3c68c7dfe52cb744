"""Discord, as its HTTP API documents it."""

import pytest

from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tests.channels.parts import SUCCESS, TOKEN, channel, delivery, outcome
from tests.channels.service import Reply, Service

DONE = Reply(body=SUCCESS["discord"])


def test_a_message_is_one_post_that_mentions_nobody(service: Service) -> None:
    service.says(DONE)
    with channel("discord", f"{service.address}/api/v10") as sender:
        assert Receipt("1400000000000000001") == sender.send(delivery("@everyone done", to=42))

    asked = service.question
    assert ("POST", "/api/v10/channels/42/messages") == (asked.method, asked.path)
    assert f"Bot {TOKEN}" == asked.headers["authorization"]
    assert asked.headers["user-agent"].startswith("DiscordBot (https://")
    assert {"content", "nonce", "enforce_nonce", "allowed_mentions"} == set(asked.json)
    assert ("@everyone done", True, {"parse": []}) == (
        asked.json["content"],
        asked.json["enforce_nonce"],
        asked.json["allowed_mentions"],
    )


@pytest.mark.parametrize(("to", "thread", "place"), [(42, None, "42"), (42, 77, "77"), ("42", "77", "77")])
def test_a_thread_is_the_place_to_post_into(
    service: Service, to: str | int, thread: str | int | None, place: str
) -> None:
    service.says(DONE)
    with channel("discord", service.address) as sender:
        sender.send(delivery(to=to, thread=thread))

    assert f"/channels/{place}/messages" == service.question.path


@pytest.mark.parametrize("place", ["general", "../users/@me", "42/../7", "4 2", "-1", "٤٢"])
def test_what_is_no_id_is_never_put_into_an_address(service: Service, place: str) -> None:
    with channel("discord", service.address) as sender:
        error = outcome(sender, delivery(to=place))

    assert isinstance(error, Permanent)
    assert [] == service.questions


def test_every_attempt_has_the_nonce_of_its_delivery(service: Service) -> None:
    service.says(DONE)
    with channel("discord", service.address) as sender:
        for id_, attempt in (("a", 1), ("a", 2), ("b", 1)):
            sender.send(delivery(id=id_, attempt=attempt))

    first, again, other = (question.json["nonce"] for question in service.questions)
    assert first == again != other
    assert 25 == len(first)


def test_a_text_that_is_too_long_is_cut(service: Service) -> None:
    service.says(DONE)
    with channel("discord", service.address) as sender:
        sender.send(delivery("x" * 2_001))

    assert "x" * 1_999 + "…" == service.question.json["content"]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(404, 10003, "Unknown Channel"), (403, 50001, "Missing Access"), (401, 0, "401: Unauthorized")],
)
def test_what_discord_refuses_is_permanent_in_its_own_words(
    service: Service, status: int, code: int, message: str
) -> None:
    service.says(Reply(status=status, body={"message": message, "code": code}))
    with channel("discord", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Permanent)
    assert f"channel ops (discord): HTTP {status}: {message} (code {code})" == str(error)


@pytest.mark.parametrize(
    ("body", "headers", "after_ms"),
    [
        ({"message": "You are being rate limited.", "retry_after": 64.5701, "global": False}, {}, 64_571),
        ({"message": "You are being rate limited.", "retry_after": 0.3}, {"Retry-After": "1"}, 300),
        (b"<html>blocked by a proxy</html>", {"Retry-After": "120"}, 120_000),
        (b"", {}, None),
    ],
)
def test_too_many_requests_are_sent_again_when_discord_says(
    service: Service, body: object, headers: dict[str, str], after_ms: int | None
) -> None:
    service.says(Reply(status=429, body=body, headers=headers))
    with channel("discord", service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Retryable)
    assert after_ms == error.after_ms


def test_a_gateway_that_was_not_available_has_processed_nothing(service: Service) -> None:
    service.says(Reply(status=502))
    with channel("discord", service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Retryable)


@pytest.mark.parametrize("status", [500, 503, 504, 520])
def test_any_other_fault_leaves_nobody_who_could_tell(service: Service, status: int) -> None:
    service.says(Reply(status=status))
    with channel("discord", service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Unconfirmed)
