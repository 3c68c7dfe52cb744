"""The shelf: what waits, found by endpoint through the index, so that memory has a part of it and no more."""

from collections.abc import Callable, Iterator, Sequence

from tallystick.actors.courier.endpoint import Endpoint, Line
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.recorder import Key
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.limits import DELIVERIES_AT_ONCE, ENDPOINT_WINDOW, TIME_MS_MAX, VIEWS_LAG_MAX
from tallystick.ledger.outbox import Waiting, endpoint_of, line_of, sendable
from tallystick.projections.keys import ENDPOINT, SESSION, UNCONFIRMED, outbox_heading
from tallystick.projections.outbox import Slot, endpoint_heading, session_heading
from tallystick.projections.reader import Reader

PAGE = ENDPOINT_WINDOW + DELIVERIES_AT_ONCE  # those under way stand there, too


class Shelf:
    """Endpoints by their headings, and the messages that the index has for them. Owned by one thread."""

    def __init__(self, reader: Reader, pacing: Pacing) -> None:
        self._reader, self._pacing = reader, pacing
        self._endpoints: dict[bytes, Endpoint] = {}
        self._lines: dict[str, Line] = {}
        self._has_looked = False

    def is_ready(self) -> bool:
        """Whether the index can be asked: not when most of the log would have to be folded for each answer."""
        return self._reader.lag() <= VIEWS_LAG_MAX

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints that are known."""
        return tuple(self._endpoints.values())

    def put_last(self, endpoint: Endpoint) -> None:
        """Let the others have their turn first."""
        if self._endpoints.pop(endpoint.heading, None) is not None:
            self._endpoints[endpoint.heading] = endpoint

    def endpoint(self, route: Origin) -> Endpoint:
        """Return the endpoint of a route."""
        heading = endpoint_heading(route)
        found = self._endpoints.get(heading)
        if found is None:
            line = self._lines.setdefault(line_of(route), Line(line_of(route)))
            found = Endpoint(heading, endpoint_of(route), self._pacing, line=line)
            found.has_more = not self._has_looked  # else it would be known already
            self._endpoints[heading] = found
        return found

    def look(self) -> None:
        """Get to know the endpoints for which something waits in the index, and forget those that are at rest."""
        self._endpoints = {heading: each for heading, each in self._endpoints.items() if not each.is_at_rest()}
        for heading in self._reader.headings(ENDPOINT):
            if heading in self._endpoints:
                continue
            for _stream, waiting in _standing_at(self._reader, heading, TIME_MS_MAX, 1):
                if waiting.route is not None and endpoint_heading(waiting.route) == heading:
                    self.endpoint(waiting.route).has_more = True
        self._has_looked = True

    def head(self) -> int:
        """Return the position up to which the index can be asked."""
        with self._reader.snapshot() as seen:
            return seen.head

    def due(
        self, endpoint: Endpoint, now: int, is_known: Callable[[Key], bool]
    ) -> tuple[list[tuple[bytes, Waiting]], bool]:
        """Return messages that are due on an endpoint, the longest due first, and whether there may be more.

        Those that are known need not be returned; however many there are, others are found.
        """
        found: list[tuple[bytes, Waiting]] = []
        seen, limit = 0, PAGE
        while not found:
            slots = self._reader.slots(endpoint.heading, now + 1, limit)
            found = self._sendable_at(endpoint, slots[seen:], now, is_known)
            if len(slots) < limit:
                ahead = self._reader.slots(endpoint.heading, TIME_MS_MAX, PAGE, first=now + 1)
                return found + self._sendable_at(endpoint, ahead, now, is_known), False
            seen, limit = limit, 2 * limit
        return found, True

    def _sendable_at(
        self, endpoint: Endpoint, slots: Sequence[Slot], now: int, is_known: Callable[[Key], bool]
    ) -> list[tuple[bytes, Waiting]]:
        records = self._reader.records([stream for _, stream in slots])
        return [
            (stream, waiting)
            for _, stream in slots
            if stream in records
            for waiting in sendable(records[stream].outbox)
            if waiting.route is not None
            and endpoint_heading(waiting.route) == endpoint.heading
            and self._pacing.is_due(now, waiting)
            and not is_known((stream, waiting.delivery))
        ]

    def next_due(self, endpoint: Endpoint, now: int) -> int | None:
        """Return when something will be due on an endpoint (ms); None when nothing will."""
        return next((at for at, _ in self._reader.slots(endpoint.heading, TIME_MS_MAX, 1, first=now + 1)), None)

    def unconfirmed(self, now: int, is_known: Callable[[Key], bool]) -> Iterator[tuple[bytes, Waiting]]:
        """Yield what sessions should have confirmed by now and is not known, a page at a time."""
        seen, limit = 0, PAGE
        while True:
            slots = self._reader.slots(outbox_heading(UNCONFIRMED), now + 1, limit)
            for stream, record in self._reader.records([stream for _, stream in slots[seen:]]).items():
                for waiting in record.outbox:
                    is_late = waiting.session is not None and waiting.due_at is not None and waiting.due_at <= now
                    if is_late and not is_known((stream, waiting.delivery)):
                        yield stream, waiting
            if len(slots) < limit:
                return
            seen, limit = limit, 2 * limit

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
