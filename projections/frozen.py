"""Frozen: a message as it was put into the log, by its position there."""

from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.store.port import EventLog


def message_at(log: EventLog, position: int) -> DeliveryQueued | None:
    """Return the message that was frozen at a position; None when it cannot be read any more."""
    for stored in log.read(position - 1, position):
        if isinstance(stored, Event) and isinstance(stored.data, DeliveryQueued):
            return stored.data
    return None
