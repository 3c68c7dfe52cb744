"""The outline of a log on disk: what it says of itself, in one snapshot."""

from collections.abc import Mapping
from itertools import islice, takewhile

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import Outline
from tallystick.ledger.store.stored_tree import StoredEnd, StoredTree

NAMED_MAX = 16  # records behind the head, and where the archive has them


def outlined(txn: Transaction, databases: Mapping[bytes, Database], stored: StoredTree, end: StoredEnd) -> Outline:
    """Return what the log says of itself, but for what its archive says."""
    size, ends = end.said(txn), end.size(txn)
    try:
        edge = stored.edge(txn)
    except Corrupt:
        edge = None
    events, archived = databases[keys.EVENTS], end.archived(txn)
    return Outline(
        size=size,
        end=ends,
        last=end.last(txn),
        edge=edge,
        partials=tuple(stored.partials(txn, ends)),
        records=txn.stat(events)["entries"] + archived,
        index_rows=txn.stat(databases[keys.STREAMS])["entries"],
        beyond=_taken(txn, events, size + 1, keys.POSITION_MAX),
        archived=archived,
        planted=_taken(txn, events, 1, archived),
        tiles=txn.stat(databases[keys.TILES])["entries"],
    )


def _taken(txn: Transaction, events: Database, first: int, last: int) -> tuple[int, ...]:
    """The first of these positions that have records."""
    cursor = txn.cursor(events)
    if first > last or not cursor.set_range(keys.event_key(first)):
        return ()
    found = takewhile(lambda key: key <= keys.event_key(last), islice(cursor.iternext(values=False), NAMED_MAX))
    return tuple(keys.position_of(key) for key in found if len(key) == keys.POSITION_BYTES)
