"""Parts for the tests of the channels: a delivery, the senders of every kind, and what a send comes to."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallystick.channels import Sender, build
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.facts.fact import Origin

TASK = "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"
ID = f"task-terminal:{TASK}:succeeded:default"
TOKEN = "123456789:AAF-tokenOfNobody_0123456789abcdef"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUICK_MS = 150

CHATS = ("discord", "slack", "telegram")
SUCCESS: dict[str, Any] = {
    "discord": {"id": "1400000000000000001", "channel_id": "42"},
    "slack": {"ok": True, "channel": "C1", "ts": "1700000000.000100"},
    "telegram": {"ok": True, "result": {"message_id": 77}},
    "webhook": b"",
}
RECEIPTS = {"discord": "1400000000000000001", "slack": "1700000000.000100", "telegram": "77", "webhook": None}


def delivery(text: str = "Background task done: count.", **changed: Any) -> Delivery:
    route = Origin(
        channel="ops",
        to=changed.pop("to", 42),
        account=changed.pop("account", None),
        thread=changed.pop("thread", None),
    )
    given: dict[str, Any] = {"id": ID, "attempt": 1, "queued_at": 1_700_000_000_123, **changed}
    return Delivery(task_id=TASK, text=text, route=route, **given)


def settings_of(kind: str, address: str, **more: Any) -> dict[str, Any]:
    """What makes a channel of a kind that speaks with a service at an address."""
    match kind:
        case "webhook":
            return {"kind": kind, "url": f"{address}/hook", "secret": SIGNING, **more}
        case "apprise":
            return {"kind": kind, "urls": address.replace("http:", "json:"), **more}
        case _:
            return {"kind": kind, "base": address, "token": TOKEN, **more}


@contextmanager
def channel(kind: str, address: str, **more: Any) -> Iterator[Sender]:
    """Have a channel for a while."""
    sender = build("ops", settings_of(kind, address, **more), {})
    assert sender is not None
    try:
        yield sender
    finally:
        sender.close()


def outcome(sender: Sender, sent: Delivery) -> Receipt | Retryable | Permanent | Unconfirmed:
    """Send, and return what it came to; anything but the four is an error of the test."""
    try:
        return sender.send(sent)
    except (Retryable, Permanent, Unconfirmed) as error:
        return error


def shown(error: object) -> str:
    """Everything that a log would show of an error."""
    assert isinstance(error, BaseException)
    return "".join(traceback.format_exception(error))
