"""From the log to the views: read models that are behind fold what they have not seen."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store.port import EventLog
from tallystick.projections import board, flows
from tallystick.projections.change import FlowLookup, Known, KnownFlow, Lookup, changes_of, nothing_known
from tallystick.projections.views import Sight, Views

SLICE_EVENTS = 8_192  # folded and written in one transaction

Progressed: TypeAlias = Callable[[int, int], None]
"""Told after every slice: how many events are done, of how many."""


def nobody(_done: int, _total: int) -> None:
    """Take note of nothing."""


class Unread(Struct, frozen=True):
    """What of the log says nothing: positions of damaged records, and tasks whose events do not follow each other."""

    damaged: tuple[int, ...] = ()
    skipped: tuple[Corrupt, ...] = ()


def catch_up(
    views: Views,
    log: EventLog,
    *,
    until: int | None = None,
    names: Collection[str] | None = None,
    slice_events: int = SLICE_EVENTS,
    progressed: Progressed = nobody,
) -> Unread:
    """Bring the read models (all, or those with these names) to the log's head, or to `until`.

    Those that are parked stay where they are. Every slice is one transaction.
    """
    end = log.head() if until is None else min(until, log.head())
    damaged: list[int] = []
    skipped: list[Corrupt] = []
    first: int | None = None
    while True:
        positions = sorted({position for name, position in views.moving(names).items() if position < end})
        if not positions:
            return Unread(tuple(damaged), tuple(skipped))
        after = positions[0]
        first = after if first is None else first
        # A slice ends where another read model stands, so that nobody sees half of one.
        last = min(after + slice_events, end, *positions[1:2])
        with views.read() as sight:
            assert sight is not None, "somebody else writes these views"
            folded = changes_of(
                log.read(after, last), known_at(sight, log, after), flows=flows_known_at(sight, log, after)
            )
        views.apply(folded.changes, after=after, until=last, names=names)
        damaged.extend(folded.damaged)
        skipped.extend(folded.skipped.values())
        progressed(last - first, end - first)


def known_at(sight: Sight, log: EventLog, position: int) -> Lookup:
    """Return what tells how a task stood at a position: the rows if they stand there, else the task's own events."""
    if position == 0:
        return nothing_known
    if sight.position(board.NAME) == position:
        tables = sight.tables[board.NAME]

        def from_rows(stream: bytes) -> Known:
            return board.known(sight.txn, tables, stream)

        return from_rows

    def from_log(stream: bytes) -> Known:
        history = [record for record in log.stream(stream) if record.position <= position]
        change = changes_of(history, nothing_known).changes.tasks.get(stream)
        return change.after if change else None

    return from_log


def flows_known_at(sight: Sight, log: EventLog, position: int) -> FlowLookup:
    """Return what tells how a flow stood at a position: the rows if they stand there, else the flow's own events."""
    if position == 0:
        return nothing_known
    if sight.position(flows.NAME) == position:
        tables = sight.tables[flows.NAME]
        return lambda stream: flows.known(sight.txn, tables, stream)

    def from_log(stream: bytes) -> KnownFlow:
        history = [record for record in log.stream(stream) if record.position <= position]
        change = changes_of(history, nothing_known).changes.flows.get(stream)
        return change.after if change else None

    return from_log
