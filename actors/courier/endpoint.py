"""The endpoint: what messages to one place share: their queue, and whether it makes sense to send now."""

from collections import deque

from msgspec import Struct

from tallystick.actors.courier.pacing import Pacing
from tallystick.ledger.limits import (
    DELIVERIES_AT_ONCE,
    ENDPOINT_AT_ONCE,
    ENDPOINT_FAILURES_MAX,
    ENDPOINT_WINDOW,
    PATIENCE_MS_MAX,
)
from tallystick.ledger.outbox import Waiting
from tallystick.projections.pauses import Standing


class Job(Struct, eq=False):
    """A message that is to be sent, or is being sent. `has_begun` is set when the channel is called."""

    stream: bytes
    waiting: Waiting
    attempt: int
    endpoint: "Endpoint"
    is_handed_out: bool = False
    has_begun: bool = False
    is_dropped: bool = False

    @property
    def key(self) -> tuple[bytes, str]:
        """What tells it apart from all others."""
        return self.stream, self.waiting.delivery


class Line:
    """A channel and an account there, which carry messages to many targets: so many at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.under_way = 0

    @property
    def channel(self) -> str:
        """The name of the channel."""
        return self.name.partition("/")[0]


class Endpoint:
    """A queue for one target on one channel and account, with a breaker.

    After some failures in a row it is paused, longer each time. Then one message is tried; when that arrives, the
    others follow.
    """

    def __init__(self, heading: bytes, name: str, pacing: Pacing, *, line: Line | None = None) -> None:
        self.heading, self.name, self._pacing = heading, name, pacing
        self.line = line or Line(name)
        self.queue: deque[Job] = deque()
        self.under_way = 0
        self.has_more = True
        """Whether the index may have more than the queue."""
        self.next_at: int | None = None
        """When something in the index will be due (ms), as far as that is known."""
        self.failures = 0
        self.paused_since: int | None = None
        self.paused_until: int | None = None
        self.quiet_until = 0
        """Until when the receiver has asked for patience (ms): before, it is only seen to what is over."""
        self.error = ""
        self.error_of: bytes | None = None
        """The stream of the message that the error is of, if it is of one."""
        self.is_unsaid = False
        """Whether nothing is to be told of its pause: what it would tell was erased."""
        self._pauses = self._held_at = 0

    @property
    def channel(self) -> str:
        """The name of the channel."""
        return self.line.channel

    def begin(self) -> None:
        """A message is on its way."""
        self.under_way += 1
        self.line.under_way += 1

    def end(self) -> None:
        """A message is not on its way any more."""
        self.under_way -= 1
        self.line.under_way -= 1

    def expect(self, at_ms: int | None) -> None:
        """Something in the index will be due then."""
        if at_ms is not None:
            self.next_at = at_ms if self.next_at is None else min(self.next_at, at_ms)

    def is_expecting(self, now: int) -> bool:
        """Whether something in the index should be due by now."""
        return self.next_at is not None and self.next_at <= now

    def goes_on(self, now: int) -> bool:
        """Whether a message that stands here will go on by itself: it may be sent, or waits for others on the line."""
        return self.may_send(now) or self.under_way > 0 or (self.line.under_way > 0 and not self.is_paused(now))

    def is_at_rest(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.queue or self.has_more or self.under_way or self.failures) and self.paused_until is None

    def has_room(self) -> bool:
        """Whether another message fits the queue; the others wait in the index."""
        return len(self.queue) < ENDPOINT_WINDOW

    def may_send(self, now: int) -> bool:
        """Whether another message may be sent now."""
        if self.line.under_way >= DELIVERIES_AT_ONCE:
            return False
        if self.paused_until is not None:
            return not self.is_paused(now) and not self.under_way
        return self.under_way < ENDPOINT_AT_ONCE

    def is_paused(self, now: int) -> bool:
        """Whether nothing is to be sent yet. A clock that was set back does not make a pause longer."""
        return self.paused_until is not None and self._held_at <= now < self.paused_until

    def is_quiet(self, now: int) -> bool:
        """Whether the receiver has asked for more patience than a pause has."""
        return self._held_at <= now < self.quiet_until

    def worked(self) -> bool:
        """A message arrived, or the receiver judged it; whether that ends a pause."""
        was_paused = self.paused_until is not None
        self.failures = self._pauses = 0
        self.paused_since = self.paused_until = None
        self.quiet_until = 0
        return was_paused

    def failed(self, now: int, error: str, *, of: bytes | None = None, after_ms: int | None = None) -> bool:
        """A message did not arrive for a reason that others share; whether that began or lengthened a pause."""
        self.failures += 1
        self.error, self.error_of = error, of
        span = 0
        if patience := min(after_ms or 0, PATIENCE_MS_MAX):
            self.quiet_until = max(self.quiet_until, now + patience)
            span = min(patience, self._pacing.ceiling)
        if self.failures >= ENDPOINT_FAILURES_MAX and not self.is_paused(now):  # else it was under way before
            self._pauses += 1
            span = max(span, self._pacing.after(self._pauses, self.name))
        return bool(span) and self._pause(now, now + span)

    def hold(self, now: int, until: int, error: str) -> None:
        """Send nothing until then, for a reason that is no failure of the receiver."""
        if error != self.error:
            self.error, self.error_of = error, None
        self._pause(now, until)

    def unsay(self) -> None:
        """What its error is of was erased: forget what it says, and go on with the pause."""
        self.error, self.error_of, self.is_unsaid = "", None, True

    def _pause(self, now: int, until: int) -> bool:
        if self.is_paused(now) and self.paused_until is not None and self.paused_until >= until:
            return False
        self.paused_since = now if self.paused_since is None else self.paused_since
        self.paused_until, self._held_at, self.is_unsaid = until, now, False
        return True

    def standing(self) -> Standing:
        """Return how a paused endpoint does."""
        until = max(self.paused_until or 0, self.quiet_until)
        return Standing(self.name, self.failures, self.paused_since or 0, until, self.error)
