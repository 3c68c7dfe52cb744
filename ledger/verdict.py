"""The verdict: what a probe answers about what backs one task."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import force_setattr

from tallystick.ledger import fields, intake
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import TaskCancelled, TaskFailed, TaskSucceeded, TaskTimedOut
from tallystick.ledger.limits import MESSAGE_BYTES_MAX

DETAIL_BYTES_MAX = MESSAGE_BYTES_MAX - 96  # with its name it is no more than all evidence may be

Outcome = TaskSucceeded | TaskFailed | TaskTimedOut | TaskCancelled
"""How work ended, as whatever ran it has it on record."""


class Finding(StrEnum):
    """What a probe found."""

    ALIVE = "alive"
    MISSING = "missing"
    DEAD = "dead"
    UNKNOWN = "unknown"
    ENDED = "ended"


class Verdict(Struct, frozen=True):
    """Whether what backs a task is still there, and what was seen.

    Made by one of the five below, which take what was seen as a flat mapping or in words and raise `InvalidInput` when
    it is neither, or larger than a fact may be.
    """

    finding: Finding
    evidence: Evidence
    outcome: Outcome | None = None
    ended_at: int | None = None

    def __post_init__(self) -> None:  # however it was made: what no bytes can say would spoil a whole batch
        if not isinstance(self.finding, Finding):
            raise InvalidInput("finding", self.finding, ", ".join(Finding))
        if isinstance(self.outcome, Outcome) is not (self.finding is Finding.ENDED):
            raise InvalidInput("outcome", self.outcome, "how it ended, if it has ended")
        force_setattr(self, "evidence", fields.evidence("evidence", self.evidence))
        intake.moment(self.ended_at)

    @classmethod
    def alive(cls, evidence: Mapping[str, object] | str | None = None) -> Self:
        """It is there: the task runs."""
        return cls(Finding.ALIVE, _seen(evidence))

    @classmethod
    def missing(cls, evidence: Mapping[str, object] | str | None = None) -> Self:
        """It is not there, and may come back: the task is lost when it stays away for the whole grace."""
        return cls(Finding.MISSING, _seen(evidence))

    @classmethod
    def dead(cls, evidence: Mapping[str, object] | str | None = None) -> Self:
        """It is proved that it cannot come back: the task is lost at once."""
        return cls(Finding.DEAD, _seen(evidence))

    @classmethod
    def unknown(cls, evidence: Mapping[str, object] | str | None = None) -> Self:
        """Nobody can tell: nothing changes."""
        return cls(Finding.UNKNOWN, _seen(evidence))

    @classmethod
    def ended(
        cls,
        status: str,
        evidence: Mapping[str, object] | str | None = None,
        *,
        summary: str | None = None,
        error: str | None = None,
        ended_at: int | None = None,
    ) -> Self:
        """The runtime's own record says how it ended: succeeded, failed, timed_out or cancelled, since `ended_at` (ms).

        An active task ends as that, a lost one is recovered as that.
        """
        return cls(Finding.ENDED, _seen(evidence), _outcome(status, summary, error), ended_at)


def _seen(evidence: Mapping[str, object] | str | None) -> Any:
    if evidence is None:
        return {}
    if isinstance(evidence, str):
        detail = fields.report("evidence", evidence, bytes_max=DETAIL_BYTES_MAX)
        return {} if detail is None else {"detail": detail}
    return evidence


def _outcome(status: str, summary: str | None, error: str | None) -> Outcome:
    match status:
        case "succeeded":
            return intake.succeeded(summary)
        case "failed":
            return intake.failed("its runtime says that it failed" if error is None else error, summary=summary)
        case "timed_out":
            return intake.timed_out(error, summary=summary)
        case "cancelled":
            return intake.cancelled(error, stopped=summary)
        case _:
            raise InvalidInput("status", status, "succeeded, failed, timed_out or cancelled")
