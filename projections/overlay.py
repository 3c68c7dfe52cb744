"""The overlay: what the log tells and the views have not seen, folded in memory."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from tallystick.ledger.flows.mirror import has_mirror
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections.change import (
    Changes,
    FlowChanges,
    FlowLookup,
    Folded,
    Known,
    Lookup,
    TaskChanges,
    changes_of,
    since,
)
from tallystick.projections.keys import place
from tallystick.projections.places import Span


class Overlay:
    """What the events after `base` up to `head` made of the tasks that they touched. What it answers never changes.

    `base` is where the rows of the views stand that it is laid over.
    """

    def __init__(self, base: int = 0, head: int = 0, folded: Folded | None = None) -> None:
        self.base, self.head = base, head
        self.folded = folded or Folded(Changes())
        self.unseen: dict[int | None, Mapping[bytes, Known]] = {}
        """By the position of an index, what it does not know, once somebody has asked: nobody folds it twice."""
        self.flows_behind: dict[int, frozenset[bytes]] = {}
        """By the position of their rows, the flows that have events between it and `base`: nobody reads it twice."""

    @property
    def changes(self) -> TaskChanges:
        """Every touched task, at `base` and at `head`."""
        return self.folded.changes.tasks

    @property
    def flows(self) -> FlowChanges:
        """Every touched flow, at `base` and at `head`."""
        return self.folded.changes.flows

    def moved(self, log: EventLog, lookup: Lookup, flows: FlowLookup, *, base: int, head: int) -> "Overlay":
        """Return the overlay between two other positions, by reading what is new.

        `lookup` knows the tasks at `base`, `flows` the flows. The head never goes back.
        """
        known: Folded | None = None
        read = base
        if self.base <= base < self.head:
            known = self.folded if base == self.base else Folded(since(base, self.folded.changes, lookup, flows))
            read = self.head
        return Overlay(
            base, head, changes_of(log.read(read, head), lookup, known, flows=flows) if read < head else known
        )

    def newest_first(self, span: Span) -> Iterator[tuple[bytes, TaskRecord]]:
        """Yield places and records in a span; pruned tasks have none."""
        for here, record in self._newest_first:
            if here < span.first:
                return
            if here in span:
                yield here, record

    def children(self, task_id: str) -> Sequence[TaskRecord]:
        """Return the tasks of which this one is the parent, the newest first; pruned tasks are nobody's."""
        return self._children.get(task_id, ())

    @cached_property
    def _children(self) -> dict[str, list[TaskRecord]]:
        families: dict[str, list[TaskRecord]] = {}
        for _, record in self._newest_first:
            if record.parent_task_id is not None:
                families.setdefault(record.parent_task_id, []).append(record)
        return families

    def of_flow(self, flow_id: str) -> Sequence[TaskRecord]:
        """Return the tasks that say that they are of this flow, the newest first; pruned tasks are nobody's."""
        return self._of_flows.get(flow_id, ())

    @cached_property
    def _of_flows(self) -> dict[str, list[TaskRecord]]:
        flows: dict[str, list[TaskRecord]] = {}
        for _, record in self._newest_first:
            if record.parent_flow_id is not None and not has_mirror(record):
                flows.setdefault(record.parent_flow_id, []).append(record)
        return flows

    @cached_property
    def _newest_first(self) -> list[tuple[bytes, TaskRecord]]:
        live = [
            (place(stream, change.after), change.after)
            for stream, change in self.changes.items()
            if change.after.pruned_at is None
        ]
        live.sort(key=lambda entry: entry[0], reverse=True)
        return live
