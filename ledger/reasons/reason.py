"""The reason: one event that led to what a task or a flow is, and the rule by which it did. Pure."""

from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

Positions: TypeAlias = tuple[int, ...]


class Rule(StrEnum):
    """By which rule an event counts as it does. `SENTENCES` says each in words."""

    CREATED = "created"
    AMENDED = "amended"
    TABLE = "table"
    IMPLIED_START = "implied_start"
    DEADLINE = "deadline"
    CANCEL_ASKED = "cancel_asked"
    CANCEL_CONFIRMED = "cancel_confirmed"
    CANCEL_UNCONFIRMED = "cancel_unconfirmed"
    MISSED = "missed"
    RESTORED = "restored"
    GRACE = "grace"
    DEAD = "dead"
    INFERRED = "inferred"
    SETTLED = "settled"
    RECOVERED = "recovered"
    LATE_SIGNAL = "late_signal"
    LEASE = "lease"
    POLICY = "policy"
    JOINED = "joined"
    KEPT = "kept"
    ERASED = "erased"
    CLEANED_UP = "cleaned_up"
    CONTROLLER = "controller"
    MIRRORS = "mirrors"


SENTENCES: dict[Rule, str] = {
    Rule.CREATED: "Somebody asked for it; whatever is asked for begins as queued.",
    Rule.AMENDED: "The same creation again gives the same task: blanks are filled, nothing is overwritten.",
    Rule.TABLE: "The table of what may follow what allows it, and somebody reported it.",
    Rule.IMPLIED_START: "Progress or a success that is reported of queued work implies its start.",
    Rule.DEADLINE: "Its time was over: it had run past its deadline.",
    Rule.CANCEL_ASKED: "Cancelling has two steps: this asks for it, and nothing is stopped yet.",
    Rule.CANCEL_CONFIRMED: "Cancelling has two steps: this says what was really stopped.",
    Rule.CANCEL_UNCONFIRMED: "Nobody could say that it stopped; a cancel does not wait for ever.",
    Rule.MISSED: "What backs it was not there: its grace begins, and its status stays.",
    Rule.RESTORED: "What backs it is back within the grace: it never was lost.",
    Rule.GRACE: "What backs it was gone for the whole grace, and somebody was watching.",
    Rule.DEAD: "It is proved that what backs it cannot come back: no grace is needed.",
    Rule.INFERRED: "It was inferred that nobody can say any more how it ended.",
    Rule.SETTLED: "An operator ended it by hand, whatever its runtime supports.",
    Rule.RECOVERED: "An end that was observed outranks a loss that was only inferred.",
    Rule.LATE_SIGNAL: "What reaches a task that has ended is kept as evidence and changes nothing.",
    Rule.LEASE: "The work promised to be heard of.",
    Rule.POLICY: "What is told of it changed, and nothing of its work.",
    Rule.JOINED: "A task is of one flow.",
    Rule.KEPT: "How long it is kept, and nothing of its work.",
    Rule.ERASED: "What it said was erased beside the log; what became of its work stays as it is.",
    Rule.CLEANED_UP: "What it left open is closed once, and changes nothing about how it ended.",
    Rule.CONTROLLER: "A managed flow is moved by its controller until it has ended.",
    Rule.MIRRORS: "A flow that mirrors a task is what the newest of its tasks is.",
}
"""Every rule in a sentence."""


class Reason(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One event that led to what a task or a flow is.

    `before` and `after` are the statuses as people see them, where the event changed it. `is_ignored` says that it came
    and changed nothing. `because` are the positions of earlier events that it stands on; `evidence` is what it says,
    `erased` are the fields of that which are not there any more. `token` is the task that it is about, where a flow
    only mirrors that.
    """

    position: int
    occurred_at: int
    recorded_at: int
    actor: str
    type: str
    rule: Rule
    said: str
    before: str | None = None
    after: str | None = None
    is_ignored: bool = False
    because: Positions = ()
    evidence: dict[str, Any] = {}
    erased: tuple[str, ...] = ()
    token: str | None = None


Said: TypeAlias = tuple[Rule, str, Positions]
"""A rule, what happened in words, and the positions of the events that this stands on."""


def at(*positions: int | None) -> Positions:
    """Return the positions that there are."""
    return tuple(position for position in positions if position is not None)


def because_of(reason: str | None) -> str:
    """Return a reason that somebody gave as the end of a sentence; nothing if nobody did, or it was erased."""
    return f": {reason}" if reason else ""
