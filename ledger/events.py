"""The event: one fact in its place in the log. And the names that facts have on disk."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeAlias, get_args

from msgspec import Meta, Struct

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
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowCreated,
    FlowErased,
    FlowFailed,
    FlowFinished,
    FlowNoted,
    FlowPruned,
    FlowResumed,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
    FlowWaitingSet,
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
from tallystick.ledger.ids import ID_BYTES, id_text

VERSION_MAX = 2**32 - 1  # a key on disk gives a version four bytes

# Held when a record is read: what is stored with another stream or number is damaged.
Position: TypeAlias = Annotated[int, Meta(ge=1)]
Stream: TypeAlias = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=VERSION_MAX)]

TaskFact: TypeAlias = (
    TaskCreated
    | TaskAmended
    | TaskStarted
    | TaskProgressed
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | TaskCancelRequested
    | TaskCancelled
    | TaskBackingMissed
    | TaskBackingRestored
    | TaskLost
    | TaskRecovered
    | TaskLateSignal
    | TaskLeased
    | TaskNotifyChanged
    | TaskSettled
    | TaskPruned
    | TaskHeld
    | TaskReleased
    | TaskNoted
    | TaskCleanupStamped
    | TaskLinked
    | TaskErased
    | TaskResourceOpened
    | TaskResourceClosed
    | TaskCleanupBegun
    | TaskCleanedUp
    | DeliveryQueued
    | DeliveryWithheld
    | DeliveryReleased
    | DeliveryAttempted
    | DeliveryUnknown
    | DeliveryDelivered
    | DeliveryFailed
    | DeliveryRetried
    | DeliveryDismissed
    | DeliveryImported
)

FlowFact: TypeAlias = (
    FlowCreated
    | FlowStepClaimed
    | FlowWaitingSet
    | FlowResumed
    | FlowTaskLinked
    | FlowFinished
    | FlowFailed
    | FlowCancelRequested
    | FlowCancelled
    | FlowSettled
    | FlowNoted
    | FlowPruned
    | FlowErased
)

AnyFact: TypeAlias = TaskFact | FlowFact

TASK_FACTS: tuple[type[Fact], ...] = get_args(TaskFact)
FLOW_FACTS: tuple[type[Fact], ...] = get_args(FlowFact)
FACT_TYPES: tuple[type[Fact], ...] = TASK_FACTS + FLOW_FACTS
OF_FLOWS: frozenset[type[Fact]] = frozenset(FLOW_FACTS)
"""The facts whose streams are flows', not tasks'."""
ERASURES: frozenset[type[Fact]] = frozenset({TaskErased, FlowErased})
"""The facts with which goes what was kept beside the log of the events before them."""


def name_on_disk(kind: type[Fact]) -> str:
    """Return the name under which facts of this class are stored, version included."""
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str), kind
    return tag


NAMES: Mapping[type[Fact], str] = MappingProxyType({kind: name_on_disk(kind) for kind in FACT_TYPES})
BY_NAME: Mapping[str, type[Fact]] = MappingProxyType({name: kind for kind, name in NAMES.items()})

assert len(BY_NAME) == len(FACT_TYPES), "two facts share a name on disk"


class Event(Struct, frozen=True, gc=False, array_like=True):
    """One fact in its place: the log's position, the version of its task or flow, both times, and who said it.

    `position` counts the log from 1, `version` the task's or flow's own events from 1, both without gaps.
    `occurred_at` is when it happened, as reported; `recorded_at` when the ledger wrote it (UTC, ms).
    """

    position: Position
    stream: Stream
    version: Version
    occurred_at: int
    recorded_at: int
    actor: str
    data: AnyFact

    @property
    def type(self) -> str:
        """The fact's name on disk, such as "task-started.1"."""
        return NAMES[self.data.__class__]

    @property
    def task_id(self) -> str:
        """The id of the task that this event belongs to; for an event of a flow, `is_of_flow`, that of the flow."""
        return id_text(self.stream)

    @property
    def is_of_flow(self) -> bool:
        """Whether it is about a flow, not about a task."""
        return self.data.__class__ in OF_FLOWS
