"""Overdue: the tasks and flows that an audit and retention have to look at, found by indexes, exact to the log's head.

Each question costs what is found and not what is stored. They are asked with `Reader.answer`, and what they yield is
valid within its block. What the rules of an audit make of it is theirs: this only leaves out what cannot matter.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from operator import itemgetter
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.flows.mirror import has_mirror, is_mirror, mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.lifecycle import TERMINAL, FlowStatus, Runtime, Status
from tallystick.ledger.limits import TIME_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections import board, due, flows, outbox, quarantine
from tallystick.projections.change import Changes
from tallystick.projections.codes import RUNTIME_CODES, STATUS_CODES
from tallystick.projections.due import Due, DueKind, DueRules
from tallystick.projections.flow_list import FlowList
from tallystick.projections.flows import (
    blocked_heading,
    ended_heading,
    ended_place,
    is_blocked_by_task,
    quiet_place,
    status_heading,
)
from tallystick.projections.keys import ENDPOINT, FLOW_CANCELLING, FLOW_QUIET, STUCK, cell_heading
from tallystick.projections.places import moment, oldest_first, stream_of
from tallystick.projections.quarantine import Quarantined, in_order
from tallystick.projections.seen import Seen

Records: TypeAlias = list[TaskRecord]
FlowRecords: TypeAlias = list[FlowRecord]

Fits: TypeAlias = Callable[[TaskRecord], int | None]
"""Tells by which moment a task stands in an index, None when it does not stand there."""

FlowFits: TypeAlias = Callable[[FlowRecord], bytes | None]
"""Tells the place of a flow in an index, None when it does not stand there."""

_ALL = b"\xff" * 32  # behind every place


class Over(Struct, frozen=True):
    """A task whose retention is over, and since when; `due` is where the next look goes on."""

    due: Due
    record: TaskRecord


# Tasks that an audit looks at.


def queued_since(seen: Seen, until: int, limit: int | None = None) -> Records:
    """Return the queued tasks that were created until then (ms, included), the oldest first."""

    def fits(record: TaskRecord) -> int | None:
        return record.created_at if record.status is Status.QUEUED and record.created_at <= until else None

    return list(islice(_among(seen, board.NAME, _in_status(seen, Status.QUEUED, until), fits), limit))


def silent_since(seen: Seen, until: int, limit: int | None = None) -> Records:
    """Return the running tasks of which no event tells since then (ms): the longest silent first, by ten minutes."""

    def fits(record: TaskRecord) -> int | None:
        is_silent = record.status is Status.RUNNING and record.last_event_at <= until
        return due.quiet_since(record.last_event_at) if is_silent else None

    return list(islice(_among(seen, due.NAME, _marked(seen, due.RUNNING, until), fits), limit))


def lost(seen: Seen, limit: int | None = None) -> Records:
    """Return the lost tasks, the oldest first."""

    def fits(record: TaskRecord) -> int | None:
        return record.created_at if record.status is Status.LOST else None

    return list(islice(_among(seen, board.NAME, _in_status(seen, Status.LOST, TIME_MS_MAX), fits), limit))


def with_failed_messages(seen: Seen, limit: int | None = None) -> Records:
    """Return the tasks that have a message which is not sent any more by itself, or of whose end nobody was told."""

    def is_stuck(record: TaskRecord) -> int | None:
        return next((each.queued_at for each in record.outbox if each.is_stuck), None)

    def is_undelivered(record: TaskRecord) -> int | None:
        return record.ended_at if record.ended_at is not None and due.is_undelivered(record) else None

    stuck = _among(seen, outbox.NAME, _waiting(seen, STUCK), is_stuck)
    undelivered = _among(seen, due.NAME, _marked(seen, due.UNDELIVERED), is_undelivered)
    return list(islice(_each_once(chain(stuck, undelivered)), limit))


def with_messages_on_their_way(seen: Seen, until: int, limit: int | None = None) -> Records:
    """Return the tasks that ended until then (ms, included) and have messages to be sent, by when those are due."""

    def fits(record: TaskRecord) -> int | None:
        if record.ended_at is None or record.ended_at > until:
            return None
        return min((each.due_at for each in record.outbox if each.is_sent and each.due_at is not None), default=None)

    return list(islice(_each_once(_among(seen, outbox.NAME, _waiting(seen, ENDPOINT), fits)), limit))


def ended_after(seen: Seen, after: int, limit: int | None = None, rules: DueRules | None = None) -> Records:
    """Return the tasks without a cleanup time that ended after a moment (ms), as reported; the first first.

    By `rules` those alone that are not kept for ever anyhow, as far as the index tells.
    """

    def fits(record: TaskRecord) -> int | None:
        is_later = record.ended_at is not None and record.ended_at > after
        return record.ended_at if is_later and record.cleanup_after is None else None

    kinds = [(runtime, status) for runtime in Runtime for status in TERMINAL]
    ending = [kind for kind in kinds if rules is None or rules.retention_of(*kind) is not None]
    codes = [due.HELD, *(due.retention_code(*kind) for kind in ending)]
    places = heapq.merge(*(_marked(seen, code, first=after + 1) for code in codes))
    return list(islice(_among(seen, due.NAME, places, fits), limit))


def contradicted(seen: Seen, limit: int | None = None) -> Records:
    """Return the tasks whose reported times contradict each other, of which nobody has taken note; the oldest first."""

    def fits(record: TaskRecord) -> int | None:
        return record.created_at if due.is_contradicted(record) else None

    return list(islice(_among(seen, due.NAME, _marked(seen, due.CONTRADICTED), fits), limit))


def over(seen: Seen, until: int, limit: int, rules: DueRules | None = None, after: Due | None = None) -> list[Over]:
    """Return the tasks whose retention ended until then (ms, included), the longest over first, at most `limit`.

    What somebody holds is not among them, what cannot be pruned yet for other reasons is: a look that goes on behind
    the last one's `due` gets to those after it.
    """
    dues = seen.due(until, rules, limit, {DueKind.RETENTION}, after=after)
    records = seen.records([each.stream for each in dues])
    return [Over(each, records[each.stream]) for each in dues if each.stream in records]


# Flows that an audit looks at.


def silent_flows(seen: Seen, until: int, limit: int | None = None) -> FlowRecords:
    """Return the managed flows that have not ended and not moved since then (ms): the longest first, by ten minutes."""

    def fits(record: FlowRecord) -> bytes | None:
        is_silent = record.is_managed and record.is_active and record.updated_at <= until
        return quiet_place(record.stream, record) if is_silent else None

    return list(islice(_flows_among(seen, _flows_under(seen, FLOW_QUIET, until=until), fits), limit))


def blocked_flows(seen: Seen, limit: int | None = None) -> FlowRecords:
    """Return the managed flows that a task blocks, the oldest first."""

    def fits(record: FlowRecord) -> bytes | None:
        return moment(record.created_at) + record.stream if is_blocked_by_task(record) else None

    return list(islice(_flows_among(seen, _flows_under(seen, status_heading(FlowStatus.BLOCKED)), fits), limit))


def cancelling_flows(seen: Seen, until: int, limit: int | None = None, after: FlowRecord | None = None) -> FlowRecords:
    """Return the flows that somebody wanted cancelled until then (ms, included) and that have not ended.

    Mirrored ones as their own events tell them, the oldest first; behind `after`, if that is given.
    """
    begin = b"" if after is None else moment(after.created_at) + after.stream

    def fits(record: FlowRecord) -> bytes | None:
        wanted = record.cancel_requested_at
        if wanted is None or wanted > until or not record.is_active:
            return None
        here = moment(record.created_at) + record.stream
        return here if here > begin else None

    return list(islice(_flows_among(seen, _flows_under(seen, FLOW_CANCELLING, first=begin), fits), limit))


def ended_flows(
    seen: Seen, until: Mapping[FlowStatus, int], limit: int, after: FlowRecord | None = None
) -> FlowRecords:
    """Return the flows that ended until the moment (ms, included) that is given for their status, the first first.

    Statuses that are left out are not looked at. A mirrored flow whose first task is there is not among them, however
    it ended: it goes with that. A look that goes on behind the last one gets to those after it.
    """
    begin = b"" if after is None else ended_place(after.stream, after)

    def goes_with_task(stream: bytes) -> bool:
        first = seen.task(mirror_stream(stream)) if is_mirror(stream) else None
        return first is not None and has_mirror(first)

    def fits(record: FlowRecord) -> bytes | None:
        if record.is_active or record.status not in until or goes_with_task(record.stream):
            return None
        here = ended_place(record.stream, record)
        return here if begin < here < moment(until[record.status] + 1) else None

    under = [_flows_under(seen, ended_heading(status), until=last, first=begin) for status, last in until.items()]
    stored = (here for here in heapq.merge(*under) if not goes_with_task(stream_of(here)))
    return list(islice(_flows_among(seen, stored, fits), limit))


# What belongs to a task or a flow.


def flow_of(seen: Seen, task: TaskRecord) -> FlowRecord | None:
    """Return the flow that a task is one of, or that mirrors it; None when there is none, or it was pruned."""
    stream = None if task.parent_flow_id is None else id_bytes_or_none(task.parent_flow_id)
    return None if stream is None else FlowList(seen).flow(stream)


def own_mirror(seen: Seen, task: TaskRecord) -> FlowRecord | None:
    """Return what the events of the flow that mirrors a task tell of it; None when it has none, or was pruned."""
    return FlowList(seen).own(mirror_stream(task.stream))


class Blocked:
    """Which flows tasks block: each question costs what is found. Valid within its snapshot's block."""

    def __init__(self, seen: Seen) -> None:
        self._seen, self._found = seen, FlowList(seen)

    def by(self, task_id: str) -> FlowRecord | None:
        """Return a managed flow that this task blocks; None when it blocks none."""
        unseen = self._found.unseen()
        stored = (stream_of(here) for here in _flows_under(self._seen, blocked_heading(task_id)))
        known = (self._found.own(stream) for stream in stored if stream not in unseen)
        found = (own for own in known if own is not None and own.blocked_task_id == task_id)
        return self._told.get(task_id) or next(filter(is_blocked_by_task, found), None)

    @cached_property
    def _told(self) -> dict[str, FlowRecord]:
        """Those that the index does not know, by the ids of the tasks."""
        own = (self._found.own(stream) for stream in self._found.unseen())
        return {flow.blocked_task_id or "": flow for flow in own if flow is not None and is_blocked_by_task(flow)}


def another_of_mirror(seen: Seen, task: TaskRecord) -> TaskRecord | None:
    """Return another task of the flow that mirrors this one; None when there is none, or no such flow any more."""
    if not has_mirror(task) or task.parent_flow_id is None or flow_of(seen, task) is None:
        return None
    return seen.any_of_flow(task.parent_flow_id)


def at_work_of(seen: Seen, flow: FlowRecord) -> TaskRecord | None:
    """Return a task of a flow that is at work; None when there is none."""
    first = None if flow.is_managed else seen.task(mirror_stream(flow.stream))
    if first is not None and first.is_active and has_mirror(first):
        return first
    return seen.any_of_flow(flow.flow_id, at_work=True)


def active_below(seen: Seen, task_id: str, limit: int | None = None) -> Records:
    """Return the active tasks below this one: its children, theirs, and so on."""
    from tallystick.projections.tree import below  # noqa: PLC0415 - an audit does without

    return list(islice((task for task in below(seen.children, task_id) if task.is_active), limit))


def tasks_of(seen: Seen, flow: FlowRecord) -> Records:
    """Return the tasks of a flow, the newest first: of one that mirrors, its first task and those that joined it."""
    return FlowList(seen).tasks(flow)


# What says nothing.


def quarantined(seen: Seen, limit: int | None = None) -> list[Quarantined]:
    """Return what of the log says nothing, by position: records that cannot be read, and streams that do not go on."""
    sight = seen.sight
    known, position = Changes(), 0
    if sight is not None:
        known = quarantine.read(sight.txn, sight.tables[quarantine.NAME])
        position = sight.position(quarantine.NAME)
    flaws = seen.flaws(known, position)
    return in_order(flaws.broken, flaws.damaged)[:limit]


# How it is found.


def _among(seen: Seen, index: str, stored: Iterable[bytes], fits: Fits) -> Iterator[TaskRecord]:
    """Yield the tasks that stand at stored places of an index and fit, and what it does not know, in its order."""
    unseen = seen.unseen_by(index)
    told = [
        (moment(at) + stream, record)
        for stream, record in unseen.items()
        if isinstance(record, TaskRecord) and record.pruned_at is None and (at := fits(record)) is not None
    ]
    told.sort(key=itemgetter(0))
    known = seen.told_at(here for here in stored if stream_of(here) not in unseen)
    fitting = (entry for entry in known if fits(entry[1]) is not None)
    return map(itemgetter(1), heapq.merge(fitting, told, key=itemgetter(0)))


def _each_once(records: Iterable[TaskRecord]) -> Iterator[TaskRecord]:
    met: set[str] = set()
    for record in records:
        if record.task_id not in met:
            met.add(record.task_id)
            yield record


def _in_status(seen: Seen, status: Status, until: int) -> Iterator[bytes]:
    sight = seen.sight
    if sight is None:
        return iter(())
    table, before = sight.tables[board.NAME][board.INDEX], moment(until + 1)
    headings = [cell_heading(runtime, STATUS_CODES[status]) for runtime in RUNTIME_CODES.values()]
    return heapq.merge(*(oldest_first(sight.txn, table, heading, before) for heading in headings))


def _marked(seen: Seen, code: int, until: int = TIME_MS_MAX, first: int | None = None) -> Iterator[bytes]:
    sight = seen.sight
    return iter(()) if sight is None else due.marked(sight.txn, sight.tables[due.NAME][0], code, until, first)


def _waiting(seen: Seen, kind: bytes) -> Iterator[bytes]:
    sight = seen.sight
    if sight is None:
        return iter(())
    table = sight.tables[outbox.NAME][0]
    headings = list(outbox.headings(sight.txn, table, kind))
    return heapq.merge(*(oldest_first(sight.txn, table, heading, _ALL) for heading in headings))


def _flows_among(seen: Seen, stored: Iterable[bytes], fits: FlowFits) -> Iterator[FlowRecord]:
    """As `_among`, of flows that have events of their own."""
    found = FlowList(seen)
    unseen = found.unseen()
    told = [
        (here, own) for stream in unseen if (own := found.own(stream)) is not None and (here := fits(own)) is not None
    ]
    told.sort(key=itemgetter(0))
    known = (
        (here, own)
        for here in stored
        if stream_of(here) not in unseen and (own := found.own(stream_of(here))) is not None and fits(own) is not None
    )
    return map(itemgetter(1), heapq.merge(known, told, key=itemgetter(0)))


def _flows_under(seen: Seen, heading: bytes, *, until: int = TIME_MS_MAX, first: bytes = b"") -> Iterator[bytes]:
    sight = seen.sight
    if sight is None:
        return iter(())
    return oldest_first(sight.txn, sight.tables[flows.NAME][flows.INDEX], heading, moment(until + 1), first)
