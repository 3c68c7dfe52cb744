"""Replaying: every task and flow as the log told it up to a position or a moment, folded from the events alone."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import OF_FLOWS, Event
from tallystick.ledger.evolve import begun, grow
from tallystick.ledger.facts.tasks import TaskErased
from tallystick.ledger.flows.mirror import mirror_stream, mirrored
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.reported import Reported
from tallystick.ledger.store.codec import first_after, read_share, share_of
from tallystick.ledger.store.payloads import fill
from tallystick.ledger.store.port import Damaged, Deleted, EventLog, Stored
from tallystick.moments import By, When
from tallystick.projections.change import Changes, changes_of, merge, nothing_known

SLICE_EVENTS = 8_192
RECORDS_AT_ONCE = 1_024  # read in one transaction
TOGETHER_FROM = 200_000  # events: below that, other processes would be ready too late

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many events have been folded, of how many."""


class Share(Struct, frozen=True):
    """A part of all tasks and flows: the one with this number, of so many."""

    number: int = 0
    of: int = 1


WHOLE = Share()


class Replayed(Struct, frozen=True):
    """What a replay came to: all tasks and flows as of `position`, by the sixteen bytes of their ids.

    What cannot follow is left out: the task keeps its last good state, and `skipped` says where that began and why;
    `damaged` has the positions of records that are no events. Of flows there are those that have events of their own.
    """

    position: int
    records: dict[bytes, TaskRecord]
    flows: dict[bytes, FlowRecord]
    skipped: dict[bytes, Corrupt]
    damaged: list[int]


class Misplaced(Exception):
    """A record belongs to another share than it was found in: the shares must not be folded apart."""


class Replay:
    """All tasks and flows of a log, or a share of them, as of `position`. Reads no view, and writes nothing."""

    def __init__(self, log: EventLog, share: Share = WHOLE) -> None:
        self._log, self._share = log, share
        self.position = 0
        self.records: dict[bytes, TaskRecord] = {}
        self.flows: dict[bytes, FlowRecord] = {}
        """The flows that have events of their own."""
        self.skipped: dict[bytes, Corrupt] = {}
        self.damaged: list[int] = []

    def done(self) -> Replayed:
        """Return what it has come to."""
        return Replayed(self.position, self.records, self.flows, self.skipped, self.damaged)

    def advance(self, until: int | None = None, progress: Progress | None = None) -> None:
        """Fold on to a position, or to the log's head. Raises `Misplaced` for a share that cannot be told from others.

        From the beginning, records are made once and grown: nobody has seen them before this returns.
        """
        if self.position:
            self.changes(until, progress)
            return
        end = self._end(until)
        odd: set[bytes] = set()
        while self.position < end:
            last = min(self.position + SLICE_EVENTS, end)
            self._grow(self.read(self.position, last), odd)
            self.position = last
            if progress is not None:
                progress(last, end)
        if odd:
            self._fold_odd(odd, end)

    def changes(self, until: int | None = None, progress: Progress | None = None) -> Changes:
        """Fold on likewise, and return what that changed: every touched task and flow before and after."""
        began, end = self.position, self._end(until)
        changed = Changes()
        while self.position < end:
            last = min(self.position + SLICE_EVENTS, end)
            changed = merge(changed, self._fold(last))
            if progress is not None:
                progress(last - began, end - began)
        return changed

    def changed_flows(self, changes: Changes) -> Iterator[tuple[FlowRecord | None, FlowRecord]]:
        """Yield what became of the flows that have events of their own, by what was just folded on.

        One that mirrors tasks is what these tell, before and after.
        """

        def before(stream: bytes) -> TaskRecord | None:
            change = changes.tasks.get(stream)
            return self.records.get(stream) if change is None else change.before

        for change in changes.flows.values():
            earlier = None if change.before is None else _told(change.before, before)
            yield earlier, _told(change.after, self.records.get)

    def _end(self, until: int | None) -> int:
        head = self._log.head()
        return head if until is None else min(until, head)

    def _grow(self, events: Iterable[Stored], odd: set[bytes]) -> None:
        """Fold a slice of a log of which nobody has seen a record; of what does not follow, say whose it is."""
        records, of_flows = self.records, []
        find = records.get
        for event in events:
            if isinstance(event, Damaged):
                if not isinstance(event, Deleted):
                    self.damaged.append(event.position)
                continue
            if event.data.__class__ in OF_FLOWS:
                of_flows.append(event)
                continue
            stream = event.stream
            record = find(stream)
            try:
                if record is None:
                    records[stream] = begun(event)
                elif record.pruned_at is None or event.data.__class__ is TaskErased:
                    grow(record, event)
                else:
                    odd.add(stream)
            except Corrupt:
                odd.add(stream)
        if of_flows:
            self._keep_flows(of_flows)

    def _keep_flows(self, events: Iterable[Event]) -> None:
        folded = changes_of(events, nothing_known, flows=self.flows.get)
        self.flows.update((stream, change.after) for stream, change in folded.changes.flows.items())
        for stream, error in folded.skipped.items():
            self.skipped.setdefault(stream, error)

    def _fold_odd(self, odd: set[bytes], end: int) -> None:
        """Fold the tasks again whose events do not follow each other, as read models do it."""
        events = (event for event in self.read(0, end) if not isinstance(event, Damaged) and event.stream in odd)
        folded = changes_of(events, nothing_known)
        for stream in odd:
            self.records.pop(stream, None)
        self.records.update((stream, change.after) for stream, change in folded.changes.tasks.items())
        for stream, error in folded.skipped.items():
            self.skipped.setdefault(stream, error)

    def _fold(self, last: int) -> Changes:
        folded = changes_of(self.read(self.position, last), self.records.get, flows=self.flows.get)
        self.records.update((stream, change.after) for stream, change in folded.changes.tasks.items())
        self.flows.update((stream, change.after) for stream, change in folded.changes.flows.items())
        for stream, error in folded.skipped.items():
            self.skipped.setdefault(stream, error)
        self.damaged.extend(folded.damaged)
        self.position = last
        return folded.changes

    def read(self, after: int, until: int) -> Iterable[Stored]:
        """Return what is stored behind a position and up to another, of the share. Raises `Misplaced`."""
        return self._log.read(after, until) if self._share.of == 1 else self._read_share(after, until)

    def _read_share(self, after: int, until: int) -> Iterator[Stored]:
        number, of = self._share.number, self._share.of
        for first in range(after + 1, until + 1, RECORDS_AT_ONCE):
            last = min(first + RECORDS_AT_ONCE - 1, until)
            bodies = self._log.records(first, last)
            for stored in fill(read_share(first, bodies, number, of), self._log.payloads(first, last)):
                if not isinstance(stored, Damaged) and share_of(stored.stream, of) != number:
                    raise Misplaced
                yield stored


def _told(own: FlowRecord, known: Callable[[bytes], TaskRecord | None]) -> FlowRecord:
    """Return a flow whose own events are known: one that mirrors tasks is what these tell."""
    origin = None if own.is_managed else known(mirror_stream(own.stream))
    if origin is None:
        return own
    followed = None if own.followed_task_id is None else known(id_bytes(own.followed_task_id))
    return mirrored(origin, followed or origin, own)


def position_at(log: EventLog, at: int) -> int:
    """Return the position of the last event that was recorded by a moment: everything before the first later one."""
    head = log.head()
    for after in range(0, head, SLICE_EVENTS):
        last = min(after + SLICE_EVENTS, head)
        later = first_after(after + 1, log.records(after + 1, last), at)
        if later is not None:
            return later - 1
    return head


def position_of(log: EventLog, when: When) -> int:
    """Return up to which position a log is folded as of a moment: its head, unless a recorded one is meant."""
    if when.by is By.RECORDED and when.at is not None:
        return position_at(log, when.at)
    head = log.head()
    return head if when.position is None else min(when.position, head)


def folded(
    log: EventLog, when: When, until: int, *, share: Share = WHOLE, progress: Progress | None = None
) -> Replayed:
    """Return what a log, or a share of it, had told up to a position, by the time that is meant. Raises `Misplaced`."""
    replay = Replay(log, share)
    if when.by is By.RECORDED:
        replay.advance(until, progress)
        return replay.done()
    assert when.at is not None, "reported time is asked by a moment"
    reported = Reported(when.at)
    damaged: list[int] = []
    for after in range(0, until, SLICE_EVENTS):
        last = min(after + SLICE_EVENTS, until)
        for stored in replay.read(after, last):
            if not isinstance(stored, Damaged):
                reported.take(stored)
            elif not isinstance(stored, Deleted):
                damaged.append(stored.position)
        if progress is not None:
            progress(last, until)
    return Replayed(until, reported.records, reported.flows, reported.skipped, damaged)


def replayed(
    log: EventLog,
    when: When,
    *,
    folder: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Replayed:
    """Return what a log had told as of a moment.

    With several `processes` each folds a share of the tasks of a large log that is in `folder`; the answer is the same.
    """
    until = position_of(log, when)
    if processes > 1 and folder is not None and until >= TOGETHER_FROM:
        from tallystick.replayers import together

        told = together(log, when, until, folder=folder, processes=processes, progress=progress)
        if told is not None:
            return told
    return folded(log, when, until, progress=progress)
