"""What one snapshot answers: the views as one transaction sees them, and over them what they have not seen."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, NoReturn, TypeAlias

from tallystick.ledger import fields
from tallystick.ledger.errors import NotFound, Pruned
from tallystick.ledger.events import Event
from tallystick.ledger.flows.mirror import has_mirror
from tallystick.ledger.ids import id_bytes_or_none
from tallystick.ledger.limits import BOARD_ROWS_MAX, PAGE_ROWS_MAX, TIME_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog, Stored
from tallystick.projections import board, counts, due, outbox
from tallystick.projections.catch_up import flows_known_at, known_at
from tallystick.projections.change import Changes, Known, KnownFlow, changes_of, nothing_known
from tallystick.projections.counts import CELLS, Cell, Counts, cell_of, counts_of, moves
from tallystick.projections.due import ALL_KINDS, Due, DueKind, DueRules, dues_of
from tallystick.projections.gone import TASK, gone, left_of
from tallystick.projections.keys import ENDPOINT, SESSION, STUCK, WITHHELD, NameKind, cell_in, name_heading, place
from tallystick.projections.outbox import OutboxCounts, Slot
from tallystick.projections.overlay import Overlay
from tallystick.projections.places import Span, moment_of, newest_first, stream_of
from tallystick.projections.plan import ACTIVE_CELLS, ENDED_CELLS, cells_of, plan_of, row_cell
from tallystick.projections.quarantine import together
from tallystick.projections.query import Page, Query, matcher
from tallystick.projections.rows import SAME, ViewsDamaged, as_record, read_row, unpack
from tallystick.projections.views import Sight

Found: TypeAlias = tuple[bytes, Any]
"""A task's place, and its record or, read from the views, its row."""

Records: TypeAlias = list[TaskRecord]
Dues: TypeAlias = list[Due]
Streams: TypeAlias = list[bytes]
Slots: TypeAlias = list[Slot]

_ALL_CELLS = frozenset(CELLS)

ROWS_AT_ONCE = 128

COUNTED = (ENDPOINT, STUCK, SESSION, WITHHELD)


class Seen:
    """Every task as the log tells it up to `head`, exactly. Valid within its block."""

    def __init__(self, log: EventLog, head: int, sight: Sight | None, overlay: Overlay, rules: DueRules) -> None:
        self.head = head
        self._log = log
        self.sight = sight
        """The views, if they are read."""
        self.overlay = overlay
        """What the views have not seen."""
        self._rules = rules

    def get(self, task_id: str) -> TaskRecord:
        """Return the record of a task. Raises `NotFound`, or `Pruned` when retention removed it."""
        stream = id_bytes_or_none(task_id)
        if stream is None:
            raise NotFound(task_id)
        return self.task(stream) or self._missing(task_id, stream)

    def _missing(self, task_id: str, stream: bytes) -> NoReturn:
        from tallystick.projections.flow_list import gone_of  # noqa: PLC0415 - what is there is found without

        told = gone_of(self, task_id, stream)
        raise NotFound(task_id) if told is None else told

    def gone(self, token: str, stream: bytes) -> Pruned | None:
        """Return what is told of a task that was pruned; None of what is there, or never was."""
        left = left_of(self.known(stream))
        return gone(token, stream, self.history(stream), left, None if left is None else TASK)

    def history(self, stream: bytes) -> Sequence[Stored]:
        """Return what the log has of a task or a flow."""
        return self._log.stream(stream)

    def records(self, streams: Collection[bytes]) -> dict[bytes, TaskRecord]:
        """Return the records of many tasks at once; those that are not there, or were pruned, are left out."""
        changes = self.overlay.changes
        told = {stream: changes[stream].after for stream in streams if stream in changes}
        if self.sight is not None:
            stored = [stream for stream in streams if stream not in told]
            rows = self.sight.tables[board.NAME][board.ROWS]
            for stream, row in self.sight.txn.cursor(rows).getmulti(stored):
                told[stream] = unpack(stream, row)
        return {stream: record for stream, record in told.items() if record.pruned_at is None}

    def task(self, stream: bytes) -> TaskRecord | None:
        """Return the record of a task; None when there is none, or it was pruned."""
        known = self.known(stream)
        return known if isinstance(known, TaskRecord) and known.pruned_at is None else None

    def mirrored(self, query: Query, cells: Collection[Cell], where: Span) -> Iterator[tuple[bytes, TaskRecord]]:
        """Yield the tasks that flows mirror, with their places: of a query and in one of the cells, newest first."""
        return ((entry[0], _record(entry)) for entry in self._found(query, cells, where) if _has_mirror(entry[1]))

    def of_flow(self, flow_id: str) -> Records:
        """Return the tasks that say that they are of this flow, the newest first."""
        found: list[tuple[bytes, TaskRecord]] = [
            (place(task.stream, task), task) for task in self.overlay.of_flow(flow_id)
        ]
        if self.sight is not None:
            heading = name_heading(NameKind.FLOW, flow_id)
            places = newest_first(self.sight.txn, self.sight.tables[board.NAME][board.NAMES], [heading], Span())
            rows = self._rows_at(self.sight, places)
            found.extend((here, _record((here, row))) for here, row in rows if row.parent_flow_id == flow_id)
        found.sort(key=itemgetter(0), reverse=True)
        return [record for _, record in found]

    def any_of_flow(self, flow_id: str, *, at_work: bool = False) -> TaskRecord | None:
        """Return one of the tasks that say that they are of this flow, or one at work; None when there is none.

        Looks at no other, however many there are.
        """
        told = (task for task in self.overlay.of_flow(flow_id) if task.is_active or not at_work)
        found = next(told, None)
        if found is None and self.sight is not None:
            heading = name_heading(NameKind.FLOW_ACTIVE if at_work else NameKind.FLOW, flow_id)
            places = newest_first(self.sight.txn, self.sight.tables[board.NAME][board.NAMES], [heading], Span())
            rows = self._rows_at(self.sight, places)
            found = next((_record(entry) for entry in rows if entry[1].parent_flow_id == flow_id), None)
        return found

    def flows_behind(self, position: int) -> frozenset[bytes]:
        """Return the flows that have events behind a position that the rows of the tasks have."""
        found = self.overlay.flows_behind.get(position)
        if found is None:
            events = self._events(position, self.overlay.base) if position < self.overlay.base else ()
            found = frozenset(event.stream for event in events if event.is_of_flow)
            self.overlay.flows_behind[position] = found
        return found

    def told_of_flow(self, stream: bytes) -> KnownFlow:
        """Return what the log tells of a flow up to `head`."""
        history = [stored for stored in self._log.stream(stream) if stored.position <= self.head]
        change = changes_of(history, nothing_known).changes.flows.get(stream)
        return change.after if change else None

    def find(self, token: str) -> TaskRecord:
        """Return the task with this id; else the newest with this run id; else the newest of this session.

        The token is trimmed. A session's tasks are those that it owns, asked for or is the child of.
        Raises `NotFound`, or `Pruned` when it is the id of a task that retention removed.
        """
        token = fields.required_key("lookup", token)
        stream = id_bytes_or_none(token)
        if stream is not None and self.known(stream) is not None:
            return self.get(token)
        for query in (Query(run_id=token, limit=1), Query(session=token, limit=1)):
            tasks = self._first(query, _ALL_CELLS, 1)
            if tasks:
                return tasks[0]
        raise NotFound(token) if stream is None else self._missing(token, stream)

    def list(self, query: Query) -> Page:
        """Return the newest tasks that pass a query, and where its next page begins.

        Whatever is written between two pages: a task that passed all the time is on one of them, and no task on two.
        """
        found = list(islice(self._found(query, cells_of(query), query.span()), query.limit + 1))
        shown = found[: query.limit]
        return Page(
            tasks=[_record(entry) for entry in shown],
            next_cursor=query.cursor_at(shown[-1][0]) if len(found) > len(shown) else None,
        )

    def children(self, task_id: str) -> Iterator[TaskRecord]:
        """Yield the tasks of which this one is the parent: those that the views have not seen, then the others.

        Each of the two newest first. Looks at no other task, however many there are.
        """
        yield from self.overlay.children(task_id)
        sight = self.sight
        if sight is not None:
            heading = name_heading(NameKind.PARENT, task_id)
            places = newest_first(sight.txn, sight.tables[board.NAME][board.NAMES], [heading], Span())
            records = map(_record, self._rows_at(sight, places))
            yield from (record for record in records if record.parent_task_id == task_id)

    def counts(self) -> Counts:
        """Return how many tasks there are, by status and by runtime."""
        return counts_of(self.cells())

    def board(self, session: str, limit: int = BOARD_ROWS_MAX) -> Records:
        """Return a few tasks of a session: the active ones first, then those that have ended; the newest first."""
        fields.whole("limit", limit, least=1, most=PAGE_ROWS_MAX)
        query = Query(session=session)
        active = self._first(query, ACTIVE_CELLS, limit)
        return active + self._first(query, ENDED_CELLS, limit - len(active))

    def due(
        self,
        until: int,
        rules: DueRules | None = None,
        limit: int | None = None,
        kinds: Collection[DueKind] = ALL_KINDS,
        *,
        after: Due | None = None,
    ) -> Dues:
        """Return what is due until then (ms, included), the longest overdue first, at most `limit`, behind `after`."""
        rules = rules or self._rules
        unseen = self._unmarked()
        stored: Iterator[Due] = iter(())
        if self.sight is not None:
            table = self.sight.tables[due.NAME][0]
            marked = due.scan(self.sight.txn, table, until, rules, kinds=kinds, after=after)
            stored = (each for each in marked if each.stream not in unseen)
        found = (each for each in _due_among(unseen.items(), until, rules) if each.kind in kinds)
        among = sorted(found if after is None else (each for each in found if each > after))
        return list(islice(heapq.merge(stored, among), limit))

    def backed(self) -> Streams:
        """Return the active tasks that name what backs them: a process, or signs of life in time."""
        unseen = self._unmarked()
        found = [
            stream
            for stream, known in unseen.items()
            if isinstance(known, TaskRecord) and known.is_active and due.names_its_backing(known)
        ]
        if self.sight is not None:
            marked = due.backed(self.sight.txn, self.sight.tables[due.NAME][0])
            found.extend(stream for stream in marked if stream not in unseen)
        return found

    def slots(self, heading: bytes, before: int, limit: int | None = None, *, first: int = 0) -> Slots:
        """Return what stands under a heading of the outbox from a moment or position on and before another."""
        unseen = self.unseen_by(outbox.NAME)
        stored: Iterator[Slot] = iter(())
        if self.sight is not None:
            all_stored = outbox.slots(self.sight.txn, self.sight.tables[outbox.NAME][0], heading, before, first)
            stored = (slot for slot in all_stored if slot[1] not in unseen)
        among = sorted(slot for found, slot in _slots_among(unseen) if found == heading and first <= slot[0] < before)
        return list(islice(heapq.merge(stored, among), limit))

    def headings(self, kind: bytes) -> frozenset[bytes]:
        """Return the headings of a kind under which something may stand in the outbox."""
        found = {heading for heading, _ in _slots_among(self.unseen_by(outbox.NAME)) if heading.startswith(kind)}
        if self.sight is not None:
            found.update(outbox.headings(self.sight.txn, self.sight.tables[outbox.NAME][0], kind))
        return frozenset(found)

    def outbox_counts(self) -> OutboxCounts:
        """Return how much waits to be sent, is stuck, and waits in sessions."""
        unseen = self.unseen_by(outbox.NAME)
        counted = Counter(heading[:1] for heading, _ in _slots_among(unseen))
        if self.sight is not None:
            txn, table = self.sight.txn, self.sight.tables[outbox.NAME][0]
            if self.sight.position(outbox.NAME) == self.overlay.base:  # then it knows how many each heading has
                counted.update({kind: outbox.count(txn, table, kind) for kind in COUNTED})
                befores = {stream: change.before for stream, change in self.overlay.changes.items()}
                counted.subtract(heading[:1] for heading, _ in _slots_among(befores))
            else:
                for heading in (each for kind in COUNTED for each in outbox.headings(txn, table, kind)):
                    stored = outbox.slots(txn, table, heading, TIME_MS_MAX)
                    counted[heading[:1]] += sum(stream not in unseen for _, stream in stored)
        return OutboxCounts(counted[ENDPOINT], counted[STUCK], counted[SESSION], counted[WITHHELD])

    def _unmarked(self) -> Mapping[bytes, Known]:
        """What the marks do not know."""
        return self.unseen_by(due.NAME)

    def unseen_by(self, name: str) -> Mapping[bytes, Known]:
        """What an index does not know: the tasks of the overlay, and of events that the rows have and it has not."""
        position = None if self.sight is None else self.sight.position(name)
        found = self.overlay.unseen.get(position)
        if found is None:
            found = self.overlay.unseen[position] = self._fold_unseen(position)
        return found

    def _fold_unseen(self, position: int | None) -> dict[bytes, Known]:
        unseen: dict[bytes, Known] = {stream: change.after for stream, change in self.overlay.changes.items()}
        if position is not None:
            for stream in {event.stream for event in self._events(position, self.overlay.base)} - set(unseen):
                unseen[stream] = self.known(stream)
        return unseen

    def told_at(self, places: Iterable[bytes]) -> Iterator[tuple[bytes, TaskRecord]]:
        """Yield places of an index with the stored records of the tasks that stand there, many read at once."""
        if self.sight is None:
            return
        table = self.sight.tables[board.NAME][board.ROWS]
        places = iter(places)
        while some := list(islice(places, ROWS_AT_ONCE)):
            rows = dict(self.sight.txn.cursor(table).getmulti([stream_of(here) for here in some]))
            for here in some:
                stream = stream_of(here)
                if stream not in rows:
                    raise ViewsDamaged(f"the row of {stream.hex()} is missing")
                yield here, unpack(stream, rows[stream])

    def flaws(self, known: Changes, position: int) -> Changes:
        """Return what says nothing in the log up to `head`, if `known` is that up to a position."""
        sight = self.sight
        if sight is not None and position < self.overlay.base:
            tasks, flows = known_at(sight, self._log, position), flows_known_at(sight, self._log, position)
            events = self._log.read(position, self.overlay.base)
            known = together(known, changes_of(events, tasks, flows=flows).changes)
        return together(known, self.overlay.folded.changes)

    def known(self, stream: bytes) -> Known:
        """Return what is known of a task: its record, its tombstone, or None."""
        change = self.overlay.changes.get(stream)
        if change is not None:
            return change.after
        sight = self.sight
        return None if sight is None else board.known(sight.txn, sight.tables[board.NAME], stream)

    # Lists.

    def _first(self, query: Query, cells: Collection[Cell], count: int) -> Records:
        return [_record(entry) for entry in islice(self._found(query, cells, Span()), count)]

    def _found(self, query: Query, cells: Collection[Cell], where: Span) -> Iterator[Found]:
        """Yield what passes the query's filters and is in one of the cells, newest first."""
        passes = matcher(query)
        unseen = (
            entry
            for entry in self.overlay.newest_first(where)
            if cell_of(entry[1]) in cells and (passes is None or passes(entry[1]))
        )
        if self.sight is None:
            return unseen
        stored = self._stored(self.sight, query, cells, where)
        if passes is not None:
            stored = (entry for entry in stored if passes(entry[1]))
        return heapq.merge(stored, unseen, key=itemgetter(0), reverse=True) if self.overlay.changes else stored

    def _stored(self, sight: Sight, query: Query, cells: Collection[Cell], where: Span) -> Iterator[Found]:
        """Yield the stored rows that are in one of the cells, found on the shortest way that the query leaves."""
        tables = sight.tables[board.NAME]
        sizes = counts.read_cells(sight.txn, sight.tables[counts.NAME][0])  # about: they only choose the way
        plan = plan_of(query, cells, sizes)
        rows = self._rows_at(sight, newest_first(sight.txn, tables[plan.table], plan.headings, where))
        if plan.table == board.INDEX:
            return rows
        return (entry for entry in rows if _row_cell(entry[1]) in cells)

    def _rows_at(self, sight: Sight, places: Iterator[bytes]) -> Iterator[Found]:
        """Yield the stored rows of what the overlay does not know better."""
        unseen, get, rows = self.overlay.changes, sight.txn.get, sight.tables[board.NAME][board.ROWS]
        for here in places:
            stream = stream_of(here)
            if stream not in unseen:
                row = get(stream, db=rows)
                if row is None:
                    raise ViewsDamaged(f"the row of {stream.hex()} is missing")
                yield here, read_row(row)

    def _events(self, after: int, until: int) -> Iterator[Event]:
        return (event for event in self._log.read(after, until) if isinstance(event, Event))

    # Counts.

    def cells(self) -> Counter[Cell]:
        """Return how many tasks there are of each runtime and shown status."""
        sight = self.sight
        if sight is None:
            return moves(self.overlay.changes)
        if sight.position(counts.NAME) == self.overlay.base:
            cells = counts.read_cells(sight.txn, sight.tables[counts.NAME][0])
        else:  # the index stands where the rows do, and knows how many it has
            index = sight.txn.cursor(sight.tables[board.NAME][board.INDEX])
            cells = Counter({cell_in(heading): index.count() for heading in index.iternext_nodup()})
        cells.update(moves(self.overlay.changes))
        return cells


def _record(found: Found) -> TaskRecord:
    place, told = found
    return told if isinstance(told, TaskRecord) else as_record(stream_of(place), told)


def _has_mirror(told: Any) -> bool:
    return has_mirror(told) if isinstance(told, TaskRecord) else told.parent_flow_id == SAME


def _row_cell(row: Any) -> Cell:
    return row_cell(row.runtime, row.status, row.terminal_outcome)


def _slots_among(records: Mapping[bytes, Known]) -> Iterator[tuple[bytes, Slot]]:
    for stream, record in records.items():
        if isinstance(record, TaskRecord) and record.outbox:
            for heading, place in set(outbox.places_of(stream, outbox.open_of(record))):
                yield heading, (moment_of(place), stream)


def _due_among(records: Iterable[tuple[bytes, Known]], until: int, rules: DueRules) -> Iterator[Due]:
    for stream, record in records:
        if isinstance(record, TaskRecord):
            yield from (Due(at, kind, stream) for at, kind in dues_of(record, rules) if at <= until)
