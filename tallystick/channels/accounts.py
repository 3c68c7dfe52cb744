"""Accounts: a channel that speaks with one of several voices, as the route says."""

from collections.abc import Mapping

from tallystick.channels.sender import Sender
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Delivery, Permanent, Receipt


class Accounts:
    """Sends by the account that a route names, or by the channel's own if it names none.

    An account that the channel does not have is `Permanent`: what speaks with another voice is another message.
    """

    def __init__(self, speech: Speech, own: Sender | None, others: Mapping[str, Sender]) -> None:
        self._speech, self._own, self._others = speech, own, dict(others)
        self.secrets: tuple[str, ...] = speech.secrets

    def send(self, delivery: Delivery) -> Receipt:
        account = delivery.route.account
        sender = self._own if account is None else self._others.get(account)
        if sender is None:
            known = ", ".join(sorted(self._others)) or "none"
            wanted = "the route names no account" if account is None else f"there is no account {account}"
            raise Permanent(self._speech(f"not sent: {wanted}; the channel has {known}"))
        return sender.send(delivery)

    def close(self) -> None:
        for sender in (self._own, *self._others.values()):
            if sender is not None:
                sender.close()
