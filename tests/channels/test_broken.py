"""What breaks on the way: before the question is out nothing arrived, afterwards nobody can tell."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tallystick.ledger.delivery import Permanent, Receipt, Retryable, Unconfirmed
from tests.channels.parts import CHATS, QUICK_MS, RECEIPTS, SUCCESS, channel, delivery, outcome
from tests.channels.service import Break, Hold, Reply, Service

KINDS = (*CHATS, "webhook")

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def refusing() -> str:
    """An address where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where a connection never comes about: whoever listens does not accept, and has others waiting."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=0)))
        for _ in range(4):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_message_that_arrived_has_the_receipt_of_its_service(kind: str, service: Service) -> None:
    service.says(Reply(body=SUCCESS[kind]))
    with channel(kind, service.address) as sender:
        assert Receipt(RECEIPTS[kind]) == outcome(sender, delivery())


def test_a_refused_connection_can_be_tried_again(kind: str, refusing: str) -> None:
    with channel(kind, refusing) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Retryable)
    assert "Connection refused" in str(error)
    assert str(error).startswith(f"channel ops ({kind}): not sent")


def test_a_name_that_nobody_knows_can_be_tried_again(kind: str) -> None:
    with channel(kind, "http://nobody.invalid") as sender:
        assert isinstance(outcome(sender, delivery()), Retryable)


@pytest.mark.timeout(5)  # less than any time limit that the setting is not
def test_a_connection_that_never_comes_about_can_be_tried_again(kind: str, deaf: str) -> None:
    with channel(kind, deaf, timeout=QUICK_MS) as sender:
        assert isinstance(outcome(sender, delivery()), Retryable)


def test_a_receiver_that_cannot_prove_who_it_is_can_be_tried_again(kind: str, service: Service) -> None:
    with channel(kind, service.address.replace("http:", "https:"), timeout=2_000) as sender:
        assert isinstance(outcome(sender, delivery()), Retryable)

    assert [] == service.questions


@pytest.mark.timeout(5)  # less than any time limit that the setting is not
def test_an_answer_that_does_not_come_in_time_is_unconfirmed(kind: str, service: Service) -> None:
    service.says(Hold())
    with channel(kind, service.address, timeout=QUICK_MS) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, Unconfirmed)
    assert str(error).startswith(f"channel ops ({kind}): no answer")
    assert service.question.body


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n"])
def test_a_connection_that_ends_without_an_answer_is_unconfirmed(kind: str, service: Service, sent: bytes) -> None:
    service.says(Break(sent=sent))
    with channel(kind, service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Unconfirmed)

    assert 1 == len(service.questions)


def test_a_connection_that_ends_before_it_was_read_is_no_success(kind: str, service: Service) -> None:
    service.says(Break(is_read=False))
    with channel(kind, service.address) as sender:
        assert isinstance(outcome(sender, delivery()), Unconfirmed | Retryable)


def test_a_connection_that_was_closed_while_it_rested_is_not_used(kind: str, service: Service) -> None:
    service.says(Reply(body=SUCCESS[kind], headers={"Connection": "close"}))
    with channel(kind, service.address) as sender:
        assert [Receipt(RECEIPTS[kind])] * 3 == [outcome(sender, delivery()) for _ in range(3)]


@pytest.mark.parametrize("body", [b"", b"ok", b"{}", b"[]", b"null", b'{"ok": true}', b'{"ok": true, "result": 1}'])
def test_a_success_that_does_not_say_of_what_is_unconfirmed(kind: str, service: Service, body: bytes) -> None:
    service.says(Reply(body=body))
    with channel(kind, service.address) as sender:
        expected: Any = Receipt if kind == "webhook" else Unconfirmed
        assert isinstance(outcome(sender, delivery()), expected)


@pytest.mark.parametrize(
    ("status", "kinds"), [(400, Permanent), (404, Permanent), (429, Retryable), (504, Unconfirmed)]
)
def test_a_page_of_a_proxy_counts_by_its_status(
    kind: str, service: Service, status: int, kinds: type[Exception]
) -> None:
    page = b"<html><title>nginx</title>" + b"<p>no</p>" * 1_000
    service.says(Reply(status=status, body=page, headers={"Content-Type": "text/html"}))
    with channel(kind, service.address) as sender:
        error = outcome(sender, delivery())

    assert isinstance(error, kinds)
    assert len(str(error)) < 500
