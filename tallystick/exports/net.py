"""The net: the life of a task as a Petri net, made from the table of the lifecycle. Pure.

A history conforms when its activities, one after the other, move the tokens from `BEGIN` to `END`. The table says from
which status to which; what else the rules ask for is in places beside those of the status:

    backed, missed          what backs the work is there, or was missed and its grace has begun
    unasked, asked          whether somebody has asked for a cancel
    free, held              whether retention may take the record
    clean, cleaning         whether what was left open is being closed
    untold, told            whether there ever was a message
    known                   until the record is pruned

In every marking at most one transition of a name is enabled, so that replaying is no search. Histories may stop at any
moment, for the work may go on: then silent transitions take the tokens to `END`. Every token is there when the task is
created and gone at `END`: it is a workflow net, sound and with one token at most in a place.
"""

from collections.abc import Iterator

from msgspec import Struct

from tallystick.exports.activities import became, plain
from tallystick.ledger.events import TASK_FACTS
from tallystick.ledger.facts.deliveries import (
    OF_DELIVERIES,
    DeliveryImported,
    DeliveryQueued,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun, TaskResourceClosed, TaskResourceOpened
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
from tallystick.ledger.lifecycle import ACTIVE, ALLOWED, SETTLED_AS, Status

BEGIN = "begin"
END = "end"

ACTIVE_PLACE = "active"
OVER = "over"
ENDED = "ended"
STOPPING = "stopping"
KNOWN = "known"

_AXES = (("backed", "missed"), ("unasked", "asked"), ("free", "held"), ("clean", "cleaning"), ("untold", "told"))
"""The pairs of places of which one has a token, the first of them when the task is created."""

_REPORTS: dict[Status, type[Fact]] = {
    Status.RUNNING: TaskStarted,
    Status.SUCCEEDED: TaskSucceeded,
    Status.FAILED: TaskFailed,
    Status.TIMED_OUT: TaskTimedOut,
    Status.CANCELLED: TaskCancelled,
    Status.LOST: TaskLost,
}
"""The facts that say that an active task became this."""

_WHILE_ACTIVE = (TaskLeased, TaskResourceOpened, TaskResourceClosed)
_WHEN_OVER = (TaskLateSignal, TaskCleanupStamped)
_AT_ANY_TIME = (TaskAmended, TaskNotifyChanged, TaskNoted, TaskLinked, DeliveryImported)
_MESSAGES = (DeliveryQueued, DeliveryWithheld)
_OF_MESSAGES = sorted(OF_DELIVERIES - {*_MESSAGES, DeliveryImported}, key=plain)


class Transition(Struct, frozen=True):
    """Takes a token from each of some places, and gives one to each of others. It is silent without an activity."""

    id: str
    activity: str | None
    takes: tuple[str, ...]
    gives: tuple[str, ...]


class Net(Struct, frozen=True):
    """A Petri net: it begins with one token in `BEGIN`, and has one in `END` and no other when it is done."""

    places: tuple[str, ...]
    transitions: tuple[Transition, ...]


def lifecycle_net() -> Net:
    """Return the net of the life of a task."""
    transitions = (*_moves(), *_beside(), *_messages(), *_keeping(), *_stops())
    places = {place: None for each in transitions for place in (*each.takes, *each.gives)}
    return Net(tuple(places), transitions)


def _place(status: Status) -> str:
    """The place of a status; what is final is one place, for nothing tells them apart."""
    return status.value if ALLOWED[status] else ENDED


def _with_side(status: Status) -> tuple[str, str]:
    """The tokens that a status has: its place, and whether the task is active or over."""
    return _place(status), ACTIVE_PLACE if status in ACTIVE else OVER


def _visible(activity: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> Transition:
    return Transition(f"{activity}.{'.'.join(takes)}", activity, takes, gives)


def _moves() -> Iterator[Transition]:
    """Everything that changes the status, as the table allows it."""
    born = (*_with_side(Status.QUEUED), *(first for first, _ in _AXES), KNOWN)
    yield _visible(plain(TaskCreated), (BEGIN,), born)
    for status in Status:
        for target in sorted(ALLOWED[status]):
            here, there = _with_side(status), _with_side(target)
            if status is Status.LOST:
                yield _visible(became(TaskRecovered, target), here, there)
            elif target is Status.RUNNING:  # a miss before the start is over with it
                for backing in _AXES[0]:
                    yield _visible(plain(TaskStarted), (*here, backing), (*there, "backed"))
            elif target is not Status.SUCCEEDED or status is Status.RUNNING:  # of a success the start is implied
                yield _visible(plain(_REPORTS[target]), here, there)
            if target in SETTLED_AS and status in ACTIVE:
                yield _visible(became(TaskSettled, target), here, there)
    # Work that never began needs nobody to stop it: both facts are recorded at once.
    stopping = (STOPPING, ACTIVE_PLACE)
    yield _visible(plain(TaskCancelRequested), (*_with_side(Status.QUEUED), "unasked"), (*stopping, "asked"))
    yield _visible(plain(TaskCancelled), stopping, _with_side(Status.CANCELLED))
    running = _place(Status.RUNNING)
    yield _visible(plain(TaskCancelRequested), (running, "unasked"), (running, "asked"))


def _beside() -> Iterator[Transition]:
    """What leaves the status as it is."""
    running = (_place(Status.RUNNING), "backed")  # what reports is there
    yield _visible(plain(TaskProgressed), running, running)
    yield _visible(plain(TaskBackingMissed), (ACTIVE_PLACE, "backed"), (ACTIVE_PLACE, "missed"))
    yield _visible(plain(TaskBackingRestored), (ACTIVE_PLACE, "missed"), (ACTIVE_PLACE, "backed"))
    yield _visible(plain(TaskCleanupBegun), (OVER, "clean"), (OVER, "cleaning"))
    yield _visible(plain(TaskCleanedUp), (OVER, "cleaning"), (OVER, "clean"))
    for kinds, place in ((_WHILE_ACTIVE, ACTIVE_PLACE), (_WHEN_OVER, OVER), (_AT_ANY_TIME, KNOWN)):
        for kind in kinds:
            yield _visible(plain(kind), (place,), (place,))


def _messages() -> Iterator[Transition]:
    """What becomes of telling: of the messages themselves this net knows only that there was one."""
    for told in _AXES[-1]:
        for begins in _MESSAGES:
            yield _visible(plain(begins), (KNOWN, told), (KNOWN, "told"))
    for kind in _OF_MESSAGES:
        yield _visible(plain(kind), (KNOWN, "told"), (KNOWN, "told"))


def _done(place: str) -> str:
    """Where a token is when its part of the history is over."""
    return f"{place}-done"


def _keeping() -> Iterator[Transition]:
    """How long the record is kept."""
    yield _visible(plain(TaskHeld), (KNOWN, "free"), (KNOWN, "held"))
    yield _visible(plain(TaskReleased), (KNOWN, "held"), (KNOWN, "free"))
    for status in (Status.LOST, Status.SUCCEEDED):
        takes = (*_with_side(status), "free", "clean", KNOWN)
        yield _visible(plain(TaskPruned), takes, tuple(map(_done, ("status", "free", "clean", KNOWN))))
    for known in (KNOWN, _done(KNOWN)):  # what was pruned can be erased
        yield _visible(plain(TaskErased), (known,), (known,))


def _stops() -> Iterator[Transition]:
    """The history stops here: each token goes aside by itself, and then all go together."""
    for status in (Status.QUEUED, Status.RUNNING, Status.LOST, Status.SUCCEEDED):
        here = _with_side(status)
        yield Transition(f"stop.{here[0]}", None, here, (_done("status"),))
    yield Transition(f"stop.{KNOWN}", None, (KNOWN,), (_done(KNOWN),))
    for axis in _AXES:
        for place in axis:
            yield Transition(f"stop.{place}", None, (place,), (_done(axis[0]),))
    every = tuple(map(_done, ("status", KNOWN, *(first for first, _ in _AXES))))
    yield Transition("stop", None, every, (END,))


_KNOWN_FACTS = {
    *_REPORTS.values(),
    *_WHILE_ACTIVE,
    *_WHEN_OVER,
    *_AT_ANY_TIME,
    *OF_DELIVERIES,
    TaskCreated,
    TaskProgressed,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelRequested,
    TaskRecovered,
    TaskSettled,
    TaskHeld,
    TaskReleased,
    TaskPruned,
    TaskErased,
    TaskCleanupBegun,
    TaskCleanedUp,
}
assert _KNOWN_FACTS == set(TASK_FACTS), "a fact that the net has no transition for"
