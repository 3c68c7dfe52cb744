"""The port of a read model: what it stores of every task or flow, and how it follows what changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Broken, Changes, Damages


class Table(Struct, frozen=True):
    """A table of a read model: values by key, or places under headings."""

    name: str
    of_places: bool = False


Contents: TypeAlias = tuple[Iterable[tuple[bytes, bytes]], ...]
"""What stands in each table of a read model: keys and values, or headings and places."""


class Whole(Struct, frozen=True):
    """All that a log tells: tasks, flows that have events of their own, and what of it says nothing."""

    tasks: Iterable[tuple[bytes, TaskRecord]] = ()
    flows: Iterable[tuple[bytes, FlowRecord]] = ()
    broken: Mapping[bytes, Broken] = field(default_factory=dict)
    damaged: Damages = ()


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

    def contents(self, whole: Whole) -> Contents:
        """Return what the tables must have, in any order, when this is all there is: what `check` holds them to."""
        ...


def put_all(txn: Transaction, table: Database, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Put the items, which should be sorted: neighbours land on the same page."""
    if items:
        txn.cursor(table).putmulti(items)
