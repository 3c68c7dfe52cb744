"""The facts of a message: who is to be told, and what became of it. They stand among those of its task."""

from typing import TypeAlias, get_args

from tallystick.ledger.facts.fact import Fact, Origin
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus


class DeliveryQueued(Fact, frozen=True, kw_only=True, tag="delivery-queued.1"):
    """Somebody is to be told: the message is frozen here. It goes over `route`, or waits in `session` to be taken.

    `delivery` names it among those of its task. What a session has not confirmed `until` then goes over the origin's
    route; what is sent over a route is not sent any more from then on.
    """

    delivery: str
    kind: DeliveryKind
    text: str
    route: Origin | None = None
    session: str | None = None
    artifacts: tuple[str, ...] = ()
    until: int | None = None


class DeliveryWithheld(Fact, frozen=True, kw_only=True, tag="delivery-withheld.1"):
    """Somebody is to be told, and not yet: an isolated cron run may have work below it that goes on.

    The message is frozen here as the run itself would tell it. Whether anything is sent, and what, is judged later;
    from `until` (ms) on it is too old to be sent.
    """

    delivery: str
    kind: DeliveryKind
    text: str
    until: int
    artifacts: tuple[str, ...] = ()


class DeliveryReleased(Fact, frozen=True, kw_only=True, tag="delivery-released.1"):
    """What was withheld is told now: by `output`, the final output of the tasks `sources`, else in the run's own words.

    `reason` says why it is the run's own words although there was work below it. `as_of` is the position as of which
    nothing below it was at work.
    """

    delivery: str
    as_of: int
    output: str | None = None
    sources: tuple[str, ...] = ()
    reason: str | None = None


class DeliveryAttempted(Fact, frozen=True, kw_only=True, tag="delivery-attempted.1"):
    """It was sent and certainly did not arrive; the next attempt is due at `due_at` (ms)."""

    delivery: str
    attempt: int
    error: str
    due_at: int


class DeliveryUnknown(Fact, frozen=True, kw_only=True, tag="delivery-unknown.1"):
    """It was sent, and nobody can tell whether it arrived. It is sent again at `due_at` (ms), if that is said."""

    delivery: str
    attempt: int
    error: str
    due_at: int | None = None


class DeliveryDelivered(Fact, frozen=True, kw_only=True, tag="delivery-delivered.1"):
    """It arrived: the receiver said so, and may have its own name for it; or the session has taken it."""

    delivery: str
    attempt: int | None = None
    receipt: str | None = None


class DeliveryFailed(Fact, frozen=True, kw_only=True, tag="delivery-failed.1"):
    """It did not arrive, and is not sent again by itself."""

    delivery: str
    attempt: int
    error: str


class DeliveryRetried(Fact, frozen=True, kw_only=True, tag="delivery-retried.1"):
    """An operator had it sent again. What is reported without a name means all that wait for an operator."""

    delivery: str | None = None
    reason: str | None = None


class DeliveryDismissed(Fact, frozen=True, kw_only=True, tag="delivery-dismissed.1"):
    """It is not sent any more. What is reported without a name means all that have not arrived."""

    delivery: str | None = None
    reason: str | None = None


class DeliveryImported(Fact, frozen=True, kw_only=True, tag="delivery-imported.1"):
    """Another ledger has told how the task ended, or tried to: this is what became of it there. Nothing waits here."""

    status: DeliveryStatus


DeliveryOutcome: TypeAlias = (
    DeliveryAttempted | DeliveryUnknown | DeliveryDelivered | DeliveryFailed | DeliveryRetried | DeliveryDismissed
)
"""What may become of a message."""

OF_DELIVERIES: frozenset[type[Fact]] = frozenset(
    {DeliveryQueued, DeliveryWithheld, DeliveryReleased, DeliveryImported, *get_args(DeliveryOutcome)}
)
"""The facts that are about telling, and not about the work."""
