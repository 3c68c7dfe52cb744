"""The refusal: what is answered instead of facts, and how each fact is called when it is asked for."""

from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import Pruned, Refused, TallystickError
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryImported,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.resources import (
    TaskCleanedUp,
    TaskCleanupBegun,
    TaskResourceClosed,
    TaskResourceOpened,
)
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskCreated,
    TaskErased,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLeased,
    TaskLinked,
    TaskLost,
    TaskNoted,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.record import TaskRecord

Facts: TypeAlias = tuple[TaskFact, ...]

NOTHING: Facts = ()

SIGNALS: dict[type, str] = {
    TaskStarted: "start",
    TaskProgressed: "progress",
    TaskSucceeded: "succeed",
    TaskFailed: "fail",
    TaskTimedOut: "time_out",
    TaskCancelRequested: "cancel",
    TaskCancelled: "cancelled",
    TaskBackingMissed: "miss",
    TaskBackingRestored: "restore",
    TaskLeased: "keep_alive",
    TaskLinked: "link",
    TaskLost: "lose",
    TaskRecovered: "recover",
    TaskSettled: "settle",
    TaskPruned: "prune",
    TaskErased: "erase",
    TaskHeld: "hold",
    TaskReleased: "release",
    TaskNoted: "note",
    TaskCleanupStamped: "stamp",
    TaskNotifyChanged: "notify",
    TaskCreated: "create",
    TaskAmended: "amend",
    TaskLateSignal: "late_signal",
    TaskResourceOpened: "open",
    TaskResourceClosed: "close",
    TaskCleanupBegun: "begin_cleanup",
    TaskCleanedUp: "clean_up",
    DeliveryQueued: "tell",
    DeliveryWithheld: "withhold",
    DeliveryReleased: "let_go",
    DeliveryAttempted: "attempt",
    DeliveryUnknown: "doubt",
    DeliveryDelivered: "deliver",
    DeliveryFailed: "give_up",
    DeliveryRetried: "retry",
    DeliveryDismissed: "dismiss",
    DeliveryImported: "import",
}
"""What each fact is called when it is asked for: the verb in refusals and late signals."""


class Refusal(Struct, frozen=True):
    """The ledger does not record it as reported: why, and the late signal that it records instead, if any."""

    error: TallystickError
    evidence: TaskLateSignal | None = None


def pruned(record: TaskRecord) -> Pruned:
    """Return what those hear who ask something of a task that retention removed."""
    return Pruned(record.task_id, status=record.status, ended_at=record.ended_at, pruned_at=record.pruned_at)


def refused(record: TaskRecord, data: TaskFact, why: str = "") -> Refusal:
    """Return a refusal that says what the task is, and what was asked of it; and why, if that does not tell."""
    return Refusal(Refused(record.task_id, status=record.shown_status, attempted=SIGNALS[data.__class__], why=why))
