"""Replaying: every task as the log told it up to a position or a moment, folded from the events alone."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.flows.mirror import mirror_stream, mirrored
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import Changes, changes_of, merge
from tallystick.projections.counts import Counts, cell_of, counts_of

SLICE_EVENTS = 8_192

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many events have been folded, of how many."""


class Replay:
    """All tasks and flows as of `position`, by the sixteen bytes of their ids. Reads no view, and writes nothing.

    As everywhere, what cannot follow is skipped: the task keeps its last good state, and `skipped` says where that
    began and why; `damaged` has the positions of records that are no events.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.position = 0
        self.records: dict[bytes, TaskRecord] = {}
        self.flows: dict[bytes, FlowRecord] = {}
        """The flows that have events of their own."""
        self.skipped: dict[bytes, Corrupt] = {}
        self.damaged: list[int] = []

    def advance(self, until: int | None = None, progress: Progress | None = None) -> None:
        """Fold on to a position, or to the log's head."""
        head = self._log.head()
        end = head if until is None else min(until, head)
        while self.position < end:
            last = min(self.position + SLICE_EVENTS, end)
            self._fold(last)
            if progress is not None:
                progress(last, end)

    def changes(self, until: int | None = None, progress: Progress | None = None) -> Changes:
        """Fold on likewise, and return what that changed: every touched task and flow before and after."""
        began, head = self.position, self._log.head()
        end = head if until is None else min(until, head)
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

    def live(self) -> Iterator[TaskRecord]:
        """Yield the tasks that a list would have shown: those that were not pruned."""
        return (record for record in self.records.values() if record.pruned_at is None)

    def newest(self, limit: int) -> list[TaskRecord]:
        """Return the newest tasks, newest first."""
        return sorted(self.live(), key=lambda record: (record.created_at, record.task_id), reverse=True)[:limit]

    def counts(self) -> Counts:
        """Return how many tasks there were, by status and by runtime."""
        return counts_of(Counter(map(cell_of, self.live())))

    def _fold(self, last: int) -> Changes:
        folded = changes_of(self._log.read(self.position, last), self.records.get, flows=self.flows.get)
        self.records.update((stream, change.after) for stream, change in folded.changes.tasks.items())
        self.flows.update((stream, change.after) for stream, change in folded.changes.flows.items())
        for stream, error in folded.skipped.items():
            self.skipped.setdefault(stream, error)
        self.damaged.extend(folded.damaged)
        self.position = last
        return folded.changes


def _told(own: FlowRecord, known: Callable[[bytes], TaskRecord | None]) -> FlowRecord:
    """Return a flow whose own events are known: one that mirrors tasks is what these tell."""
    origin = None if own.is_managed else known(mirror_stream(own.stream))
    if origin is None:
        return own
    followed = None if own.followed_task_id is None else known(id_bytes(own.followed_task_id))
    return mirrored(origin, followed or origin, own)


def position_at(log: EventLog, at: int) -> int:
    """Return the position of the last event that was recorded by a moment: everything before the first later one."""
    last = 0
    for stored in log.read():
        if isinstance(stored, Event) and stored.recorded_at > at:
            return last
        last = stored.position
    return last
