"""Frozen: a message as it was put into the log, by its position there."""

from typing import TypeVar

from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryWithheld
from tallystick.ledger.payloads import lacking
from tallystick.ledger.store.port import EventLog

Message = TypeVar("Message", DeliveryQueued, DeliveryWithheld)


def message_at(log: EventLog, position: int) -> DeliveryQueued | None:
    """Return the message that was frozen at a position; None when it cannot be read any more, or was erased."""
    return _fact_at(log, position, DeliveryQueued)


def withheld_at(log: EventLog, position: int) -> DeliveryWithheld | None:
    """Return the message that was withheld at a position; None when it cannot be read any more, or was erased."""
    return _fact_at(log, position, DeliveryWithheld)


def _fact_at(log: EventLog, position: int, kind: type[Message]) -> Message | None:
    for stored in log.read(position - 1, position):
        if isinstance(stored, Event) and isinstance(stored.data, kind):
            return None if lacking(stored.data) else stored.data
    return None
