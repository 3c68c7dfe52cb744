"""The messages of a ledger, to be asked for: what waits in a session, and what became of telling."""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.events import DeliveryQueued, Event
from tallystick.ledger.limits import PAGE_ROWS_MAX, SESSION_TAKE_MAX, TIME_MS_MAX
from tallystick.ledger.outbox import Waiting, id_of
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.projections.keys import ENDPOINT, SESSION, STUCK
from tallystick.projections.outbox import session_heading
from tallystick.projections.reader import Reader

TAKE_DEFAULT = 20
PAGE = 100  # that are read together
DELIVERIES_DEFAULT = 50


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

    def take(self, session: str, limit: int = TAKE_DEFAULT) -> list[SessionEvent]:
        """Return what waits in a session, the oldest first. Takes nothing away: `ack` does, when it was dealt with."""
        fields.whole("limit", limit, least=1, most=SESSION_TAKE_MAX)
        taken: list[SessionEvent] = []
        for task_id, waiting in self.waiting_in(fields.required_key("session", session), TIME_MS_MAX):
            message = self._message(waiting.position)
            if message is not None:
                taken.append(_session_event(task_id, waiting, message))
            if len(taken) == limit:
                break
        return taken

    def waiting_in(self, session: str, until: int) -> Iterator[tuple[str, Waiting]]:
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
                        yield record.task_id, waiting
            if len(page) < PAGE:
                return
            first = page[-1][0] + 1

    def sessions(self) -> Iterator[str]:
        """Yield the sessions in which something waits."""
        from tallystick.actors.courier.shelf import sessions  # not for the commands that only read

        return sessions(self._reader)

    def of_task(self, stream: bytes) -> list[DeliveryRecord]:
        """Return every message of a task, delivered ones included, in order."""
        return deliveries_of(stored for stored in self._log.stream(stream) if isinstance(stored, Event))

    def open(self, limit: int = DELIVERIES_DEFAULT) -> list[DeliveryRecord]:
        """Return messages of any task that have not arrived: what is stuck, what is sent, what waits in sessions."""
        fields.whole("limit", limit, least=1, most=PAGE_ROWS_MAX)
        streams: dict[bytes, None] = {}
        for kind in (STUCK, ENDPOINT, SESSION):
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

    def _message(self, position: int) -> DeliveryQueued | None:
        for stored in self._log.read(position - 1, position):
            if isinstance(stored, Event) and isinstance(stored.data, DeliveryQueued):
                return stored.data
        return None


def _session_event(task_id: str, waiting: Waiting, message: DeliveryQueued) -> SessionEvent:
    return SessionEvent(
        position=waiting.position,
        text=message.text,
        task_id=task_id,
        kind=message.kind.value,
        id=id_of(task_id, waiting.delivery),
        queued_at=waiting.queued_at,
        artifacts=message.artifacts,
    )
