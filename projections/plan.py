"""The plan of a query: the headings of one index under which all its answers stand."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from tallystick.ledger.lifecycle import ACTIVE, BLOCKED, Status
from tallystick.projections import board
from tallystick.projections.codes import BLOCKED_CODE, RUNTIME_CODES, SHOWN_CODES, STATUS_CODES
from tallystick.projections.counts import CELLS, Cell
from tallystick.projections.keys import ACTIVE_KINDS, ENDED_KINDS, NameKind, cell_heading, name_heading
from tallystick.projections.query import Query

FEW_TASKS = 2_048  # to look at each of so many is cheaper than to go through all that a session ever owned

ACTIVE_CELLS = frozenset(cell for cell in CELLS if cell[1] in {STATUS_CODES[status] for status in ACTIVE})
ENDED_CELLS = frozenset(CELLS) - ACTIVE_CELLS


class Plan(Struct, frozen=True):
    """A table of the board, and the headings to look under."""

    table: int
    headings: list[bytes]


def cells_of(query: Query) -> frozenset[Cell]:
    """Return the runtimes and shown statuses that a query lets through."""
    runtimes = RUNTIME_CODES.values() if query.runtime is None else (RUNTIME_CODES[query.runtime],)
    if query.status is None:
        shown: Collection[int] = SHOWN_CODES.values()
    elif query.status == Status.SUCCEEDED:  # a blocked task is one
        shown = (SHOWN_CODES[Status.SUCCEEDED], BLOCKED_CODE)
    else:
        shown = (SHOWN_CODES[query.status],)
    return frozenset((runtime, code) for runtime in runtimes for code in shown)


def row_cell(runtime: int, status: int, outcome: str | None) -> Cell:
    """Return the cell of a row, from its numbers."""
    if outcome == BLOCKED and status == STATUS_CODES[Status.SUCCEEDED]:
        return runtime, BLOCKED_CODE
    return runtime, status


def plan_of(query: Query, cells: Collection[Cell], sizes: Mapping[Cell, int]) -> Plan:
    """Return where to look for what passes the query and is in one of the cells.

    `sizes` is how many tasks each cell has, about.
    """
    by_name = _names(query, cells)
    if by_name and sum(sizes.get(cell, 0) for cell in cells) > FEW_TASKS:
        return Plan(board.NAMES, by_name)
    return Plan(board.INDEX, [cell_heading(*cell) for cell in sorted(cells)])


def _names(query: Query, cells: Collection[Cell]) -> list[bytes]:
    if query.run_id is not None:
        return [name_heading(NameKind.RUN, query.run_id)]
    if query.parent is not None:
        return [name_heading(NameKind.PARENT, query.parent)]
    kinds: list[NameKind] = []
    if not ACTIVE_CELLS.isdisjoint(cells):
        kinds.extend(ACTIVE_KINDS)
    if not ENDED_CELLS.isdisjoint(cells):
        kinds.extend(ENDED_KINDS)
    if query.session is not None:
        return [name_heading(kind, query.session) for kind in kinds]
    if query.owner is not None:
        owners = (NameKind.OWNER_ACTIVE, NameKind.OWNER_ENDED)
        return [name_heading(kind, query.owner) for kind in kinds if kind in owners]
    return []
