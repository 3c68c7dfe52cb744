"""The stored payloads: what is kept beside the records of a log, by position and field, in a database of its own.

A row is position, 8 bytes, and the field's name → salt, 16 bytes, and the value in MessagePack. So what is kept of a
range of positions stands together, and what is kept of an event can be erased without reading the event.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.fitting import strange
from tallystick.ledger.payloads import Payloads, filled
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import read_records
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import Damaged, Row, Stored


class StoredPayloads:
    """The database of payloads of one log; None where the log has none yet."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    @property
    def is_known(self) -> bool:
        """Whether the log has such a database, as far as was looked."""
        return self._database is not None

    def add(self, txn: Transaction, payloads: Mapping[int, Payloads]) -> None:
        """Keep these."""
        items = [
            (keys.payload_key(position, name), payload)
            for position, fields in payloads.items()
            for name, payload in fields.items()
        ]
        txn.cursor(self._database).putmulti(items)

    def erase(self, txn: Transaction, positions: Iterable[int]) -> None:
        """Delete what is kept at these positions."""
        cursor = txn.cursor(self._database)
        for place in map(keys.event_key, positions):
            while cursor.set_range(place) and cursor.key().startswith(place):
                cursor.delete()

    def erase_until(self, txn: Transaction, position: int) -> None:
        """Delete what is kept up to a position."""
        if self._database is None:
            return
        cursor, end = txn.cursor(self._database), keys.event_key(position + 1)
        while cursor.first() and cursor.key() < end:
            cursor.delete()

    def is_empty(self, txn: Transaction) -> bool:
        """Whether nothing is kept."""
        return self._database is None or not txn.stat(self._database)["entries"]

    def between(self, txn: Transaction, first: int, last: int) -> list[Row]:
        """Return what is kept at the positions `first` … `last`, in their order."""
        if self._database is None:
            return []
        cursor = txn.cursor(self._database)
        if not cursor.set_range(keys.event_key(first)):
            return []
        end = keys.event_key(last + 1)
        return [_row(key, value) for key, value in takewhile(lambda item: item[0] < end, cursor.iternext())]

    def at(self, txn: Transaction, places: Iterable[bytes]) -> Iterator[Row]:
        """Yield what is kept at the places of these positions."""
        if self.is_empty(txn):
            return
        cursor = txn.cursor(self._database)
        for place in places:
            if cursor.set_range(place):
                here = takewhile(lambda item, place=place: item[0].startswith(place), cursor.iternext())  # type: ignore[misc]
                yield from (_row(key, value) for key, value in here)


def _row(key: bytes, value: bytes) -> Row:
    position, name = keys.payload_of(key)
    return position, name, value


def by_position(rows: Iterable[Row]) -> dict[int, dict[str, bytes]]:
    """Return what is kept of each event."""
    found: dict[int, dict[str, bytes]] = {}
    for position, name, payload in rows:
        found.setdefault(position, {})[name] = payload
    return found


def fill(records: Sequence[Stored], rows: Iterable[Row]) -> Sequence[Stored]:
    """Return records with what is kept of them; what is kept and cannot be read makes an event damaged."""
    kept = by_position(rows)
    return [whole(stored, kept.get(stored.position)) for stored in records] if kept else records


def whole(stored: Stored, payloads: Payloads | None) -> Stored:
    """Return one record with what is kept of it."""
    if payloads is None or not isinstance(stored, Event):
        return stored
    try:
        return filled(stored, payloads)
    except Corrupt as error:
        return Damaged(stored.position, error.detail)


def read_all(first: int, bodies: Sequence[bytes], payloads: Mapping[int, Payloads]) -> list[Event]:
    """Return the events that records are with their payloads, from the position `first` on. Raises `Corrupt`."""
    events: list[Event] = []
    for record in read_records(first, bodies):
        kept = payloads.get(record.position, {})
        event = whole(record, kept)
        if not isinstance(event, Event):
            raise Corrupt(event.detail, position=event.position)
        if foreign := strange(event.data, kept):
            raise Corrupt(f"what is kept of {', '.join(foreign)} is not what the record names", position=event.position)
        events.append(event)
    return events


def has_more(event: Event) -> bool:
    """Whether versions that know of no payloads would take an event for another one."""
    return event.data.aside is not None or event.data.__class__ in ERASURES
