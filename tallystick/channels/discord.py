"""Discord: messages of a bot, by "create message" of the HTTP API."""

import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from tallystick.channels.answer import Answer, failure, seconds_ms
from tallystick.channels.message import cut, target
from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Unconfirmed
from tallystick.ledger.limits import CHANNEL_TIMEOUT_MS, DISCORD_CHARACTERS_MAX

BASE = "https://discord.com/api/v10"
AGENT = "DiscordBot (https://pypi.org/project/tallystick, {})"  # Discord asks for this form, and blocks others
NONCE_CHARACTERS = 25

# "There was not a gateway available to process your request. Wait a bit and retry."
_NOT_PROCESSED = frozenset({HTTPStatus.BAD_GATEWAY})
_ID = re.compile(r"[0-9]{1,20}", re.ASCII)


class DiscordSender:
    """Sends as a bot, into the thread that the route names or else into its channel. Nobody is mentioned.

    The nonce is the same in every attempt: for a few minutes Discord returns the first message instead of a second.
    """

    def __init__(self, speech: Speech, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._speech, self._settings = speech, settings
        self.secrets: tuple[str, ...] = speech.secrets
        self._headers = {"authorization": f"Bot {secrets['token']}"}
        self._wire = Wire(
            settings.get("base", BASE), speech, timeout_ms=settings.get("timeout", CHANNEL_TIMEOUT_MS), agent=AGENT
        )

    def send(self, delivery: Delivery) -> Receipt:
        thread = delivery.route.thread
        place = str(target(self._speech, delivery, self._settings) if thread is None else thread)
        if not _ID.fullmatch(place):  # it becomes a part of the path
            raise Permanent(self._speech(f"not sent: {place!r} is no id of a channel or a thread; ids are digits"))
        question = {
            "content": cut(delivery.text, DISCORD_CHARACTERS_MAX),
            "nonce": hashlib.sha256(delivery.id.encode()).hexdigest()[:NONCE_CHARACTERS],
            "enforce_nonce": True,
            "allowed_mentions": {"parse": []},
        }
        answer = self._wire.post(f"/channels/{place}/messages", msgspec.json.encode(question), self._headers)
        said = answer.json()
        if not answer.is_success:
            raise self._failure(answer, said)
        number = said.get("id")
        if not isinstance(number, str) or not _ID.fullmatch(number):
            raise Unconfirmed(self._speech("the answer does not say that there is a message"))
        return Receipt(number)

    def _failure(self, answer: Answer, said: Mapping[str, Any]) -> Exception:
        after_ms = seconds_ms(said.get("retry_after"))
        description = f"{said['message']} (code {said.get('code')})" if "message" in said else None
        return failure(
            self._speech,
            answer.status,
            description,
            after_ms=answer.after_ms if after_ms is None else after_ms,
            again=_NOT_PROCESSED,
        )

    def close(self) -> None:
        self._wire.close()


sender = DiscordSender
