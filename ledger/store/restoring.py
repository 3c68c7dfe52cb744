"""Restoring: records of another log, with what was kept beside it, become those of a log on disk, to the byte."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.payloads import Payloads, strange
from tallystick.ledger.store.codec import read_records
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.payloads import whole
from tallystick.ledger.store.port import NO_PAYLOADS


def restore(
    log: DiskLog,
    bodies: Sequence[bytes],
    claims_of: Callable[[Sequence[Event]], Mapping[bytes, bytes]],
    payloads: Mapping[int, Payloads] = NO_PAYLOADS,
) -> None:
    """Append records of another log as they are: in one transaction, durable on return.

    Raises as `append`, and `Corrupt` for bytes that are no event of their position, or payloads of others.
    """
    events: list[Event] = []
    for record in read_records(log.head() + 1, bodies):
        kept = payloads.get(record.position, {})
        event = whole(record, kept)
        if not isinstance(event, Event):
            raise Corrupt(event.detail, position=event.position)
        if foreign := strange(event.data, kept):
            raise Corrupt(f"what is kept of {', '.join(foreign)} is not what the record names", position=event.position)
        events.append(event)
    log.append(events, claims_of(events), payloads=payloads, bodies=bodies)
