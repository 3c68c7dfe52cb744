"""Telegram: messages by the method `sendMessage` of the Bot API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tallystick.channels.answer import failure, seconds_ms
from tallystick.channels.message import cut, target
from tallystick.channels.speech import Speech
from tallystick.channels.wire import Wire
from tallystick.ledger.delivery import Delivery, Receipt, Unconfirmed
from tallystick.ledger.limits import CHANNEL_TIMEOUT_MS, TELEGRAM_CHARACTERS_MAX

BASE = "https://api.telegram.org"


class TelegramSender:
    """Sends as a bot. Chat and topic go to the letter: a number as a number, a text as a text; nothing is formatted.

    Telegram knows no key by which a second message would be recognised, so what is not certain is `Unconfirmed`.
    """

    def __init__(self, speech: Speech, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._speech, self._settings = speech, settings
        self.secrets: tuple[str, ...] = speech.secrets
        self._method = f"/bot{quote(secrets['token'], safe=':')}/sendMessage"
        self._wire = Wire(settings.get("base", BASE), speech, timeout_ms=settings.get("timeout", CHANNEL_TIMEOUT_MS))

    def send(self, delivery: Delivery) -> Receipt:
        question: dict[str, str | int] = {
            "chat_id": target(self._speech, delivery, self._settings),
            "text": cut(delivery.text, TELEGRAM_CHARACTERS_MAX),
        }
        if delivery.route.thread is not None:
            question["message_thread_id"] = delivery.route.thread
        answer = self._wire.post(self._method, msgspec.json.encode(question))
        said = answer.json()
        if answer.is_success and said.get("ok") is not False:
            return self._receipt(said)
        given = said.get("parameters")
        parameters = given if isinstance(given, dict) else {}
        description = said.get("description")
        if "migrate_to_chat_id" in parameters:
            description = f"{description} (the chat is now {parameters['migrate_to_chat_id']})"
        code = said.get("error_code")
        status = code if answer.is_success and isinstance(code, int) else answer.status
        after_ms = seconds_ms(parameters.get("retry_after"))
        raise failure(self._speech, status, description, after_ms=answer.after_ms if after_ms is None else after_ms)

    def _receipt(self, said: Mapping[str, Any]) -> Receipt:
        result = said.get("result")
        number = result.get("message_id") if isinstance(result, dict) else None
        if said.get("ok") is not True or not isinstance(number, int):
            raise Unconfirmed(self._speech("the answer does not say that there is a message"))
        return Receipt(str(number))

    def close(self) -> None:
        self._wire.close()


sender = TelegramSender
