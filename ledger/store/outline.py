"""The outline of a log on disk: what it says of itself, in one snapshot."""

from collections.abc import Mapping
from itertools import islice

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import Outline
from tallystick.ledger.store.stored_tree import StoredEnd, StoredTree

BEYOND_MAX = 16  # records behind the head that are named


def outlined(txn: Transaction, databases: Mapping[bytes, Database], stored: StoredTree, end: StoredEnd) -> Outline:
    """Return what the log says of itself, but for what its archive says."""
    size, ends = end.said(txn), end.size(txn)
    try:
        edge = stored.edge(txn)
    except Corrupt:
        edge = None
    cursor = txn.cursor(databases[keys.EVENTS])
    more = cursor.set_range(keys.event_key(size + 1))
    behind = islice(cursor.iternext(values=False), BEYOND_MAX) if more else ()
    archived = end.archived(txn)
    return Outline(
        size=size,
        end=ends,
        last=end.last(txn),
        edge=edge,
        partials=tuple(stored.partials(txn, ends)),
        records=txn.stat(databases[keys.EVENTS])["entries"] + archived,
        index_rows=txn.stat(databases[keys.STREAMS])["entries"],
        beyond=tuple(keys.position_of(key) for key in behind if len(key) == keys.POSITION_BYTES),
        archived=archived,
        tiles=txn.stat(databases[keys.TILES])["entries"],
    )
