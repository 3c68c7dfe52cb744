"""The index of the streams as the database of a log has it, in the transaction of whoever reads or writes it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from struct import Struct

from tallystick.ledger.errors import Corrupt, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES, id_text
from tallystick.ledger.store import keys
from tallystick.ledger.store.batch import Index, Items
from tallystick.ledger.store.mapping import Database, Transaction

_ROW = Struct(f">{ID_BYTES}sQ")  # a stream, and a position as `keys.event_key` has it


class StoredIndex:
    """The positions of the events of each stream, in the order of their versions."""

    def __init__(self, streams: Database) -> None:
        self._streams = streams

    def add(self, txn: Transaction, index: Index) -> bool:
        """Write the rows of a batch; False unless every event is the next of its stream."""
        cursor = txn.cursor(self._streams)
        for stream, count in index.counts.items():
            if not cursor.set_key(stream) or cursor.count() != count:
                return False
        if index.first:
            _, added = cursor.putmulti(index.first, overwrite=False)
            if added != len(index.first):
                return False
        if index.next:
            _, added = cursor.putmulti(index.next, append=True)
            if added != len(index.next):
                return False
        return True

    def refuse(self, txn: Transaction, events: Sequence[Event]) -> None:
        """Raise for the event that is not the next of its stream: slow, and right whatever the batch has."""
        cursor = txn.cursor(self._streams)
        versions: dict[bytes, int] = {}
        for event in events:
            actual = versions.get(event.stream)
            if actual is None:  # this transaction may have written of the stream already
                found = cursor.getmulti([event.stream], dupdata=True)
                actual = sum(keys.position_of(place) < events[0].position for _, place in found)
            if event.version != actual + 1:
                raise WrongVersion(id_text(event.stream), expected=event.version - 1, actual=actual)
            versions[event.stream] = event.version
        raise Corrupt("the index of the streams contradicts the head", position=events[0].position)

    def newest(self, txn: Transaction, streams: Sequence[bytes]) -> Items:
        """The places of the newest events of these streams; those that have none are left out."""
        cursor = txn.cursor(self._streams)
        return [(stream, cursor.value()) for stream in streams if cursor.set_key(stream) and cursor.last_dup()]

    def positions(self, txn: Transaction, streams: Sequence[bytes]) -> Mapping[bytes, Sequence[int]]:
        """All that these streams have; those that have none are left out."""
        # As one array, which costs a third of a pair of bytes for each row.
        rows = txn.cursor(self._streams).getmulti(
            streams, dupdata=True, dupfixed_bytes=keys.POSITION_BYTES, keyfixed=True
        )
        found: defaultdict[bytes, list[int]] = defaultdict(list)
        for stream, position in _ROW.iter_unpack(rows):
            found[stream].append(position)
        return found

    def positions_behind(self, txn: Transaction, stream: bytes, position: int, count: int) -> Sequence[int]:
        """So many that a stream has behind one of its positions; none when it does not have that."""
        cursor = txn.cursor(self._streams)
        if not cursor.set_key_dup(stream, keys.event_key(position)) or not cursor.next_dup():
            return ()
        return [int.from_bytes(place) for place in islice(cursor.iternext_dup(), count)]
