"""The port of a read model: what it stores of every task or flow, and how it follows what changes."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes


class Table(Struct, frozen=True):
    """A table of a read model: values by key, or places under headings."""

    name: str
    of_places: bool = False


Contents: TypeAlias = tuple[Iterable[tuple[bytes, bytes]], ...]
"""What stands in each table of a read model: keys and values, or headings and places."""


Flows: TypeAlias = Iterable[tuple[bytes, FlowRecord]]
"""Flows that have events of their own, by id."""


class Projection(Protocol):
    """A fold over the log, kept on disk. What it stores follows from the records alone, not from their way there."""

    @property
    def name(self) -> str:
        """What people call it; tables are named after it."""
        ...

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables, in the order in which `apply` and `contents` have them."""
        ...

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        """Write what the changes change. MUST read and write nothing but its tables, through `txn`."""
        ...

    def contents(self, tasks: Iterable[tuple[bytes, TaskRecord]], flows: Flows) -> Contents:
        """Return what the tables must have, in any order, when these are all there are: what `check` holds them to."""
        ...


def put_all(txn: Transaction, table: Database, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Put the items, which should be sorted: neighbours land on the same page."""
    if items:
        txn.cursor(table).putmulti(items)
