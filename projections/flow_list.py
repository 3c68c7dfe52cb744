"""The list of flows: those that have events of their own, and those that only mirror a task, as of one snapshot.

A mirrored flow stands where its task stands: what the board has of the task tells all of it, so nothing is stored or
written for it. Those that were joined or cancelled are few, and are made from both.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import Ambiguous, Pruned
from tallystick.ledger.flows.mirror import (
    MIRRORED,
    has_mirror,
    is_mirror,
    mirror_status,
    mirror_stream,
    mirrored,
    pruned_newest,
)
from tallystick.ledger.flows.record import FlowRecord, no_flow
from tallystick.ledger.ids import id_bytes_or_none, id_text
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FlowMode, FlowStatus, Status
from tallystick.ledger.record import TaskRecord
from tallystick.projections import flows
from tallystick.projections.change import KnownFlow, Tombstone
from tallystick.projections.codes import BLOCKED_CODE, RUNTIME_CODES, STATUS_CODES
from tallystick.projections.counts import Cell
from tallystick.projections.flow_query import FlowPage, FlowQuery
from tallystick.projections.flows import mirror_heading, owner_heading, status_heading
from tallystick.projections.gone import FLOW, gone, left_of
from tallystick.projections.keys import FLOW_CANCELLING
from tallystick.projections.places import Span, moment, newest_first, stream_of
from tallystick.projections.query import Query
from tallystick.projections.seen import Seen

Found: TypeAlias = tuple[bytes, FlowRecord]
"""A place, and the flow that stands there."""

CANDIDATES_MAX = 100  # of each status that an ambiguous lookup names

Flows: TypeAlias = list[FlowRecord]  # `list` is a method below
Tasks: TypeAlias = list[TaskRecord]

_NO_ACTIVE = "No flow has this id, and none of this owner is active."


class FlowCounts(Struct, frozen=True, rename="camel"):
    """How many managed flows there are, by status, and how many of them are being cancelled.

    Mirrored ones are not counted: their tasks are.
    """

    total: int
    active: int
    cancelling: int
    by_status: dict[str, int]


class FlowList:
    """Every flow as of one snapshot. Valid within its block."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def get(self, flow_id: str) -> FlowRecord:
        """Return a flow. Raises `NotFound`, or `Pruned` when retention removed it."""
        found = self._named(flow_id)
        if found is None:
            raise no_flow(flow_id)
        return found

    def _named(self, flow_id: str) -> FlowRecord | None:
        """Return the flow with this id, None when there is none. Raises `Pruned`."""
        stream = id_bytes_or_none(flow_id)
        found = None if stream is None else self.flow(stream)
        told = None if stream is None or found is not None else self.gone(flow_id, stream)
        if told is not None:
            raise told
        return found

    def gone(self, token: str, stream: bytes) -> Pruned | None:
        """Return what is told of a flow that was pruned; None of what is there, or never was."""
        left, history = self._left(stream), [*self._seen.history(stream)]
        if is_mirror(stream):
            history += self._seen.history(mirror_stream(stream))
        return gone(token, stream, history, left, FLOW if left is not None or is_mirror(stream) else None)

    def flow(self, stream: bytes) -> FlowRecord | None:
        """Return the flow with this id, None when there is none, or it was pruned."""
        told = self._told(stream)
        own = _unpruned(told)
        if own is None and told is not None:
            return None
        if own is not None and own.is_managed:
            return own
        origin = self._seen.task(mirror_stream(stream))
        return None if origin is None or not has_mirror(origin) else self._mirrored(origin, own)

    def find(self, token: str) -> FlowRecord:
        """Return the flow with this id, else the only one of this owner that has not ended.

        The token is trimmed. Raises `NotFound`, `Pruned` when it is the id of one that retention removed, and
        `Ambiguous` with the candidates when several could be meant.
        """
        token = fields.required_key("lookup", token)
        found = self._named(token)
        if found is not None:
            return found
        queries = [FlowQuery(owner=token, status=status) for status in FLOW_ACTIVE]  # never all that ever ended
        some = [found for query in queries for found in islice(self._select(query, Span()), CANDIDATES_MAX)]
        active = sorted(some, key=itemgetter(0))
        if not active:
            raise no_flow(token, _NO_ACTIVE)
        if len(active) > 1:
            raise Ambiguous(token, candidates=[flow.flow_id for _, flow in reversed(active)])
        return active[0][1]

    def list(self, query: FlowQuery) -> FlowPage:
        """Return the newest flows that pass a query, and where its next page begins."""
        found = list(islice(self._select(query, query.span()), query.limit + 1))
        shown = found[: query.limit]
        more = len(found) > len(shown)
        return FlowPage(flows=[flow for _, flow in shown], next_cursor=query.cursor_at(shown[-1][0]) if more else None)

    def tasks(self, flow: FlowRecord) -> Tasks:
        """Return the tasks of a flow, the newest first."""
        return self.tasks_of(flow.stream)

    def tasks_of(self, stream: bytes) -> Tasks:
        """Return the tasks that are of the flow with this id, the newest first; those that were pruned are not."""
        found = self._seen.of_flow(id_text(stream))
        origin = self._seen.task(mirror_stream(stream))
        if origin is None or not has_mirror(origin) or any(task.task_id == origin.task_id for task in found):
            return found  # a mirror's first task says so, too, but no index has it
        return sorted([*found, origin], key=lambda task: moment(task.created_at) + task.stream, reverse=True)

    def cancelling(self) -> Flows:
        """Return the flows that somebody wants cancelled and that are not, as their own events tell them."""
        found = (own for _, own in self._under([FLOW_CANCELLING], Span()))
        return [own for own in found if own.cancel_requested_at is not None and own.is_active]

    def counts(self) -> FlowCounts:
        """Return how many managed flows there are."""
        by_status = {status: self._count(status) for status in FlowStatus}
        return _counts(by_status, sum(own.is_managed for own in self.cancelling()))

    def _count(self, status: FlowStatus) -> int:
        sight, told = self._seen.sight, self._seen.overlay.flows.values()
        if sight is None or sight.position(flows.NAME) != self._seen.overlay.base:  # then each is looked at
            under = self._under([status_heading(status)], Span())
            return sum(own.is_managed and own.status is status for _, own in under)
        cursor = sight.txn.cursor(sight.tables[flows.NAME][flows.INDEX])
        count: int = cursor.count() if cursor.set_key(status_heading(status)) else 0
        managed = [change for change in told if change.after.is_managed]
        count += sum(change.after.status is status and change.after.pruned_at is None for change in managed)
        return count - sum(change.before is not None and change.before.status is status for change in managed)

    # What there is.

    def _select(self, query: FlowQuery, span: Span) -> Iterator[Found]:
        """Yield what passes a query, newest first."""
        found: list[Iterator[Found]] = []
        if query.mode != FlowMode.MIRRORED:
            found.append(self._managed(query, span))
        if query.mode != FlowMode.MANAGED and query.controller is None:
            found.extend((self._mirrors(query, span), self._joined(query, span)))
        every = heapq.merge(*found, key=itemgetter(0), reverse=True)
        return (entry for entry in every if query.lets_through(entry[1]))

    def _managed(self, query: FlowQuery, span: Span) -> Iterator[Found]:
        if query.owner is not None:
            headings = [owner_heading(query.owner, is_active=each) for each in _activities(query.status)]
        else:
            statuses = list(FlowStatus) if query.status is None else [FlowStatus(query.status)]
            headings = [status_heading(status) for status in statuses]
        return (entry for entry in self._under(headings, span) if entry[1].is_managed)

    def _mirrors(self, query: FlowQuery, span: Span) -> Iterator[Found]:
        """Yield the flows of detached tasks that have no events of their own."""
        for place, task in self._seen.mirrored(Query(owner=query.owner), _cells_of(query.status), span):
            if self._told(mirror_stream(stream_of(place))) is None:
                yield place, self._mirrored(task, None)

    def _joined(self, query: FlowQuery, span: Span) -> Iterator[Found]:
        """Yield the mirrored flows that have events of their own: where their tasks stand, as the others do."""
        if query.owner is None:
            headings = [status_heading(None)]
        else:
            headings = [mirror_heading(query.owner, is_active=each) for each in _activities(query.status)]
        for here, own in self._under(headings, span, are_mirrors=True):
            origin = self._seen.task(stream_of(here))
            if origin is not None and has_mirror(origin):
                yield here, self._mirrored(origin, own)

    def _mirrored(self, origin: TaskRecord, own: FlowRecord | None) -> FlowRecord:
        followed = None if own is None else own.followed_task_id
        return mirrored(origin, origin if followed is None else self._followed(origin, followed), own)

    def _followed(self, origin: TaskRecord, task_id: str) -> TaskRecord:
        """Return the newest task of a mirror, or what stands for it; its first one when there is no such task."""
        stream = id_bytes_or_none(task_id)
        known = None if stream is None else self._seen.known(stream)
        if isinstance(known, TaskRecord) and known.pruned_at is None:
            return known
        left = left_of(known)
        if left is None:
            return origin
        status = Status(left.status)
        return pruned_newest(origin, task_id, status=status, outcome=left.outcome, ended_at=left.ended_at)

    @cached_property
    def _behind(self) -> frozenset[bytes]:
        """The flows whose rows are older than those of the tasks: nothing, as a rule."""
        sight = self._seen.sight
        return frozenset() if sight is None else self._seen.flows_behind(sight.position(flows.NAME))

    def own(self, stream: bytes) -> FlowRecord | None:
        """Return what a flow's own events tell; None when it has none, or was pruned."""
        return _unpruned(self._told(stream))

    def unseen(self) -> frozenset[bytes]:
        """Return the flows that the index does not know, or not as they are."""
        return self._behind.union(self._seen.overlay.flows)

    def _left(self, stream: bytes) -> Tombstone | None:
        """Return what is left of a pruned flow: of one that had no events of its own, what is left of its task."""
        told = self._told(stream)
        if told is not None or not is_mirror(stream):
            return left_of(told)
        left = left_of(self._seen.known(mirror_stream(stream)))
        if left is None:
            return None
        return Tombstone(mirror_status(Status(left.status), left.outcome).value, left.ended_at, left.pruned_at)

    def _told(self, stream: bytes) -> KnownFlow:
        """Return what a flow's own events tell, of a pruned one its record or its tombstone; None when it has none."""
        change = self._seen.overlay.flows.get(stream)
        if change is not None:
            return change.after
        if stream in self._behind:
            return self._seen.told_of_flow(stream)
        sight = self._seen.sight
        return None if sight is None else flows.known(sight.txn, sight.tables[flows.NAME], stream)

    def _under(self, headings: Sequence[bytes], span: Span, *, are_mirrors: bool = False) -> Iterator[Found]:
        """Yield the flows under some headings, newest first, and others that may have come there or left since.

        Whoever asks looks whether they fit. Mirrors stand where their tasks stand.
        """
        sight = self._seen.sight
        unseen = self.unseen()
        told: list[Found] = []
        for stream in unseen:
            own = self.own(stream)
            if own is None or (are_mirrors and own.is_managed):
                continue
            here = moment(own.created_at) + (mirror_stream(stream) if are_mirrors else stream)
            if here in span:
                told.append((here, own))
        told.sort(key=itemgetter(0), reverse=True)
        if sight is None:
            return iter(told)
        tables = sight.tables[flows.NAME]
        stored = (
            (place, own)
            for place in newest_first(sight.txn, tables[flows.INDEX], headings, span)
            if (stream := mirror_stream(stream_of(place)) if are_mirrors else stream_of(place)) not in unseen
            and (own := _unpruned(flows.known(sight.txn, tables, stream))) is not None
        )
        return heapq.merge(stored, told, key=itemgetter(0), reverse=True)


def _unpruned(told: KnownFlow) -> FlowRecord | None:
    return told if isinstance(told, FlowRecord) and told.pruned_at is None else None


def gone_of(seen: Seen, token: str, stream: bytes) -> Pruned | None:
    """Return what is told of a task that was pruned, or of a flow of which the history was deleted; None of others."""
    of_task = seen.gone(token, stream)
    if left_of(seen.known(stream)) is not None or (of_task is None and not is_mirror(stream)):
        return of_task  # and where no history was deleted, no flow's was
    of_flow = FlowList(seen).gone(token, stream)
    return of_task if of_flow is None or of_flow.deleted_at is None else of_flow


def _activities(status: str | None) -> Sequence[bool]:
    """Return whether what has a status has ended: a mirror that has, by its own events, is cancelled."""
    return (True, False) if status is None else (FlowStatus(status) in FLOW_ACTIVE,)


def counts_of_flows(records: Iterable[FlowRecord]) -> FlowCounts:
    """Return how many managed flows are among some."""
    managed = [record for record in records if record.is_managed and record.pruned_at is None]
    cancelling = sum(record.cancel_requested_at is not None and record.is_active for record in managed)
    return _counts(Counter(record.status for record in managed), cancelling)


def _counts(by_status: Mapping[FlowStatus, int], cancelling: int) -> FlowCounts:
    return FlowCounts(
        total=sum(by_status.values()),
        active=sum(by_status.get(status, 0) for status in FLOW_ACTIVE),
        cancelling=cancelling,
        by_status={status.value: by_status.get(status, 0) for status in FlowStatus},
    )


def _cells_of(status: str | None) -> frozenset[Cell]:
    """Return the cells of the tasks whose mirrors may have a status."""
    shown = {code: mirror_status(Status(name), None).value for name, code in STATUS_CODES.items()}
    shown[BLOCKED_CODE] = FlowStatus.BLOCKED.value
    codes = [code for code, mirrored_as in shown.items() if status in (None, mirrored_as)]
    return frozenset((RUNTIME_CODES[runtime], code) for runtime in MIRRORED for code in codes)
