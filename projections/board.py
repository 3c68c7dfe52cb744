"""The read model "board": a row for every task, the index that lists read, and the names that tasks are found by."""

from collections.abc import Iterable, Sequence

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes, Known
from tallystick.projections.keys import index_heading, name_headings, place
from tallystick.projections.places import Entry, Groups, add, remove
from tallystick.projections.projection import Contents, Table, put_all
from tallystick.projections.rows import pack, pack_tombstone, read_tombstone, unpack

NAME = "board"
ROWS, INDEX, NAMES, TOMBSTONES = range(4)

_MANY_NAMES = 8  # new tasks of one session in a batch; most names have one, and are not looked for first


class Board:
    """Every task as it stands, by id, by runtime and status, and by name; of a pruned one its tombstone."""

    name = NAME
    tables = (Table("rows"), Table("index", of_places=True), Table("names", of_places=True), Table("tombstones"))

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        rows: list[tuple[bytes, bytes]] = []
        index: Groups = {}
        names: Groups = {}
        gone: list[Entry] = []
        gone_names: list[Entry] = []
        for stream in sorted(changes):
            before, after = changes[stream].before, changes[stream].after
            here = place(stream, after)
            cell_before, names_before = _headings(before)
            if after.pruned_at is None:
                cell, known_as = _headings(after)
                rows.append((stream, pack(after)))
            else:
                cell, known_as = _NOWHERE
                txn.delete(stream, db=tables[ROWS])
                txn.put(stream, pack_tombstone(after), db=tables[TOMBSTONES])
            if cell != cell_before:
                if cell_before is not None:
                    gone.append((cell_before, here))
                if cell is not None:
                    index.setdefault(cell, []).append(here)
            if known_as != names_before:
                gone_names.extend([(name, here) for name in names_before if name not in known_as])
                for name in known_as:
                    if name not in names_before:
                        names.setdefault(name, []).append(here)
        put_all(txn, tables[ROWS], rows)
        remove(txn, tables[INDEX], gone)
        add(txn, tables[INDEX], index)
        remove(txn, tables[NAMES], gone_names)
        add(txn, tables[NAMES], names, least=_MANY_NAMES)

    def contents(self, records: Iterable[tuple[bytes, TaskRecord]]) -> Contents:
        rows: list[Entry] = []
        index: list[Entry] = []
        names: list[Entry] = []
        tombstones: list[Entry] = []
        for stream, record in records:
            if record.pruned_at is not None:
                tombstones.append((stream, pack_tombstone(record)))
                continue
            here = place(stream, record)
            rows.append((stream, pack(record)))
            index.append((index_heading(record), here))
            names.extend((name, here) for name in set(name_headings(record)))
        return (rows, index, names, tombstones)


_NOWHERE: tuple[None, list[bytes]] = (None, [])


def _headings(record: TaskRecord | None) -> tuple[bytes | None, list[bytes]]:
    """Where in the indexes a task stands."""
    return _NOWHERE if record is None else (index_heading(record), name_headings(record))


def known(txn: Transaction, tables: Sequence[Database], stream: bytes) -> Known:
    """Return what the board has of a task: its record, its tombstone, or None."""
    row = txn.get(stream, db=tables[ROWS])
    if row is not None:
        return unpack(stream, row)
    tombstone = txn.get(stream, db=tables[TOMBSTONES])
    return None if tombstone is None else read_tombstone(tombstone)
