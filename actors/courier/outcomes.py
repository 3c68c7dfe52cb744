"""Outcomes: what a channel's answer means, and what is recorded of it."""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.courier.endpoint import Job
from tallystick.actors.courier.pacing import Pacing
from tallystick.actors.watching.crew import Unanswered
from tallystick.actors.watching.supervision import in_words
from tallystick.ledger import fields
from tallystick.ledger.delivery import Permanent, Receipt, Retryable
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import DeliveryAttempted, DeliveryDelivered, DeliveryFailed, DeliveryUnknown
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import MESSAGE_BYTES_MAX
from tallystick.ledger.outbox import id_of
from tallystick.ledger.redaction import stripper


class Arrived(Struct, frozen=True):
    """The receiver has it."""

    receipt: str | None


class Rejected(Struct, frozen=True):
    """The receiver does not have it; `again` says whether it may be sent again, `after_ms` when at the earliest."""

    error: str
    again: bool
    after_ms: int | None = None


class Doubtful(Struct, frozen=True):
    """Nobody can tell. What is not to be sent again was the channel's own mistake."""

    error: str
    again: bool = True
    after_ms: int | None = None


Outcome: TypeAlias = Arrived | Rejected | Doubtful


def understood(answer: object, secrets: Iterable[str] = ()) -> Outcome:
    """Return what a channel's answer means: whatever is not said clearly is in doubt. No error has a secret in it."""
    match answer:
        case Receipt():
            return Arrived(answer.id)
        case Retryable():
            return Rejected(_words(answer, secrets), again=True, after_ms=answer.after_ms)
        case Permanent():
            return Rejected(_words(answer, secrets), again=False)
        case BaseException():
            return Doubtful(_words(answer, secrets))
        case _:
            return Doubtful(f"the channel answered {type(answer).__name__}, not a Receipt", again=False)


def fact_of(job: Job, outcome: Outcome, now: int, pacing: Pacing) -> TaskFact:
    """Return what is recorded of an attempt."""
    name, attempt = job.waiting.delivery, job.attempt
    if isinstance(outcome, Arrived):
        return DeliveryDelivered(delivery=name, attempt=attempt, receipt=outcome.receipt)
    due_at: int | None = None
    if outcome.again:
        identity, queued_at = id_of(id_text(job.stream), name), job.waiting.queued_at
        due_at = pacing.next_attempt(now, attempt, identity, queued_at=queued_at, after_ms=outcome.after_ms)
    if isinstance(outcome, Doubtful):
        return DeliveryUnknown(delivery=name, attempt=attempt, error=outcome.error, due_at=due_at)
    if due_at is None:
        return DeliveryFailed(delivery=name, attempt=attempt, error=outcome.error)
    return DeliveryAttempted(delivery=name, attempt=attempt, error=outcome.error, due_at=due_at)


def why_not_tried(answer: BaseException) -> str:
    """Return why a message was not handed to its channel."""
    return f"{answer}" if isinstance(answer, Unanswered) else f"not tried: {type(answer).__name__}"


def _words(error: BaseException, secrets: Iterable[str]) -> str:
    said = _of_itself(error) if isinstance(error, Retryable | Permanent) else in_words(error)
    said = stripper(secrets)(said)  # before it is cut: half a secret is one, too
    return fields.report("error", said, bytes_max=MESSAGE_BYTES_MAX, controls=False) or type(error).__name__


def _of_itself(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - others wrote it, and what it means is clear all the same
        return type(error).__name__
