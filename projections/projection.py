"""The port of a read model: what it stores of every task, and how it follows what changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes

Contents: TypeAlias = tuple[Mapping[bytes, bytes], ...]
"""What stands in each table of a read model: values by key."""


class Projection(Protocol):
    """A fold over the log, kept on disk. What it stores follows from the records alone, not from their way there."""

    @property
    def name(self) -> str:
        """What people call it; tables are named after it."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables, in the order in which `apply` and `contents` have them."""
        ...

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        """Write what the changes change. MUST read and write nothing but its tables, through `txn`."""
        ...

    def contents(self, records: Iterable[tuple[bytes, TaskRecord]]) -> Contents:
        """Return what the tables must have when these are all tasks: what `check` holds the disk to."""
        ...


def put_all(txn: Transaction, table: Database, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Put the items, which should be sorted: neighbours land on the same page."""
    if items:
        txn.cursor(table).putmulti(items)


def delete_all(txn: Transaction, table: Database, keys: Sequence[bytes]) -> None:
    """Delete the keys, if they are there."""
    for key in sorted(keys):
        txn.delete(key, db=table)
