"""The webhook: a POST to an endpoint, signed as Standard Webhooks says (standardwebhooks.com)."""

import base64
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from standardwebhooks import Webhook

from tallystick.channels.answer import failure
from tallystick.channels.message import data_of
from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
from tallystick.ledger.delivery import Delivery, Permanent, Receipt
from tallystick.ledger.limits import CHANNEL_TIMEOUT_MS

# An endpoint of Standard Webhooks says by anything but a 2xx that it did not take the message, and knows it again by
# its id if it did. 502 and 504 are not its own words: they come from what stands before it.
_NOT_TAKEN = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})

_SPELLED = "/?%:@!$&'()*+,;=~"  # what goes over the wire as it stands in an address; the rest in percent signs


class WebhookSender:
    """Posts a delivery as JSON. Any 2xx is a success, with or without a body; redirects are not followed.

    `webhook-id` is the delivery's, and the body the same to the byte in every attempt; `webhook-attempt` counts them.
    """

    def __init__(
        self,
        speech: Speech,
        settings: Mapping[str, Any],
        secrets: Mapping[str, str],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._speech, self._now_s = speech, now_s
        self.secrets: tuple[str, ...] = speech.secrets
        self._key = Webhook(secrets["secret"]) if "secret" in secrets else None
        parts = urlsplit(secrets["url"])
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        basic = {"authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
        self._headers = basic if parts.username else {}
        query = f"?{parts.query}" if parts.query else ""
        self._target = quote(f"{parts.path or '/'}{query}", safe=_SPELLED)
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._wire = Wire(address, speech, timeout_ms=settings.get("timeout", CHANNEL_TIMEOUT_MS))

    def send(self, delivery: Delivery) -> Receipt:
        if not delivery.id.isascii() or not delivery.id.isprintable() or " " in delivery.id:
            raise Permanent(self._speech(f"not sent: {delivery.id!r} cannot stand in a header"))
        body = body_of(delivery)
        answer = self._wire.post(self._target, body, {**self._headers, **self._signed(delivery, body)})
        if answer.is_success:
            return Receipt()
        raise failure(self._speech, answer.status, None, after_ms=answer.after_ms, again=_NOT_TAKEN)

    def _signed(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        now = datetime.fromtimestamp(int(self._now_s()), UTC)
        headers = {
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-attempt": str(delivery.attempt),
        }
        if self._key is not None:
            headers["webhook-signature"] = self._key.sign(delivery.id, now, body.decode())
        return headers

    def close(self) -> None:
        self._wire.close()


def body_of(delivery: Delivery) -> bytes:
    """Return what an endpoint is sent. It says nothing of the attempt, so every attempt says the same."""
    queued = datetime.fromtimestamp(delivery.queued_at / 1_000, UTC)
    return msgspec.json.encode(
        {
            "type": f"task.{delivery.kind}",
            "timestamp": f"{queued:%Y-%m-%dT%H:%M:%S}.{delivery.queued_at % 1_000:03}Z",
            "data": data_of(delivery),
        }
    )


sender = WebhookSender
