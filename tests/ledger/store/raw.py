"""A log's folder as LMDB sees it: what a damaged disk, or somebody with an editor, could do to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from tallystick.ledger.store.keys import EVENTS, STREAMS, event_key

Rows = list[tuple[str, str, str]]


@contextmanager
def opened(path: Path) -> Iterator[Callable[[bytes], "Database"]]:
    """Give access to databases by name, in one transaction; no log may have the folder open."""
    with lmdb.open(str(path), max_dbs=8, map_size=1 << 28) as env:
        known = {name: env.open_db(name, dupsort=name == STREAMS, dupfixed=name == STREAMS) for name in names(env)}
        with env.begin(write=True) as txn:
            yield lambda name: Database(txn, known[name])


def names(env: "lmdb.Environment") -> list[bytes]:
    with env.begin() as txn:
        return list(txn.cursor().iternext(values=False))


class Database:
    """One database in the transaction of `opened`."""

    def __init__(self, txn: "lmdb.Transaction[bytes]", database: "lmdb._Database") -> None:
        self._txn = txn
        self._database = database

    def __getitem__(self, key: bytes) -> bytes:
        value = self._txn.get(key, db=self._database)
        assert value is not None, key
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=self._database)

    def __delitem__(self, key: bytes) -> None:
        assert self._txn.delete(key, db=self._database)

    def remove(self, key: bytes, value: bytes) -> None:
        """Take one value out of the set that a key has."""
        assert self._txn.delete(key, value, db=self._database)

    def rows(self) -> list[tuple[bytes, bytes]]:
        return list(self._txn.cursor(self._database))


def make_database(path: Path, name: bytes, rows: list[tuple[bytes, bytes]], *, is_set: bool = False) -> None:
    with lmdb.open(str(path), max_dbs=8) as env:
        database = env.open_db(name, dupsort=is_set, dupfixed=is_set)
        with env.begin(write=True) as txn:
            for key, value in rows:
                txn.put(key, value, db=database)


def all_rows(path: Path) -> Rows:
    """Everything that a log's folder has: database, key and value, in hexadecimal."""
    with lmdb.open(str(path), max_dbs=8, readonly=True) as env:
        found = []
        for name in names(env):
            database = env.open_db(name, create=False)
            with env.begin() as txn:
                found += [(name.decode(), key.hex(), value.hex()) for key, value in txn.cursor(database)]
        return found


def change_record(path: Path, position: int, change: Callable[[bytes], bytes]) -> None:
    """Give the record at a position other bytes."""
    with opened(path) as database:
        events = database(EVENTS)
        events[event_key(position)] = change(events[event_key(position)])


def cut_record(path: Path, position: int) -> None:
    """Take the record at a position out."""
    with opened(path) as database:
        del database(EVENTS)[event_key(position)]


def flipped(body: bytes, at: int = -1) -> bytes:
    """The same bytes, but for one bit."""
    changed = bytearray(body)
    changed[at] ^= 1
    return bytes(changed)
