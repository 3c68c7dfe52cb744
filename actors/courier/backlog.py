"""The backlog: messages that may be sent. Those at the front stand in queues, the others in the index."""

from collections.abc import Callable, Iterable, Sequence

from tallystick.actors.courier.askers import Askers
from tallystick.actors.courier.endpoint import Endpoint, Job
from tallystick.actors.courier.jobs import Jobs
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.courier.recorder import Key
from tallystick.actors.courier.shelf import Shelf
from tallystick.ledger.clock import Clock
from tallystick.ledger.outbox import Waiting

AGAIN_MS = 1_000  # until something is tried again that could not be done: to ask the index, to write an outcome


class Backlog:
    """Keeps the queue of every endpoint: from what is heard of, and from the index when that has more.

    A message stands in a queue once, and not while what became of it is on its way to the disk. Who asks is told what
    is taken up and what is left. Owned by one thread.
    """

    def __init__(
        self,
        shelf: Shelf,
        askers: Askers,
        *,
        pacing: Pacing,
        clock: Clock,
        is_recorded: Callable[[Key], bool],
        look_by: Callable[[int | None], None],
    ) -> None:
        self._shelf, self._askers, self._pacing, self._clock = shelf, askers, pacing, clock
        self._is_recorded, self._look_by = is_recorded, look_by
        self.jobs = Jobs()
        self._looked_at = clock()

    def heard(self, stream: bytes, may_go: Sequence[Waiting], now: int) -> None:
        """These are the messages of a task that may be sent next, now or later; others of it may not."""
        self.jobs.drop(stream, but=[waiting.delivery for waiting in may_go])
        for waiting in may_go:
            if self._pacing.is_due(now, waiting):
                self._offer(stream, waiting)
            else:
                assert waiting.route is not None, "what is sent has a route"
                self._shelf.endpoint(waiting.route).expect(waiting.due_at)
                self._look_by(waiting.due_at)

    def reconsider(self, stream: bytes, now: int, known: Iterable[Waiting] | None = None) -> None:
        """Offer what may be sent next of a task; without what is known of it, the index is asked."""
        for waiting in self._shelf.sendable_of(stream) if known is None else known:
            if self._pacing.is_due(now, waiting):
                self._offer(stream, waiting)

    def look(self, now: int) -> None:
        """Get to know the endpoints for which the index has messages that are due, and look again when more will be."""
        self._shelf.look()
        for endpoint in self._shelf.endpoints():
            endpoint.has_more |= endpoint.is_expecting(now) or bool(self._askers) or now < self._looked_at
            if not endpoint.has_more:  # of several moments whoever calls for a look knows only the earliest
                self._look_by(endpoint.next_at)
        self._looked_at = now

    def is_ready(self) -> bool:
        """Whether the index can be asked now; else it is asked a while later, unless somebody waits for it."""
        if self._askers or self._shelf.is_ready():
            return True
        self._look_by(self._clock() + AGAIN_MS)
        return False

    def fill(self, endpoint: Endpoint, now: int) -> bool:
        """Fill an endpoint's queue from the index; whether anything was there."""
        found, endpoint.has_more = self._shelf.due(endpoint, now, self._is_known)
        for stream, waiting in found:
            self._take_up(stream, waiting)
        self._askers.filled(endpoint, found)
        if not endpoint.has_more:
            endpoint.next_at = self._shelf.next_due(endpoint, now)
            self._look_by(endpoint.next_at)
        return bool(endpoint.queue)

    def put_back(self, endpoint: Endpoint) -> None:
        """Leave what stands in an endpoint's queue to the index."""
        for each in endpoint.queue:
            self.jobs.remove(each)
        endpoint.queue.clear()
        endpoint.has_more = True

    def _offer(self, stream: bytes, waiting: Waiting) -> None:
        """Take up a message that was heard of, unless the index has others that are before it."""
        assert waiting.route is not None, "what is sent has a route"
        endpoint = self._shelf.endpoint(waiting.route)
        if endpoint.has_more:
            self._askers.left(endpoint, waiting)
        else:
            self._take_up(stream, waiting)

    def _is_known(self, key: Key) -> bool:
        return key in self.jobs or self._is_recorded(key)

    def _take_up(self, stream: bytes, waiting: Waiting) -> None:
        assert waiting.route is not None, "what is sent has a route"
        key = (stream, waiting.delivery)
        if self._is_known(key):
            return
        endpoint = self._shelf.endpoint(waiting.route)
        if not endpoint.has_room() or endpoint.is_paused(self._clock()):
            endpoint.has_more = True
            self._askers.left(endpoint, waiting)
            return
        job = Job(stream, waiting, waiting.attempts + 1, endpoint)
        self.jobs.add(job)
        self._askers.took(key, waiting)
        endpoint.queue.append(job)
