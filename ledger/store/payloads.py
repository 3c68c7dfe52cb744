"""The stored payloads: what is kept beside the records of a log, by position and field, in a database of its own.

A row is position, 8 bytes, and the field's name → salt, 16 bytes, and the value in MessagePack. So what is kept of a
range of positions stands together, and what is kept of an event can be erased without reading the event.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, takewhile

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import ERASURES, Event
from tallystick.ledger.payloads import Payloads, filled, stripped
from tallystick.ledger.store import keys
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import Damaged, Row, Stored
from tallystick.ledger.store.stored_index import StoredIndex


class StoredPayloads:
    """The database of payloads of one log."""

    def __init__(self, database: Database | None, path: str) -> None:
        if database is None:
            raise Corrupt(f"{path} has a log that lacks what is kept beside it")
        self._database = database

    # In the transaction of whoever reads or writes the records.

    def write(
        self, txn: Transaction, events: Sequence[Event], payloads: Mapping[int, Payloads], index: StoredIndex
    ) -> bool:
        """Keep these, and delete what the erasures among the events erase.

        Returns whether versions that know of no payloads would take any of the events for another one.
        """
        items = [
            (keys.payload_key(position, name), payload)
            for position, fields in payloads.items()
            for name, payload in fields.items()
        ]
        txn.cursor(self._database).putmulti(items)
        is_later = False
        for event in events:
            is_erasure = event.data.__class__ in ERASURES
            is_later |= is_erasure or event.data.aside is not None
            if is_erasure:
                positions = index.positions(txn, [event.stream])[event.stream]
                self._erase(txn, (each for each in positions if each < event.position))
        return is_later

    def _erase(self, txn: Transaction, positions: Iterable[int]) -> None:
        cursor = txn.cursor(self._database)
        for place in map(keys.event_key, positions):
            while cursor.set_range(place) and cursor.key().startswith(place):
                cursor.delete()

    def erase_until(self, txn: Transaction, position: int) -> None:
        """Delete what is kept up to a position."""
        cursor, end = txn.cursor(self._database), keys.event_key(position + 1)
        while cursor.first() and cursor.key() < end:
            cursor.delete()

    def between(self, txn: Transaction, first: int, last: int, limit: int | None = None) -> list[Row]:
        """Return what is kept at the positions `first` … `last`, in their order, the first `limit` rows of it."""
        cursor = txn.cursor(self._database)
        if not cursor.set_range(keys.event_key(first) if first else keys.LEAST):
            return []
        end = keys.event_key(last)
        rows = takewhile(lambda item: item[0][: keys.POSITION_BYTES] <= end, islice(cursor.iternext(), limit))
        return [_row(key, value) for key, value in rows]

    def at(self, txn: Transaction, places: Iterable[bytes]) -> list[Row]:
        """Return what is kept at the places of these positions."""
        cursor = txn.cursor(self._database)
        found: list[Row] = []
        for place in places:
            here = cursor.set_range(place)
            while here and (key := cursor.key()).startswith(place):
                found.append(_row(key, cursor.value()))
                here = cursor.next()
        return found

    # What it is with the records.

    @staticmethod
    def stripped(events: Iterable[Event]) -> list[Event]:
        """Return events as their records have them."""
        return list(map(stripped, events))

    @staticmethod
    def filled(records: Sequence[Stored], rows: Iterable[Row]) -> Sequence[Stored]:
        """As `fill`."""
        return fill(records, rows)


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
