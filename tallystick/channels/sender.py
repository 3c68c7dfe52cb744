"""The sender: what carries the messages of one channel."""

from typing import Protocol

from tallystick.ledger.delivery import Delivery, Receipt


class Sender(Protocol):
    """Carries messages; any number of threads may call `send` at once."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that no message may have in it: tokens, keys, addresses, in every form that they may appear in."""

    def send(self, delivery: Delivery) -> Receipt:
        """Send one message once, and return when the receiver has said that it has it.

        Raises `Retryable`, `Permanent` or `Unconfirmed`, and never tries a second time by itself.
        """

    def close(self) -> None:
        """Give back what is held open. Sends that are under way end by themselves."""
