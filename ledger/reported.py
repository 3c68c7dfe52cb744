"""Reported time: what had happened by a moment, as far as is known now. Pure; the rules that fold are those of evolve.

The ledger hears of things late and out of order. Of a moment it counts what is reported to have happened by then, in
the order in which the ledger wrote it. What then cannot follow is left out, because what it stands on had not happened.
"""

from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import TaskErased, TaskLost, TaskRecovered, TaskSettled
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.remains import remains_of_flow, remains_of_task

Taken = tuple[Event, ...]


class Reported:
    """Every task and flow as it was at a moment (ms), by what is reported. Told event by event, in log order.

    A recovery that had happened by then counts, and with it the loss that it corrects, whenever that was inferred: so
    a task that ended unseen has ended, as it really did. `version` and `position` of a record are those of the newest
    event that counts.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.records: dict[bytes, TaskRecord] = {}
        self.flows: dict[bytes, FlowRecord] = {}
        self.skipped: dict[bytes, Corrupt] = {}
        """Where the events of a task or flow have a gap: what comes after it says nothing."""
        self._versions: dict[bytes, int] = {}
        self._losses: dict[bytes, Event] = {}

    def take(self, event: Event) -> Taken:
        """Take in the next event; returns what of it counts: itself, a loss before it, or nothing."""
        stream = event.stream
        if stream in self.skipped:
            return self._left(event)
        if event.version != self._versions.get(stream, 0) + 1:
            known = self._versions.get(stream, 0)
            detail = f"{event.task_id} has version {known}, then {event.version}"
            self.skipped[stream] = Corrupt(detail, position=event.position)
            return self._left(event)
        self._versions[stream] = event.version
        if event.occurred_at > self.at:
            if _is_loss(event):
                self._losses[stream] = event
            return ()
        return self._take_of_flow(event) if event.is_of_flow else self._take_of_task(event)

    def _take_of_task(self, event: Event) -> Taken:
        record = self.records.get(event.stream)
        taken: Taken = (event,)
        try:
            loss = self._losses.get(event.stream)
            if isinstance(event.data, TaskRecovered) and loss is not None:  # the one that it corrects: there is one
                record, taken = _after(record, loss), (loss, event)
            self.records[event.stream] = _after(record, event)
        except Corrupt:
            return ()
        return taken

    def _take_of_flow(self, event: Event) -> Taken:
        flow = self.flows.get(event.stream)
        try:
            self.flows[event.stream] = evolve_flow(flow and replace(flow, revision=event.version - 1), event)
        except Corrupt:
            return ()
        return (event,)

    def _left(self, event: Event) -> Taken:
        """Behind a gap only a pruning says something: what it was that is gone."""
        if event.occurred_at > self.at:
            return ()
        if event.is_of_flow:
            flow = remains_of_flow(event, self.flows.get(event.stream))
            if flow is None:
                return ()
            self.flows[event.stream] = flow
        else:
            record = remains_of_task(event, self.records.get(event.stream))
            if record is None:
                return ()
            self.records[event.stream] = record
        return (event,)


def _is_loss(event: Event) -> bool:
    data = event.data
    return isinstance(data, TaskLost) or (isinstance(data, TaskSettled) and data.status is Status.LOST)


def _after(record: TaskRecord | None, event: Event) -> TaskRecord:
    """Return what is known after an event; those that do not count have no version to wait for."""
    if record is None:
        return evolve(None, event)
    if record.pruned_at is not None and not isinstance(event.data, TaskErased):
        raise Corrupt(f"task {record.task_id} was pruned", position=event.position)
    return evolve(replace(record, version=event.version - 1), event)
