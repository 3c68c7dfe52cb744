"""The readings of flows: what can be asked of them, in the process that owns the ledger or beside it."""

from collections import Counter
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.projections.counts import Counts, cell_of, counts_of
from tallystick.projections.flow_list import FlowCounts, FlowList
from tallystick.projections.flow_query import FlowPage, FlowQuery
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen

Tasks: TypeAlias = list[TaskRecord]


class FlowShown(Struct, frozen=True):
    """A flow, its tasks, the newest first, and how many of them there are."""

    flow: FlowRecord
    tasks: Tasks
    summary: Counts


class FlowShownPage(Struct, frozen=True):
    """Some flows, newest first; the cursor with which the same query goes on; and how many flows there are in all."""

    flows: list[FlowShown]
    next_cursor: str | None
    counts: FlowCounts


def _shown(found: FlowList, flow: FlowRecord) -> FlowShown:
    tasks = found.tasks(flow)
    return FlowShown(flow, tasks, counts_of(Counter(map(cell_of, tasks))))


class FlowReadings:
    """Answers questions about flows, each exact to the log's head at the moment of asking. Any thread may ask."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, flow_id: str) -> FlowRecord:
        """Return the flow with this id. Raises `NotFound`, or `Pruned` when retention removed it."""
        named = fields.required_key("flow_id", flow_id)
        return self._reader.answer(lambda seen: FlowList(seen).get(named))

    def find(self, token: str) -> FlowRecord:
        """Return the flow with this id, else the only active one of this owner.

        Raises `NotFound`, `Pruned`, `Ambiguous`.
        """
        return self._reader.answer(lambda seen: FlowList(seen).find(token))

    def list(self, **filters: Any) -> FlowPage:
        """Return flows newest first. Raises `InvalidInput` for a filter that is not allowed."""
        query = FlowQuery.of(filters)
        return self._reader.answer(lambda seen: FlowList(seen).list(query))

    def tasks(self, flow_id: str) -> Tasks:
        """Return the tasks of a flow, the newest first. Raises `NotFound`, `Pruned`."""

        def tasks(seen: Seen) -> Tasks:
            found = FlowList(seen)
            return found.tasks(found.get(flow_id))

        return self._reader.answer(tasks)

    def shown(self, flow_id: str) -> FlowShown:
        """Return the flow with this id and its tasks, as of one moment. Raises `NotFound`, `Pruned`."""

        def shown(seen: Seen) -> FlowShown:
            found = FlowList(seen)
            return _shown(found, found.get(flow_id))

        return self._reader.answer(shown)

    def shown_page(self, **filters: Any) -> FlowShownPage:
        """Return a page of flows, newest first, each with its tasks, and how many there are; as of one moment."""
        query = FlowQuery.of(filters)

        def shown(seen: Seen) -> FlowShownPage:
            found = FlowList(seen)
            page = found.list(query)
            return FlowShownPage([_shown(found, flow) for flow in page.flows], page.next_cursor, found.counts())

        return self._reader.answer(shown)

    def counts(self) -> FlowCounts:
        """Return how many managed flows there are, by status."""
        return self._reader.answer(lambda seen: FlowList(seen).counts())
