"""The read model "board": a row for every task, the index that lists read, and the names that tasks are found by."""

from collections.abc import Iterable, Sequence

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes, Known
from tallystick.projections.keys import index_key, name_keys, place
from tallystick.projections.projection import Contents, delete_all, put_all
from tallystick.projections.rows import pack, pack_tombstone, read_tombstone, unpack

NAME = "board"
ROWS, INDEX, NAMES, TOMBSTONES = range(4)

_NOTHING = b""


class Board:
    """Every task as it stands, by id, by runtime and status, and by name; of a pruned one its tombstone."""

    name = NAME
    tables = ("rows", "index", "names", "tombstones")

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        rows: dict[bytes, bytes] = {}
        tombstones: dict[bytes, bytes] = {}
        entries: list[bytes] = []
        names: list[bytes] = []
        gone: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
        for stream, change in changes.items():
            before, after = change.before, change.after
            here = place(stream, after)
            if after.pruned_at is not None:
                tombstones[stream] = pack_tombstone(after)
                if before is not None:
                    gone[ROWS].append(stream)
                    gone[INDEX].append(index_key(here, before))
                    gone[NAMES].extend(name_keys(here, before))
                continue
            rows[stream] = pack(after)
            entry, keys = index_key(here, after), name_keys(here, after)
            if before is None:
                entries.append(entry)
                names.extend(keys)
                continue
            entry_before = index_key(here, before)
            if entry != entry_before:
                gone[INDEX].append(entry_before)
                entries.append(entry)
            keys_before = name_keys(here, before)
            if keys != keys_before:
                gone[NAMES].extend(set(keys_before).difference(keys))
                names.extend(set(keys).difference(keys_before))
        for table, keys in enumerate(gone):
            delete_all(txn, tables[table], keys)
        put_all(txn, tables[ROWS], sorted(rows.items()))
        put_all(txn, tables[INDEX], [(key, _NOTHING) for key in sorted(entries)])
        put_all(txn, tables[NAMES], [(key, _NOTHING) for key in sorted(names)])
        put_all(txn, tables[TOMBSTONES], sorted(tombstones.items()))

    def contents(self, records: Iterable[tuple[bytes, TaskRecord]]) -> Contents:
        rows: dict[bytes, bytes] = {}
        index: dict[bytes, bytes] = {}
        names: dict[bytes, bytes] = {}
        tombstones: dict[bytes, bytes] = {}
        for stream, record in records:
            if record.pruned_at is not None:
                tombstones[stream] = pack_tombstone(record)
                continue
            here = place(stream, record)
            rows[stream] = pack(record)
            index[index_key(here, record)] = _NOTHING
            names.update(dict.fromkeys(name_keys(here, record), _NOTHING))
        return (rows, index, names, tombstones)


def known(txn: Transaction, tables: Sequence[Database], stream: bytes) -> Known:
    """Return what the board has of a task: its record, its tombstone, or None."""
    row = txn.get(stream, db=tables[ROWS])
    if row is not None:
        return unpack(stream, row)
    tombstone = txn.get(stream, db=tables[TOMBSTONES])
    return None if tombstone is None else read_tombstone(tombstone)
