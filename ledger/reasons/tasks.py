"""The reasons of a task: what each of its facts has to do with what the task is. Pure.

Nothing here decides: the record is what the rules of `evolve` make of the events, and a reason says what the event
itself says, and what earlier events it stands on.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from tallystick.ledger.decide import MISSING_SINCE, RULE_DEAD, RULE_GRACE
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Evidence, Fact
from tallystick.ledger.facts.resources import TaskCleanedUp
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
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.judge import GRACE_MS, WATCHED_SINCE
from tallystick.ledger.reasons.reason import Rule, Said, at, because_of
from tallystick.ledger.record import TaskRecord


class Marks:
    """Where in the history of a task stands what later events stand on."""

    def __init__(self) -> None:
        self.missed: int | None = None
        self.asked: int | None = None
        self.ended: int | None = None
        self.started: int | None = None

    def see(self, record: TaskRecord, event: Event) -> None:
        """Take note of an event, and of the record after it."""
        data = event.data
        if isinstance(data, TaskBackingMissed):
            self.missed = event.position
        elif isinstance(data, TaskCancelRequested):
            self.asked = event.position
        elif isinstance(data, TaskStarted):
            self.started = event.position
        self.ended = record.ended_at_position


_Say: TypeAlias = Callable[[TaskRecord, Event, Any, Marks], Said]


def reason_of(record: TaskRecord, event: Event, marks: Marks) -> Said | None:
    """Return what an event, after which a task was this, has to do with it; None when nothing.

    What only reports progress is no reason, and what was told is told by the messages.
    """
    say = SAYS.get(event.data.__class__)
    return None if say is None else say(record, event, event.data, marks)


def _created(record: TaskRecord, _event: Event, data: TaskCreated, _marks: Marks) -> Said:
    return Rule.CREATED, f"{data.owner or 'the system'} asked for {record.runtime.value} work", ()


def _amended(_record: TaskRecord, _event: Event, data: TaskAmended, _marks: Marks) -> Said:
    given = (name for name in data.__struct_fields__ if name not in Fact.__struct_fields__)
    filled = ", ".join(name for name in given if getattr(data, name) is not None)
    return Rule.AMENDED, f"it was asked for again, and that filled in {filled}", ()


def _started(_record: TaskRecord, event: Event, data: TaskStarted, _marks: Marks) -> Said:
    if data.implied:
        return Rule.IMPLIED_START, "what was reported next implied that it had started", ()
    return Rule.TABLE, f"{event.actor} reported that it runs", ()


def _succeeded(record: TaskRecord, event: Event, data: TaskSucceeded, marks: Marks) -> Said:
    how = "ended well" if data.outcome is None else f"ended well, with the outcome {data.outcome}"
    return Rule.TABLE, f"{event.actor} reported that it {how}", at(marks.started) if record.started_at else ()


def _failed(_record: TaskRecord, event: Event, data: TaskFailed, marks: Marks) -> Said:
    return Rule.TABLE, f"{event.actor} reported that it failed{because_of(data.error)}", at(marks.started)


def _timed_out(record: TaskRecord, event: Event, data: TaskTimedOut, marks: Marks) -> Said:
    why = because_of(data.error)
    if record.deadline_at is not None and event.occurred_at >= record.deadline_at:
        return Rule.DEADLINE, f"its deadline was {record.deadline_at} (ms){why}", at(marks.started)
    return Rule.TABLE, f"{event.actor} reported that its time was over{why}", at(marks.started)


def _cancel_asked(_record: TaskRecord, event: Event, data: TaskCancelRequested, _marks: Marks) -> Said:
    return Rule.CANCEL_ASKED, f"{event.actor} asked for it to be cancelled{because_of(data.reason)}", ()


def _cancelled(_record: TaskRecord, event: Event, data: TaskCancelled, marks: Marks) -> Said:
    stopped = because_of(data.stopped)
    if not data.confirmed:
        return Rule.CANCEL_UNCONFIRMED, f"nobody confirmed that it stopped{stopped}", at(marks.asked)
    return Rule.CANCEL_CONFIRMED, f"{event.actor} reported what was stopped{stopped}", at(marks.asked)


def _missed(_record: TaskRecord, event: Event, data: TaskBackingMissed, _marks: Marks) -> Said:
    return Rule.MISSED, f"missed at {event.occurred_at} (ms){_seen(data.evidence)}", ()


def _restored(_record: TaskRecord, event: Event, data: TaskBackingRestored, marks: Marks) -> Said:
    return Rule.RESTORED, f"found again at {event.occurred_at} (ms){_seen(data.evidence)}", at(marks.missed)


def _lost(_record: TaskRecord, _event: Event, data: TaskLost, marks: Marks) -> Said:
    why = because_of(data.error)
    if data.rule == RULE_GRACE:
        return Rule.GRACE, f"{_span(data.evidence)}{why}", at(marks.missed)
    if data.rule == RULE_DEAD:
        return Rule.DEAD, f"{data.rule}{why}", at(marks.started)
    return Rule.INFERRED, f"{data.rule}{why}", ()


def _span(evidence: Evidence) -> str:
    """Since when it was missed, and until when the grace had run: only time in which somebody watched counts."""
    missed, watched, grace = (evidence.get(name) for name in (MISSING_SINCE, WATCHED_SINCE, GRACE_MS))
    if isinstance(watched, int) and isinstance(grace, int):
        return f"missed at {missed} (ms), watched since {watched}, its grace of {grace} ms ran until {watched + grace}"
    return f"missed at {missed} (ms), {RULE_GRACE}"


def _settled(_record: TaskRecord, event: Event, data: TaskSettled, _marks: Marks) -> Said:
    return Rule.SETTLED, f"{event.actor} ended it as {data.status.value}{because_of(data.reason)}", ()


def _recovered(record: TaskRecord, event: Event, data: TaskRecovered, _marks: Marks) -> Said:
    text = f"{event.actor} reported {data.signal}: it ended as {record.shown_status}, not lost as inferred"
    return Rule.RECOVERED, f"{text} at position {data.corrects}", (data.corrects,)


def _late(_record: TaskRecord, event: Event, data: TaskLateSignal, marks: Marks) -> Said:
    text = f"{event.actor} reported {data.signal} when it had ended as {data.status.value}"
    return Rule.LATE_SIGNAL, f"{text}: kept as evidence, nothing changed", at(marks.ended)


def _leased(_record: TaskRecord, _event: Event, data: TaskLeased, _marks: Marks) -> Said:
    return Rule.LEASE, f"the work says that it lives, at least once in {data.ttl_ms} ms", ()


def _policy(_record: TaskRecord, event: Event, data: TaskNotifyChanged, _marks: Marks) -> Said:
    return Rule.POLICY, f"{event.actor} had it tell {data.policy.value}", ()


def _joined(_record: TaskRecord, _event: Event, data: TaskLinked, _marks: Marks) -> Said:
    return Rule.JOINED, f"it is one of flow {data.flow} from then on", ()


def _kept(text: str) -> _Say:
    def say(_record: TaskRecord, event: Event, data: Any, _marks: Marks) -> Said:
        return Rule.KEPT, f"{event.actor} {text}{because_of(getattr(data, 'reason', None))}", ()

    return say


def _erased(_record: TaskRecord, event: Event, data: TaskErased, _marks: Marks) -> Said:
    return Rule.ERASED, f"{event.actor} erased its content{because_of(data.reason)}", ()


def _cleaned(_record: TaskRecord, _event: Event, data: TaskCleanedUp, _marks: Marks) -> Said:
    failed = data.failed or {}
    return Rule.CLEANED_UP, f"{len(data.closed)} were closed, {len(failed)} could not be", ()


def _seen(evidence: Evidence) -> str:
    said = ", ".join(f"{name}={value}" for name, value in evidence.items())
    return f": {said}" if said else ""


SAYS: dict[type, _Say] = {
    TaskCreated: _created,
    TaskAmended: _amended,
    TaskStarted: _started,
    TaskSucceeded: _succeeded,
    TaskFailed: _failed,
    TaskTimedOut: _timed_out,
    TaskCancelRequested: _cancel_asked,
    TaskCancelled: _cancelled,
    TaskBackingMissed: _missed,
    TaskBackingRestored: _restored,
    TaskLost: _lost,
    TaskRecovered: _recovered,
    TaskLateSignal: _late,
    TaskLeased: _leased,
    TaskNotifyChanged: _policy,
    TaskSettled: _settled,
    TaskLinked: _joined,
    TaskHeld: _kept("had it kept"),
    TaskReleased: _kept("ended its hold"),
    TaskNoted: _kept("took note of what was found of it"),
    TaskCleanupStamped: _kept("settled when its retention ends"),
    TaskPruned: _kept("removed it from the lists"),
    TaskErased: _erased,
    TaskCleanedUp: _cleaned,
}
"""What each fact that is a reason has to say."""
