"""The remains: what the last event of a pruned task or flow tells, when those before it cannot be read any more. Pure.

Archives may be deleted, and records may be damaged: what was pruned still answers what it was. Only that is told; all
else that a record has stands for nothing, and nobody is shown the record of what was pruned.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import FlowErased, FlowPruned
from tallystick.ledger.facts.tasks import TaskErased, TaskPruned
from tallystick.ledger.flows.mirror import is_mirror
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import DeliveryStatus, FlowMode, FlowStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.record import TaskRecord

R = TypeVar("R", TaskRecord, FlowRecord)

_TOMBSTONES: Mapping[type, tuple[type, ...]] = {
    TaskRecord: (TaskPruned, TaskErased),
    FlowRecord: (FlowPruned, FlowErased),
}
_VERSIONS: Mapping[type, str] = {TaskRecord: "version", FlowRecord: "revision"}
"""What the number of its events is called."""


def remains_of_task(event: Event, known: TaskRecord | None = None) -> TaskRecord | None:
    """Return the record of a pruned task as its pruning tells it; None for any other event, or one that says less.

    `known` is what earlier events tell, of which at least one that lies between is missing.
    """
    return _remains(TaskRecord, event, known)


def remains_of_flow(event: Event, known: FlowRecord | None = None) -> FlowRecord | None:
    """Return the same of a flow."""
    return _remains(FlowRecord, event, known)


def _remains(kind: type[R], event: Event, known: R | None) -> R | None:
    last = last_word(event)
    if last is None or not isinstance(event.data, _TOMBSTONES[kind]):
        return None
    status, ended_at, pruned_at = last
    if known is None:
        known = bare(kind, event.stream, pruned_at if ended_at is None else ended_at)
    elif known.pruned_at is not None or known.version + 1 >= event.version:
        return None
    told: dict[str, Any] = {_VERSIONS[kind]: event.version, "position": event.position, "status": status}
    if isinstance(known, TaskRecord):
        told["outbox"] = ()
    return replace(known, **told, ended_at=ended_at, pruned_at=pruned_at)


def is_tombstone(fact: Fact) -> bool:
    """Whether this is the last that is said of something: that it was pruned, or erased after that."""
    return isinstance(fact, TaskPruned | FlowPruned) or (
        isinstance(fact, TaskErased | FlowErased) and fact.pruned_at is not None
    )


def last_word(event: Event) -> tuple[Status | FlowStatus, int | None, int] | None:
    """Return what a tombstone says: what the task or flow was, when it ended and when it was pruned (ms).

    None for any other event, and for one of an older version, which does not say it.
    """
    data = event.data
    if isinstance(data, TaskErased | FlowErased):
        return None if data.status is None or data.pruned_at is None else (data.status, data.ended_at, data.pruned_at)
    if isinstance(data, TaskPruned | FlowPruned) and data.status is not None:
        return data.status, data.ended_at, event.occurred_at
    return None


def bare(kind: type[R], stream: bytes, at: int) -> R:
    """Return the record of something pruned of which nothing is known but its id, and that it was there at `at` (ms).

    Nothing that it says of what it was is so.
    """
    blank: TaskRecord | FlowRecord
    if kind is TaskRecord:
        blank = TaskRecord(
            task_id=id_text(stream),
            runtime=Runtime.CLI,
            task="",
            status=Status.LOST,
            scope_kind=Scope.SYSTEM,
            delivery_status=DeliveryStatus.NOT_APPLICABLE,
            notify_policy=NotifyPolicy.SILENT,
            created_at=at,
            last_event_at=at,
            version=0,
            position=0,
        )
    else:
        blank = FlowRecord(
            flow_id=id_text(stream),
            sync_mode=FlowMode.MIRRORED if is_mirror(stream) else FlowMode.MANAGED,
            owner_key="",
            status=FlowStatus.LOST,
            goal="",
            revision=0,
            created_at=at,
            updated_at=at,
            position=0,
        )
    return replace(blank, pruned_at=at)  # type: ignore[return-value]  # it is of that kind
