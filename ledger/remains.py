"""The remains: what the last event of a pruned task or flow tells, when those before it cannot be read any more. Pure.

Archives may be deleted, and records may be damaged: what was pruned still answers what it was. Only that is told; all
else that a record has stands for nothing, and nobody is shown the record of what was pruned.
"""

from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.flows.mirror import is_mirror
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import DeliveryStatus, FlowMode, NotifyPolicy, Runtime, Scope
from tallystick.ledger.record import TaskRecord


def remains_of_task(event: Event, known: TaskRecord | None = None) -> TaskRecord | None:
    """Return the record of a pruned task as its pruning tells it; None for any other event, or one that says less.

    `known` is what earlier events tell, of which at least one that lies between is missing.
    """
    data = event.data
    if not isinstance(data, TaskPruned) or data.status is None:
        return None
    if known is None:
        at = event.occurred_at if data.ended_at is None else data.ended_at
        known = TaskRecord(
            task_id=event.task_id,
            runtime=Runtime.CLI,
            task="",
            status=data.status,
            scope_kind=Scope.SYSTEM,
            delivery_status=DeliveryStatus.NOT_APPLICABLE,
            notify_policy=NotifyPolicy.SILENT,
            created_at=at,
            last_event_at=at,
            version=event.version,
            position=event.position,
        )
    elif known.pruned_at is not None or known.version + 1 >= event.version:
        return None
    return replace(
        known,
        status=data.status,
        ended_at=data.ended_at,
        pruned_at=event.occurred_at,
        version=event.version,
        position=event.position,
        outbox=(),
    )


def remains_of_flow(event: Event, known: FlowRecord | None = None) -> FlowRecord | None:
    """Return the same of a flow."""
    data = event.data
    if not isinstance(data, FlowPruned) or data.status is None:
        return None
    if known is None:
        at = event.occurred_at if data.ended_at is None else data.ended_at
        known = FlowRecord(
            flow_id=event.task_id,
            sync_mode=FlowMode.MIRRORED if is_mirror(event.stream) else FlowMode.MANAGED,
            owner_key="",
            status=data.status,
            goal="",
            revision=event.version,
            created_at=at,
            updated_at=at,
            position=event.position,
        )
    elif known.pruned_at is not None or known.revision + 1 >= event.version:
        return None
    return replace(
        known,
        status=data.status,
        ended_at=data.ended_at,
        pruned_at=event.occurred_at,
        revision=event.version,
        position=event.position,
    )
