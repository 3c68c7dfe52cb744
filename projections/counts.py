"""The read model "counts": how many tasks there are of each runtime and status."""

from collections import Counter
from collections.abc import Mapping, Sequence
from struct import Struct as Layout
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.lifecycle import ACTIVE, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.change import Changes, TaskChanges
from tallystick.projections.codes import BLOCKED_CODE, RUNTIME_CODES, RUNTIMES, SHOWN_CODES, STATUSES, shown_code
from tallystick.projections.keys import CELLS_KEY
from tallystick.projections.projection import Contents, Table, Whole

NAME = "counts"

Cell: TypeAlias = tuple[int, int]
"""The numbers of a runtime and of a shown status."""

CELLS: tuple[Cell, ...] = tuple(
    (runtime, shown) for runtime in sorted(RUNTIME_CODES.values()) for shown in sorted(SHOWN_CODES.values())
)
_LAYOUT = Layout(f">{len(CELLS)}Q")

_FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.LOST})


class Counts(Struct, frozen=True, rename="camel"):
    """How many tasks there are; pruned ones are left out.

    `by_status` has the seven statuses, and a blocked task counts there as the success that it is.
    `failures` are failed, timed out and lost; `issues` are the failures and the blocked.
    """

    total: int
    active: int
    terminal: int
    failures: int
    issues: int
    blocked: int
    by_status: dict[str, int]
    by_runtime: dict[str, int]


class Counting:
    """The number of tasks in each cell, all in one value."""

    name = NAME
    tables = (Table("cells"),)

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        moved = moves(changes.tasks)
        if moved:
            cells = read_cells(txn, tables[0])
            cells.update(moved)
            if any(cells.values()):
                txn.put(CELLS_KEY, _packed(cells), db=tables[0])
            else:  # all that there were are pruned: who reads the log anew finds nothing to count, too
                txn.delete(CELLS_KEY, db=tables[0])

    def contents(self, whole: Whole) -> Contents:
        cells = Counter(cell_of(record) for _, record in whole.tasks if record.pruned_at is None)
        return ([(CELLS_KEY, _packed(cells))] if cells else [],)


def cell_of(record: TaskRecord) -> Cell:
    """Return the cell that a task counts in."""
    return RUNTIME_CODES[record.runtime], shown_code(record)


def moves(changes: TaskChanges) -> Counter[Cell]:
    """Return how much each cell gains by the changes, or loses."""
    gains: Counter[Cell] = Counter()
    for change in changes.values():
        before, after = change.before, change.after
        if before is not None and before.pruned_at is None:
            if (
                before.status is after.status
                and before.terminal_outcome == after.terminal_outcome
                and after.pruned_at is None
            ):
                continue
            gains[cell_of(before)] -= 1
        if after.pruned_at is None:
            gains[cell_of(after)] += 1
    return gains


def read_cells(txn: Transaction, table: Database) -> Counter[Cell]:
    """Return the stored cells."""
    stored = txn.get(CELLS_KEY, db=table)
    return Counter() if stored is None else Counter(dict(zip(CELLS, _LAYOUT.unpack(stored), strict=True)))


def _packed(cells: Mapping[Cell, int]) -> bytes:
    return _LAYOUT.pack(*(cells.get(cell, 0) for cell in CELLS))


def counts_of(cells: Mapping[Cell, int]) -> Counts:
    """Return what the cells add up to."""
    by_status = {status.value: 0 for status in Status}
    by_runtime = {runtime.value: 0 for runtime in RUNTIMES.values()}
    blocked = 0
    for (runtime, shown), count in cells.items():
        status = STATUSES.get(shown, Status.SUCCEEDED)
        by_status[status] += count
        by_runtime[RUNTIMES[runtime]] += count
        blocked += count if shown == BLOCKED_CODE else 0
    total = sum(by_status.values())
    active = sum(by_status[status] for status in ACTIVE)
    failures = sum(by_status[status] for status in _FAILURES)
    return Counts(
        total=total,
        active=active,
        terminal=total - active,
        failures=failures,
        issues=failures + blocked,
        blocked=blocked,
        by_status=by_status,
        by_runtime=by_runtime,
    )
