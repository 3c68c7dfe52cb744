"""A desk whose actors tell somebody, and a look at whom."""

from tallystick.actors.telling import Telling
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.store.port import EventLog
from tests.actors.parts import STREAMS, Desk, FullLog, facts
from tests.announced import SERVED

STREAM = STREAMS[0]


def telling_desk(log: FullLog | None = None, **more: object) -> Desk:
    """A desk whose actors tell somebody."""
    desk = Desk(log)
    desk.directory.telling = Telling(desk.log, **{"channels": SERVED.channels, **more})  # type: ignore[arg-type]
    return desk


def messages(desk: Desk, stream: bytes = STREAM) -> list[DeliveryQueued]:
    return [data for data in facts(desk.log, stream) if isinstance(data, DeliveryQueued)]


def noted(log: EventLog, note: tuple[bytes, bytes] | None) -> None:
    """Make a note durable."""
    assert note is not None
    log.append([], notes=dict([note]))
