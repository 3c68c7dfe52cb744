"""The past: a whole ledger as of one moment, folded from the events alone, and asked as the present is.

The same questions as of the present are answered by the same code: what `list` lets through, a past list does too.
"""

from collections.abc import Callable
from typing import Any

from tallystick.ledger import fields
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import DELIVERIES_DEFAULT, PAGE_ROWS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.moments import By, Told, When
from tallystick.projections.change import Change, Changes, Damages, Folded
from tallystick.projections.counts import Counts
from tallystick.projections.due import DueRules
from tallystick.projections.flow_list import FlowCounts, FlowList
from tallystick.projections.flow_query import FlowPage, FlowQuery
from tallystick.projections.outbox import OutboxCounts
from tallystick.projections.overlay import Overlay
from tallystick.projections.query import Page, Query
from tallystick.projections.seen import Seen
from tallystick.replaying import Replayed, replayed

Deliveries = list[DeliveryRecord]  # `list` is a method below

_Progress = Callable[[int, int], None]


class Past:
    """Every task, flow and message as of one moment. Never changes, whatever is written meanwhile; any thread may ask.

    It has no read model and needs no view: it holds every record in memory. Messages are read from the log when they
    are asked for, so the ledger has to be open then.
    """

    def __init__(self, log: EventLog, when: When, told: Replayed) -> None:
        tasks = {stream: Change(None, record) for stream, record in told.records.items()}
        flows = {stream: Change(None, record) for stream, record in told.flows.items()}
        changes = Changes(tasks, flows, damaged=Damages())
        overlay = Overlay(0, told.position, Folded(changes))
        self._seen = Seen(log, told.position, None, overlay, DueRules())
        self._flows = FlowList(self._seen)
        self._told = Told(log, When(told.position, when.at if when.by is By.REPORTED else None, when.by))
        self._when = when
        self.position = told.position
        """The position up to which the log was folded; of a moment as recorded, that of the last event by then."""

        self.damaged = tuple(told.damaged)
        """The positions of records that cannot be read."""

        self.skipped = tuple(id_text(stream) for stream in told.skipped)
        """The tasks and flows whose events do not follow each other; each is as it was before that began."""

    @property
    def at(self) -> int | None:
        """The moment that was asked for (ms), if one was."""
        return self._when.at

    @property
    def by(self) -> str:
        """By which time that moment was meant: "recorded" or "reported"."""
        return self._when.by.value

    @property
    def counts(self) -> Counts:
        """How many tasks there were, by status and by runtime."""
        return self._seen.counts()

    @property
    def flow_counts(self) -> FlowCounts:
        """How many managed flows there were, by status."""
        return self._flows.counts()

    @property
    def outbox(self) -> OutboxCounts:
        """How much waited to be sent, was stuck, and waited in sessions."""
        return self._seen.outbox_counts()

    def get(self, task_id: str) -> TaskRecord:
        """Return the task with this id as it was. Raises `NotFound`, or `Pruned` when retention had removed it."""
        return self._seen.get(fields.required_key("task_id", task_id))

    def find(self, token: str) -> TaskRecord:
        """Return the task that an id, a run id or a session key named then. Raises `NotFound`, `Pruned`."""
        return self._seen.find(token)

    def list(self, **filters: Any) -> Page:
        """Return a page of tasks as they were, newest first. The filters are those of `Ledger.list`."""
        return self._seen.list(Query.of(filters))

    def flow(self, flow_id: str) -> FlowRecord:
        """Return the flow with this id as it was. Raises `NotFound`, `Pruned`."""
        return self._flows.get(fields.required_key("flow_id", flow_id))

    def flows(self, **filters: Any) -> FlowPage:
        """Return a page of flows as they were, newest first. The filters are those of `Flows.list`."""
        return self._flows.list(FlowQuery.of(filters))

    def deliveries(self, token: str | None = None, *, limit: int = DELIVERIES_DEFAULT) -> Deliveries:
        """Return every message of a task as it was then; without a token, those of any task that had not arrived.

        Raises `NotFound`, `Pruned`, and `Corrupt` when the events of the task cannot be read.
        """
        if token is not None:
            return self._messages(self._seen.find(token).stream)
        fields.whole("limit", limit, least=1, most=PAGE_ROWS_MAX)
        waiting = sorted(
            (min(each.position for each in change.after.outbox), stream)
            for stream, change in self._seen.overlay.changes.items()
            if change.after.outbox and change.after.pruned_at is None
        )
        found: Deliveries = []
        for _, stream in waiting:
            found.extend(message for message in self._messages(stream) if message.is_open)
            if len(found) >= limit:
                break
        return found[:limit]

    def _messages(self, stream: bytes) -> Deliveries:
        return deliveries_of(self._told.events(stream))


def past(
    log: EventLog,
    when: When,
    *,
    folder: Any = None,
    processes: int = 1,
    progress: _Progress | None = None,
) -> Past:
    """Return the whole ledger as of a moment. `progress` is told how many events have been folded, of how many."""
    return Past(log, when, replayed(log, when, folder=folder, processes=processes, progress=progress))
