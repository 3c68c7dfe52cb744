"""The shelf: what waits, found by endpoint through the index, so that memory has a part of it and no more."""

from collections.abc import Iterator, Sequence

from tallystick.actors.courier.endpoint import Endpoint
from tallystick.actors.courier.pacing import Pacing
from tallystick.ledger.events import Origin
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_WINDOW, TIME_MS_MAX
from tallystick.ledger.outbox import Waiting, endpoint_of, sendable
from tallystick.projections.keys import ENDPOINT, SESSION, UNCONFIRMED, outbox_heading
from tallystick.projections.outbox import endpoint_heading, session_heading
from tallystick.projections.reader import Reader

LAG_MAX = 20_000  # events that the views have not seen


class Shelf:
    """Endpoints by their headings, and the messages that the index has for them. Owned by one thread."""

    def __init__(self, reader: Reader, pacing: Pacing) -> None:
        self._reader, self._pacing = reader, pacing
        self._endpoints: dict[bytes, Endpoint] = {}

    def is_ready(self) -> bool:
        """Whether the index can be asked: not when most of the log would have to be folded for each answer."""
        return self._reader.lag() <= LAG_MAX

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints that are known."""
        return tuple(self._endpoints.values())

    def endpoint(self, route: Origin) -> Endpoint:
        """Return the endpoint of a route."""
        heading = endpoint_heading(route)
        found = self._endpoints.get(heading)
        if found is None:
            found = self._endpoints[heading] = Endpoint(heading, endpoint_of(route), self._pacing)
        return found

    def look(self) -> None:
        """Get to know the endpoints for which something waits in the index."""
        for heading in self._reader.headings(ENDPOINT):
            if heading in self._endpoints:
                continue
            for _stream, waiting in _standing_at(self._reader, heading, TIME_MS_MAX, 1):
                if waiting.route is not None and endpoint_heading(waiting.route) == heading:
                    self.endpoint(waiting.route)

    def due(self, endpoint: Endpoint, now: int) -> tuple[list[tuple[bytes, Waiting]], bool]:
        """Return messages that are due on an endpoint, the longest due first, and whether there may be more."""
        limit = ENDPOINT_WINDOW + DELIVERIES_AT_ONCE  # those under way stand there, too
        slots = self._reader.slots(endpoint.heading, now + 1, limit)
        records = self._reader.records([stream for _, stream in slots])
        found = [
            (stream, waiting)
            for _, stream in slots
            if stream in records
            for waiting in sendable(records[stream].outbox)
            if waiting.route is not None
            and endpoint_of(waiting.route) == endpoint.name
            and waiting.due_at is not None
            and waiting.due_at <= now
        ]
        return found, len(slots) == limit

    def next_due(self, endpoint: Endpoint, now: int) -> int | None:
        """Return when something will be due on an endpoint (ms); None when nothing will."""
        return next((at for at, _ in self._reader.slots(endpoint.heading, TIME_MS_MAX, 1, first=now + 1)), None)

    def unconfirmed(self, now: int) -> Iterator[tuple[bytes, Waiting]]:
        """Yield what sessions should have confirmed by now."""
        for stream, waiting in _standing_at(self._reader, outbox_heading(UNCONFIRMED), now + 1, None):
            if waiting.session is not None and waiting.due_at is not None and waiting.due_at <= now:
                yield stream, waiting

    def next_unconfirmed(self, now: int) -> int | None:
        """Return when the next time is over for a session to confirm something (ms)."""
        slots = self._reader.slots(outbox_heading(UNCONFIRMED), TIME_MS_MAX, 1, first=now + 1)
        return next((at for at, _ in slots), None)

    def sendable_of(self, stream: bytes) -> list[Waiting]:
        """Return the messages of one task that may be sent next."""
        record = self._reader.records([stream]).get(stream)
        return [] if record is None else list(sendable(record.outbox))

    def sessions(self) -> Iterator[str]:
        """Yield the sessions in which something waits."""
        return sessions(self._reader)


def sessions(reader: Reader) -> Iterator[str]:
    """Yield the sessions in which something waits."""
    for heading in reader.headings(SESSION):
        for _stream, waiting in _standing_at(reader, heading, TIME_MS_MAX, 1):
            if waiting.session is not None and session_heading(waiting.session) == heading:
                yield waiting.session
                break


def _standing_at(reader: Reader, heading: bytes, before: int, limit: int | None) -> Iterator[tuple[bytes, Waiting]]:
    streams = {stream for _, stream in reader.slots(heading, before, limit)}
    for stream, record in reader.records(streams).items():
        for waiting in record.outbox:
            yield stream, waiting
