"""The read model "board": a row for every task, the index that lists read, and the names that tasks are found by."""

from collections.abc import Sequence

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes, Known
from tallystick.projections.keys import changing_headings, index_heading, name_headings, place
from tallystick.projections.places import Entry, Groups, add, remove
from tallystick.projections.projection import Contents, Table, Whole, put_all
from tallystick.projections.rows import pack, pack_tombstone, read_tombstone, unpack

NAME = "board"
ROWS, INDEX, NAMES, TOMBSTONES = range(4)

_MANY_NAMES = 8  # new tasks of one session in a batch; most names have one, and are not looked for first


class Board:
    """Every task as it stands, by id, by runtime and status, and by name; of a pruned one its tombstone."""

    name = NAME
    tables = (Table("rows"), Table("index", of_places=True), Table("names", of_places=True), Table("tombstones"))

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        writes = _Writes()
        tasks = changes.tasks
        for stream in sorted(tasks):
            change = tasks[stream]
            before, after = change.before, change.after
            if after.pruned_at is not None:
                writes.pruned(stream, before, after)
            elif before is None:
                writes.born(stream, after)
            else:
                writes.moved(stream, before, after)
        writes.write(txn, tables)

    def contents(self, whole: Whole) -> Contents:
        rows: list[Entry] = []
        index: list[Entry] = []
        names: list[Entry] = []
        tombstones: list[Entry] = []
        for stream, record in whole.tasks:
            if record.pruned_at is not None:
                tombstones.append((stream, pack_tombstone(record)))
                continue
            here = place(stream, record)
            rows.append((stream, pack(record)))
            index.append((index_heading(record), here))
            names.extend((name, here) for name in set(name_headings(record)))
        return (rows, index, names, tombstones)


class _Writes:
    """What changes amount to in each table."""

    __slots__ = ("index", "index_gone", "names", "names_gone", "rows", "rows_gone", "tombstones")

    def __init__(self) -> None:
        self.rows: list[Entry] = []
        self.rows_gone: list[bytes] = []
        self.tombstones: list[Entry] = []
        self.index: Groups = {}
        self.index_gone: list[Entry] = []
        self.names: Groups = {}
        self.names_gone: list[Entry] = []

    def born(self, stream: bytes, record: TaskRecord) -> None:
        """Nothing of the task is stored yet."""
        here = place(stream, record)
        self.rows.append((stream, pack(record)))
        self.index.setdefault(index_heading(record), []).append(here)
        for name in name_headings(record):
            self.names.setdefault(name, []).append(here)

    def moved(self, stream: bytes, before: TaskRecord, after: TaskRecord) -> None:
        """What is stored follows from the record before; most changes touch the row alone."""
        self.rows.append((stream, pack(after)))
        if before.status is not after.status or before.terminal_outcome != after.terminal_outcome:
            here = place(stream, after)
            self.index_gone.append((index_heading(before), here))
            self.index.setdefault(index_heading(after), []).append(here)
        if before.parent_task_id != after.parent_task_id or before.parent_flow_id != after.parent_flow_id:
            self._rename(place(stream, after), name_headings(before), name_headings(after))
        elif before.is_active is not after.is_active:
            self._rename(place(stream, after), changing_headings(before), changing_headings(after))

    def _rename(self, here: bytes, names_before: list[bytes], names: list[bytes]) -> None:
        self.names_gone.extend([(name, here) for name in names_before if name not in names])
        for name in names:
            if name not in names_before:
                self.names.setdefault(name, []).append(here)

    def pruned(self, stream: bytes, before: TaskRecord | None, after: TaskRecord) -> None:
        """Only a tombstone stays."""
        self.tombstones.append((stream, pack_tombstone(after)))
        if before is not None:
            here = place(stream, before)
            self.rows_gone.append(stream)
            self.index_gone.append((index_heading(before), here))
            self.names_gone.extend([(name, here) for name in name_headings(before)])

    def write(self, txn: Transaction, tables: Sequence[Database]) -> None:
        put_all(txn, tables[ROWS], self.rows)
        put_all(txn, tables[TOMBSTONES], self.tombstones)
        for stream in self.rows_gone:
            txn.delete(stream, db=tables[ROWS])
        remove(txn, tables[INDEX], self.index_gone)
        add(txn, tables[INDEX], self.index)
        remove(txn, tables[NAMES], self.names_gone)
        add(txn, tables[NAMES], self.names, least=_MANY_NAMES)


def known(txn: Transaction, tables: Sequence[Database], stream: bytes) -> Known:
    """Return what the board has of a task: its record, its tombstone, or None."""
    row = txn.get(stream, db=tables[ROWS])
    if row is not None:
        return unpack(stream, row)
    tombstone = txn.get(stream, db=tables[TOMBSTONES])
    return None if tombstone is None else read_tombstone(tombstone)
