"""Told: what became of every message of a task, as its events tell it. Pure."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryOutcome,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus
from tallystick.ledger.outbox import id_of
from tallystick.ledger.payloads import lacking


class DeliveryRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One message: what it says, where it goes, and how far it is. All times are in ms (UTC), as recorded.

    `id` is what the receiver sees; `position` is where the log has it. Without a route it waits, or waited, in a
    session, or is withheld. `due_at` is when the next attempt is due, or when what is withheld is skipped; `settled_at`
    when it arrived, failed or was dismissed, which `error` then says why, if anybody did. `erased` are those of its
    fields that were kept beside the log and are gone, `redacted` those out of which a hook took something.
    """

    id: str
    task_id: str
    kind: DeliveryKind
    status: DeliveryStatus
    text: str
    position: int
    queued_at: int
    name: str
    route: Origin | None = None
    session: str | None = None
    artifacts: tuple[str, ...] = ()
    attempts: int = 0
    due_at: int | None = None
    settled_at: int | None = None
    error: str | None = None
    receipt: str | None = None
    erased: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it has not arrived, was not dismissed, and goes no other way: what nobody confirmed does."""
        is_replaced = self.status is DeliveryStatus.FAILED and self.route is None
        return not is_replaced and self.status not in (DeliveryStatus.DELIVERED, DeliveryStatus.DISMISSED)


def deliveries_of(events: Iterable[Event]) -> list[DeliveryRecord]:
    """Return the messages of one task, in the order in which they were queued."""
    told: dict[str, DeliveryRecord] = {}
    done: list[DeliveryRecord] = []
    for event in events:
        data = event.data
        if isinstance(data, DeliveryQueued | DeliveryWithheld):
            if data.delivery in told:  # one of this name was done with
                done.append(told.pop(data.delivery))
            told[data.delivery] = _queued(event, data) if isinstance(data, DeliveryQueued) else _withheld(event, data)
        elif isinstance(data, DeliveryReleased):  # what is sent instead follows
            told.pop(data.delivery, None)
        elif isinstance(data, DeliveryOutcome) and data.delivery in told:
            told[data.delivery] = _moved(told[data.delivery], event, data)
    return sorted([*done, *told.values()], key=lambda record: record.position)


def _queued(event: Event, data: DeliveryQueued) -> DeliveryRecord:
    return DeliveryRecord(
        id=id_of(event.task_id, data.delivery),
        task_id=event.task_id,
        kind=data.kind,
        status=DeliveryStatus.SESSION_QUEUED if data.route is None else DeliveryStatus.PENDING,
        text=data.text,
        position=event.position,
        queued_at=event.recorded_at,
        name=data.delivery,
        route=data.route,
        session=data.session,
        artifacts=data.artifacts,
        due_at=data.until if data.route is None else event.recorded_at,
        erased=lacking(data),
        redacted=data.redacted,
    )


def _withheld(event: Event, data: DeliveryWithheld) -> DeliveryRecord:
    return DeliveryRecord(
        id=id_of(event.task_id, data.delivery),
        task_id=event.task_id,
        kind=data.kind,
        status=DeliveryStatus.WITHHELD,
        text=data.text,
        position=event.position,
        queued_at=event.recorded_at,
        name=data.delivery,
        artifacts=data.artifacts,
        due_at=data.until,
        erased=lacking(data),
        redacted=data.redacted,
    )


def _moved(record: DeliveryRecord, event: Event, data: DeliveryOutcome) -> DeliveryRecord:
    now = event.recorded_at
    match data:
        case DeliveryAttempted():
            return replace(record, attempts=data.attempt, due_at=data.due_at, error=data.error)
        case DeliveryUnknown():
            return replace(
                record,
                status=DeliveryStatus.UNKNOWN,
                attempts=data.attempt,
                due_at=data.due_at,
                settled_at=now if data.due_at is None else None,
                error=data.error,
            )
        case DeliveryDelivered():
            return replace(
                record,
                status=DeliveryStatus.DELIVERED,
                attempts=record.attempts if data.attempt is None else data.attempt,
                due_at=None,
                settled_at=now,
                error=None,
                receipt=data.receipt,
            )
        case DeliveryFailed():
            return replace(
                record,
                status=DeliveryStatus.FAILED,
                attempts=data.attempt,
                due_at=None,
                settled_at=now,
                error=data.error,
            )
        case DeliveryRetried():
            is_unknown = record.status is DeliveryStatus.UNKNOWN
            status = DeliveryStatus.UNKNOWN if is_unknown else DeliveryStatus.PENDING
            return replace(record, status=status, due_at=now, settled_at=None)
        case DeliveryDismissed():
            error = data.reason or record.error
            return replace(record, status=DeliveryStatus.DISMISSED, due_at=None, settled_at=now, error=error)
