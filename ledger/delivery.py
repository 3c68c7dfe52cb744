"""The delivery: what a channel is asked to send, and what it answers."""

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.limits import COUNT_MAX, KEY_BYTES_MAX


class Delivery(Struct, frozen=True, kw_only=True):
    """One message on its way to one place, as it was frozen when what it tells was recorded.

    `id` is the same in every attempt: a receiver that has seen it has had the message. `attempt` counts from 1.
    `artifacts` are references to what a run made; `queued_at` (ms) is when the message was frozen.
    """

    id: str
    task_id: str
    text: str
    route: Origin
    attempt: int
    kind: str = "terminal"
    artifacts: tuple[str, ...] = ()
    queued_at: int = 0


class Receipt(Struct, frozen=True):
    """Says that a message arrived. `id` is what the receiver calls it, if it calls it anything."""

    id: str | None = None

    def __post_init__(self) -> None:
        if self.id is not None:
            fields.text("id", self.id, bytes_max=KEY_BYTES_MAX, allowed=f"text of at most {KEY_BYTES_MAX} bytes")


class Retryable(Exception):
    """Raised by a channel: the message certainly did not arrive, and may be sent again, after `after_ms` at least."""

    def __init__(self, message: str, after_ms: int | None = None) -> None:
        super().__init__(message)
        if after_ms is not None:
            fields.whole("after_ms", after_ms, most=COUNT_MAX)
        self.after_ms = after_ms


class Permanent(Exception):
    """Raised by a channel: the message did not arrive, and will not, however often it is sent."""


class Unconfirmed(Exception):
    """Raised by a channel: nobody can tell whether the message arrived; whatever else is raised counts as this."""
