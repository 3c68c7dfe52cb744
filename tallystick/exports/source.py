"""The source: a ledger as of one moment, as the writers of formats read it."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from operator import attrgetter
from typing import TypeAlias

from tallystick.exports.histories import History, all_histories, histories_of
from tallystick.exports.selection import TASKS, Selection
from tallystick.flow_readings import FlowReadings
from tallystick.ledger.errors import Corrupt, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import EXPORT_PAGE_ROWS, EXPORT_SLICE_EVENTS
from tallystick.ledger.payloads import NOTHING_KEPT, Payloads, strange
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.codec import read_records
from tallystick.ledger.store.payloads import by_position, whole
from tallystick.ledger.store.port import Body, Damaged, Deleted, Stored
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH, split
from tallystick.projections import flow_history
from tallystick.projections.overdue import quarantined
from tallystick.projections.quarantine import Quarantined
from tallystick.readings import Readings

Told: TypeAlias = Callable[[int, int], None]
"""Told how much is done, of how much."""

Entry: TypeAlias = tuple[Stored, Body, Payloads]
"""What is stored at a position, its bytes, and what is kept beside these."""

IDENTITY_BYTES = 16


def nobody(_done: int, _total: int) -> None:
    """Nobody watches."""


class Source:
    """What is selected of a ledger. It never has more events than the log had when it was made.

    `size` is the length of the log then, `root_hash` that of its tree, None where that is damaged. `origin` is what the
    ledger is called, if it is called anything. What went through is counted: `event_count`, `task_count`, and of what
    could not be had `damaged` and `deleted`.
    """

    def __init__(
        self, readings: Readings, selection: Selection, *, made_at: int, origin: str | None = None, told: Told = nobody
    ) -> None:
        self.readings, self.selection, self.made_at, self.origin = readings, selection, made_at, origin
        self.event_count = self.task_count = self.damaged = self.deleted = 0
        self.computed_root: bytes | None = None
        """The root over what was written, of a format that computes it."""
        self._log, self._told = readings.log, told
        self.root_hash: bytes | None = None
        try:
            head = self._log.tree_head()
            self.size, self.root_hash = head.size, head.root_hash
        except Corrupt:
            self.size = self._log.head()
        self._named: tuple[bytes, bool] | None = None
        if selection.lookup is not None:
            self._named = readings.named(selection.lookup)

    @property
    def identity(self) -> str:
        """What tells this ledger from all others: its origin, else a URN of its first record's hash."""
        if self.origin is not None:
            return self.origin
        first = self.leaf_at(1) if self.size else None
        return f"urn:tallystick:{(first or bytes(HASH_BYTES))[:IDENTITY_BYTES].hex()}"

    # Events.

    def events(self) -> Iterator[Stored]:
        """Yield the selected events in the order of the log; what cannot be had comes as `Damaged` or `Deleted`."""
        return (stored for stored, _, _ in self.entries())

    def entries(self) -> Iterator[Entry]:
        """Yield the same, each with its bytes and what is kept beside them."""
        for entry in self._all() if self._named is None else self._of_streams(*self._named):
            stored = entry[0]
            if isinstance(stored, Event) and not self.selection.has(stored):
                continue
            self._count(stored)
            yield entry

    def _count(self, stored: Stored) -> None:
        if isinstance(stored, Event):
            self.event_count += 1
        elif isinstance(stored, Deleted):
            self.deleted += 1
        else:
            self.damaged += 1

    def _span(self) -> tuple[int, int]:
        """Behind which position the selected ones begin, and where they end."""
        until = self.selection.until_position
        return self.selection.after or 0, self.size if until is None else min(until, self.size)

    def _slices(self) -> Iterator[tuple[int, int]]:
        """From which position to which the log is read at a time."""
        after, end = self._span()
        first = after + 1
        while first <= end:  # whole slices behind the first one: then no block of the archive is unpacked twice
            last = min(first + EXPORT_SLICE_EVENTS - 1 - (first - 1) % EXPORT_SLICE_EVENTS, end)
            yield first, last
            first = last + 1

    def _all(self) -> Iterator[Entry]:
        """The log from one position to another: of what cannot be read nobody knows when it was recorded."""
        after, end = self._span()
        for first, last in self._slices():
            yield from self._between(first, last)
            self._told(last - after, end - after)

    def _between(self, first: int, last: int) -> Iterable[Entry]:
        """What is stored from one position to another; a payload that its record does not name is damage."""
        bodies = self._log.records(first, last)
        rows = self._log.payloads(first, last)
        records = read_records(first, bodies)
        if not rows:
            return zip(records, bodies, repeat(NOTHING_KEPT), strict=False)
        kept = by_position(rows)
        payloads = [kept.get(stored.position, NOTHING_KEPT) for stored in records]
        return zip(map(_whole, records, payloads), bodies, payloads, strict=True)

    def _of_streams(self, stream: bytes, is_flow: bool) -> Iterator[Entry]:  # noqa: FBT001 - as it was found
        """The events of a task or a flow; of one that mirrors tasks, theirs are among them."""
        streams = self._told_by(stream, is_flow)
        after, end = self._span()
        for stored in heapq.merge(*map(self._log.stream, streams), key=attrgetter("position")):
            if after < stored.position <= end:
                [(found, body, payloads)] = self._between(stored.position, stored.position)
                yield (found, body, payloads) if isinstance(stored, Event) else (stored, body, NOTHING_KEPT)

    def _told_by(self, stream: bytes, is_flow: bool) -> list[bytes]:  # noqa: FBT001 - as it was found
        others = (event.stream for event in flow_history.timeline(self._log, stream)) if is_flow else ()
        return list(dict.fromkeys((stream, *others)))

    @property
    def has_payloads(self) -> bool:
        """Whether anything is kept beside the events in question; their span of time is not looked at."""
        places = self._slices()
        if self._named is not None:
            found = self._log.positions(self._told_by(*self._named)).values()
            places = ((position, position) for positions in found for position in positions)
        return any(self._log.payloads(first, last) for first, last in places)

    def leaf_at(self, position: int) -> bytes | None:
        """Return the leaf hash that was stored with a record, also of one that cannot be had; None if it is gone."""
        index, place = divmod(position - 1, TILE_WIDTH)
        leaves = split(self._log.tile(0, index))
        return leaves[place] if place < len(leaves) else None

    # Histories.

    def histories(self, *, flows: bool) -> Iterator[History]:
        """Yield all that the log has of each selected task, and of each flow if asked, in the order of their ids.

        Those selected were created in the span of time; of a flow that is named, its tasks are among them.
        """
        if self._named is None:
            found = all_histories(self._log, self.size, self._told)
        else:
            found = histories_of(self._log, self._streams(*self._named), self.size)
        for history in found:
            if (flows or not history.is_of_flow) and self.selection.spans(history.created_at):
                self.task_count += not history.is_of_flow
                for stored in history.records:
                    self._count(stored)
                yield history

    def _streams(self, stream: bytes, is_flow: bool) -> list[bytes]:  # noqa: FBT001 - as it was found
        streams = {stream}
        if is_flow:
            streams |= {event.stream for event in flow_history.timeline(self._log, stream)}
            with suppress(NotFound):  # a flow that is pruned, or what only mirrored once
                streams |= {record.stream for record in FlowReadings(self.readings.reader).tasks(id_text(stream))}
        return sorted(streams)

    # Records.

    def tasks(self) -> Iterator[TaskRecord]:
        """Yield the records of the selected tasks, newest first. What retention has pruned is not among them."""
        for record in self._listed() if self._named is None else self._of(*self._named):
            self.task_count += 1
            yield self.readings.dated(record, self.made_at)

    def _listed(self) -> Iterator[TaskRecord]:
        given = self.selection if self.selection.rows == TASKS else Selection(rows=TASKS)
        filters = {name: value for name in ("since", "until") if (value := getattr(given, name)) is not None}
        total, done, cursor = self.readings.counts().total, 0, None
        while True:
            page = self.readings.list(**filters, limit=EXPORT_PAGE_ROWS, cursor=cursor)
            yield from page.tasks
            done, cursor = done + len(page.tasks), page.next_cursor
            self._told(done, max(total, done))
            if cursor is None:
                return

    def _of(self, stream: bytes, is_flow: bool) -> Iterator[TaskRecord]:  # noqa: FBT001 - as it was found
        if is_flow:
            found: Iterable[TaskRecord] = FlowReadings(self.readings.reader).tasks(id_text(stream))
        else:
            found = self.readings.reader.records([stream]).values()
        return (each for each in found if each.pruned_at is None and self.selection.spans(each.created_at))

    def damages(self) -> Iterator[Quarantined]:
        """Yield what of the log says nothing, so that what it was about is not among the tasks as it should be."""
        stream = None if self._named is None else self._named[0]
        for damage in self.readings.reader.answer(quarantined):
            if stream in (None, damage.stream):
                self.damaged += 1 + damage.last - damage.position
                yield damage

    @property
    def is_sound(self) -> bool:
        """Whether nothing that went through was damaged, nor other than what the tree was built from."""
        return not self.damaged and self.computed_root in (None, self.root_hash)


def _whole(stored: Stored, payloads: Payloads) -> Stored:
    """Return what is stored with what is kept of it, if that is what the record names."""
    if not payloads or not isinstance(stored, Event):
        return stored
    for name in strange(stored.data, payloads):
        return Damaged(stored.position, f"what is kept of {name} has not the digest that the record has")
    return whole(stored, payloads)
