"""Apprise: any of the services that the library Apprise has a URL for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyFormat

from tallystick.channels.message import target
from tallystick.channels.speech import HIDDEN, Speech
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Unconfirmed
from tallystick.ledger.errors import InvalidInput

TO, THREAD = "{to}", "{thread}"


class AppriseSender:
    """Sends to every URL of the channel. `{to}` and `{thread}` in a URL stand for what the route says.

    Apprise tells success from anything else, and not whether a failure came before or after the message arrived: so
    what is no success is `Unconfirmed`, and never sent again by itself. A route with a thread needs a URL with
    `{thread}`: a message in the wrong place is worse than none.
    """

    def __init__(self, speech: Speech, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._speech, self._settings = speech, settings
        self.secrets: tuple[str, ...] = speech.secrets
        self._urls = tuple(secrets["urls"].split())
        self._takes_to = any(TO in url for url in self._urls)
        self._takes_thread = any(THREAD in url for url in self._urls)
        for url in self._urls:
            if TO not in url and THREAD not in url and not self._notifier([url]):
                allowed = "a URL that Apprise knows, see https://appriseit.com/services/"
                raise InvalidInput(f"channel.{speech.channel}.urls", HIDDEN, allowed)

    def send(self, delivery: Delivery) -> Receipt:
        notifier = self._notifier(self._filled(delivery))
        if len(notifier) < len(self._urls):
            raise Permanent(self._speech("not sent: Apprise takes no URL of this channel with this route"))
        result = notifier.notify(body=delivery.text, body_format=NotifyFormat.TEXT)
        if result.status is AppriseResultStatus.SUCCESS:
            return Receipt()
        said = " ".join(dict.fromkeys(entry.message for entry in result.logs()))
        raise Unconfirmed(self._speech(f"Apprise says {result.status.name.lower()}: {said}"))

    def _filled(self, delivery: Delivery) -> list[str]:
        thread = delivery.route.thread
        if (thread is not None) is not self._takes_thread:
            lack = "the channel's URL has no {thread}" if thread is not None else "the route has no thread for the URL"
            raise Permanent(self._speech(f"not sent: {lack}"))
        to = target(self._speech, delivery, self._settings) if self._takes_to else ""
        return [
            url.replace(TO, quote(str(to), safe="")).replace(THREAD, quote(str(thread), safe="")) for url in self._urls
        ]

    def _notifier(self, urls: list[str]) -> Apprise:
        """Return what notifies the URLs that Apprise knows, made anew: it does not promise to be used by threads."""
        notifier = Apprise(asset=AppriseAsset(async_mode=False))
        for url in urls:
            notifier.add(url)
        if "timeout" in self._settings:
            for service in notifier:
                service.socket_read_timeout = self._settings["timeout"] / 1_000
        return notifier

    def close(self) -> None:
        """Nothing is held open between two messages."""


sender = AppriseSender
