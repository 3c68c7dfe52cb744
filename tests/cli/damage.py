"""Damage for tests: what a faulty disk, or somebody with an editor, does to a ledger."""

from collections.abc import Callable
from pathlib import Path

import lmdb

from tallystick.ledger.store import keys
from tallystick.readings import LOG_FOLDER


def change_record(ledger: Path, position: int, change: Callable[[bytes], bytes]) -> None:
    """Write other bytes where a record stands."""
    environment = lmdb.open(str(ledger / LOG_FOLDER), max_dbs=16)
    events = environment.open_db(keys.EVENTS, create=False)
    with environment.begin(write=True) as txn:
        key = keys.event_key(position)
        stored = txn.get(key, db=events)
        assert stored is not None
        txn.put(key, change(bytes(stored)), db=events)
    environment.close()


def set_format(ledger: Path, number: int) -> None:
    """Make it look as if another version had written the log."""
    environment = lmdb.open(str(ledger / LOG_FOLDER), max_dbs=16)
    meta = environment.open_db(keys.META, create=False)
    with environment.begin(write=True) as txn:
        txn.put(keys.FORMAT, keys.format_value(number), db=meta)
    environment.close()
