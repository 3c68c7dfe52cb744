"""Slack: messages of an app, by `chat.postMessage` of the Web API."""

import logging
import re
import time
import uuid
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tallystick.channels.answer import failure, retry_after_ms
from tallystick.channels.message import cut, target
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.limits import CHANNEL_TIMEOUT_MS, SLACK_CHARACTERS_MAX

MESSAGES = uuid.UUID("6f6b1f2c-3a3e-5c0e-9d0a-5a1f4f0f7c11")  # whose names are ids of deliveries

# `ok: false` says that nothing was posted, and why. Of these it says that nothing is wrong with the message:
_AGAIN = frozenset(
    {
        "message_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",  # "the POST data was either missing or truncated"
        "service_unavailable",
        "team_added_to_org",  # "currently undergoing migration"
    }
)
# Of these "it's possible some aspect of the operation succeeded", or a message with this id is known and not found:
_UNCLEAR = frozenset({"duplicate_channel_not_found", "duplicate_message_not_found", "fatal_error", "internal_error"})
_CODE = re.compile(r"[a-z][a-z0-9_]{1,79}", re.ASCII)
_STAMP = re.compile(r"[0-9.]{1,40}", re.ASCII)


class SlackSender:
    """Sends as an app, into the thread that the route names. Nothing is formatted, and nobody is mentioned.

    `client_msg_id` is the same in every attempt.
    """

    def __init__(self, speech: Speech, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._speech, self._settings = speech, settings
        self.secrets: tuple[str, ...] = speech.secrets
        self._client = WebClient(
            secrets["token"],
            base_url=settings.get("base", WebClient.BASE_URL),
            timeout=settings.get("timeout", CHANNEL_TIMEOUT_MS) / 1_000,
            logger=logging.Logger("slack_sdk", logging.CRITICAL + 1),  # noqa: LOG001 - silent: what it would log is raised
            retry_handlers=[],  # those that come with it send again after a reset, which may be a second message
        )

    def send(self, delivery: Delivery) -> Receipt:
        thread = delivery.route.thread
        try:
            response = self._client.chat_postMessage(
                channel=str(target(self._speech, delivery, self._settings)),
                text=_literal(cut(delivery.text, SLACK_CHARACTERS_MAX)),
                thread_ts=None if thread is None else str(thread),
                mrkdwn=False,
                client_msg_id=str(uuid.uuid5(MESSAGES, delivery.id)),
            )
        except SlackApiError as error:
            raise self._refused(error.response) from None
        except URLError as error:  # raised while the question goes out: what came later is raised as it is
            raise Retryable(self._speech(f"not sent: {error.reason}")) from None
        except (HTTPException, OSError, ValueError) as error:
            raise Unconfirmed(self._speech(f"no answer: {type(error).__name__}: {error}")) from None
        stamp = response.get("ts")
        if not isinstance(stamp, str) or not _STAMP.fullmatch(stamp):
            raise Unconfirmed(self._speech("the answer does not say that there is a message"))
        return Receipt(stamp)

    def _refused(self, response: Any) -> Exception:
        data = response.data if isinstance(response.data, dict) else {}
        headers = {name.lower(): value for name, value in response.headers.items()}
        after_ms = retry_after_ms(headers.get("retry-after"), time.time)
        code, status = data.get("error"), response.status_code
        if data.get("ok") is not False or not isinstance(code, str) or not _CODE.fullmatch(code):
            return failure(self._speech, status, code, after_ms=after_ms)
        needed = f" (needs {data['needed']})" if "needed" in data else ""
        text = self._speech(f"HTTP {status}: {code}{needed}")
        if code in _AGAIN:
            return Retryable(text, after_ms)
        return Unconfirmed(text) if code in _UNCLEAR else Permanent(text)

    def close(self) -> None:
        """Nothing is held open: each message has a connection of its own."""


def _literal(text: str) -> str:
    """Return a text as Slack shows it to the letter: no mention, no link that says something else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


sender = SlackSender
