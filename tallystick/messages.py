"""The messages of a ledger, to be asked for: what waits in a session, and what became of telling."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.events import Event
from tallystick.ledger.lifecycle import DeliveryKind
from tallystick.ledger.limits import (
    DELIVERIES_DEFAULT,
    PAGE_ROWS_MAX,
    SESSION_TAKE_DEFAULT,
    SESSION_TAKE_MAX,
    TIME_MS_MAX,
)
from tallystick.ledger.outbox import Waiting, id_of
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import EventLog
from tallystick.projections.frozen import message_at
from tallystick.projections.keys import ENDPOINT, SESSION, STUCK, WITHHELD
from tallystick.projections.outbox import session_heading
from tallystick.projections.reader import Reader

if TYPE_CHECKING:
    from tallystick.ledger.told import DeliveryRecord

PAGE = 100  # that are read together
_GENERATED = "wake"  # begins the name of a message about a generation


class SessionEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What waits in a session to be taken: the text, and the task that it is about.

    `position` orders the events of a session and acknowledges them; `id` is the same however often it is taken.
    """

    position: int
    text: str
    task_id: str
    kind: str
    id: str
    queued_at: int
    artifacts: tuple[str, ...] = ()


class Messages:
    """What the outboxes of all tasks have, exactly as of the log's head."""

    def __init__(self, log: EventLog, reader: Reader) -> None:
        self._log, self._reader = log, reader

    def take(self, session: str, limit: int = SESSION_TAKE_DEFAULT) -> list[SessionEvent]:
        """Return what waits in a session, the oldest first. Takes nothing away: `ack` does, when it was dealt with."""
        fields.whole("limit", limit, least=1, most=SESSION_TAKE_MAX)
        found = self.waiting_in(fields.required_key("session", session), TIME_MS_MAX)
        return [self._session_event(record, waiting) for record, waiting in islice(found, limit)]

    def waiting_in(self, session: str, until: int) -> Iterator[tuple[TaskRecord, Waiting]]:
        """Yield what waits in a session up to a position, with its task."""
        heading, before, first = session_heading(session), min(until, TIME_MS_MAX - 1) + 1, 0
        while True:
            page = self._reader.slots(heading, before, PAGE, first=first)
            records = self._reader.records({stream for _, stream in page})
            for position, stream in page:
                record = records.get(stream)
                for waiting in () if record is None else record.outbox:
                    if waiting.position == position and waiting.session == session:
                        assert record is not None, "it has an outbox"
                        yield record, waiting
            if len(page) < PAGE:
                return
            first = page[-1][0] + 1

    def sessions(self) -> Iterator[str]:
        """Yield the sessions in which something waits."""
        from tallystick.actors.courier.shelf import sessions  # not for the commands that only read

        return sessions(self._reader)

    def of_task(self, stream: bytes) -> "list[DeliveryRecord]":
        """Return every message of a task, delivered ones included, in order."""
        from tallystick.ledger.told import deliveries_of  # not for a command that only counts

        return deliveries_of(stored for stored in self._log.stream(stream) if isinstance(stored, Event))

    def open(self, limit: int = DELIVERIES_DEFAULT) -> "list[DeliveryRecord]":
        """Return messages of any task that have not arrived: what is stuck, sent, withheld, or waits in sessions."""
        fields.whole("limit", limit, least=1, most=PAGE_ROWS_MAX)
        streams: dict[bytes, None] = {}
        for kind in (STUCK, ENDPOINT, WITHHELD, SESSION):
            found = sorted(
                slot
                for heading in self._reader.headings(kind)
                for slot in self._reader.slots(heading, TIME_MS_MAX, limit)
            )
            streams.update(dict.fromkeys(stream for _, stream in found))
            if len(streams) >= limit:
                break
        told = [record for stream in list(streams)[:limit] for record in self.of_task(stream) if record.is_open]
        return told[:limit]

    def _session_event(self, record: TaskRecord, waiting: Waiting) -> SessionEvent:
        message = message_at(self._log, waiting.position)
        return SessionEvent(
            position=waiting.position,
            text=_unreadable(record) if message is None else message.text,
            task_id=record.task_id,
            kind=_kind_of(waiting.delivery) if message is None else message.kind.value,
            id=id_of(record.task_id, waiting.delivery),
            queued_at=waiting.queued_at,
            artifacts=() if message is None else message.artifacts,
        )


def _unreadable(record: TaskRecord) -> str:
    """What can be said when a message cannot be read; not in the task's own words, from which nobody strips secrets."""
    return f"Background task {record.shown_status}: {record.task_id}. The message about it cannot be read any more."


def _kind_of(delivery: str) -> str:
    """What a message tells, by its name: "event:4:started", "review:succeeded:default"."""
    parts = delivery.split(":")
    if parts[0] == _GENERATED:
        return DeliveryKind.MEDIA.value
    return next((kind.value for kind in DeliveryKind if kind.value in parts), DeliveryKind.TERMINAL.value)
