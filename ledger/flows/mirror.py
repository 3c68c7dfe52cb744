"""The mirror: the flow of a detached task, which is nothing but what its tasks tell. Pure.

Nothing of it is stored while it has one task and nobody cancels it: its id follows from the task's, its record from
the task's record. A version 7 UUID and its mirror differ in one digit: the mirror's version is 8 (RFC 9562, custom).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from tallystick.ledger.content import Erased
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import (
    BLOCKED,
    FLOW_ACTIVE,
    DeliveryStatus,
    FlowMode,
    FlowStatus,
    Runtime,
    Scope,
    Status,
)
from tallystick.ledger.record import TaskRecord

_PLACE: Final = 14  # of the digit that tells a UUID's version, among the 36 characters
_BYTE: Final = 6
_MIRRORS: Final = 8
_OTHER: Final = {f"{digit:x}": f"{15 - digit:x}" for digit in range(16)}

MIRRORED = frozenset({Runtime.ACP, Runtime.SUBAGENT})
"""The runtimes whose tasks may have flows that mirror them."""
_SESSION, _NOT_APPLICABLE = Scope.SESSION, DeliveryStatus.NOT_APPLICABLE

_STATUSES: Mapping[Status, FlowStatus] = MappingProxyType(
    {
        Status.QUEUED: FlowStatus.QUEUED,
        Status.RUNNING: FlowStatus.RUNNING,
        Status.SUCCEEDED: FlowStatus.SUCCEEDED,
        Status.FAILED: FlowStatus.FAILED,
        Status.TIMED_OUT: FlowStatus.FAILED,
        Status.CANCELLED: FlowStatus.CANCELLED,
        Status.LOST: FlowStatus.LOST,
    }
)

assert set(_STATUSES) == set(Status), "a status without its mirror"


def mirror_of(task_id: str) -> str:
    """Return the id of the flow that mirrors a task; of such a flow, the id of the task."""
    return f"{task_id[:_PLACE]}{_OTHER[task_id[_PLACE]]}{task_id[_PLACE + 1 :]}"


def mirror_stream(stream: bytes) -> bytes:
    """Return the same for the sixteen bytes of an id."""
    return stream[:_BYTE] + bytes([stream[_BYTE] ^ 0xF0]) + stream[_BYTE + 1 :]


def is_mirror(stream: bytes) -> bool:
    """Whether sixteen bytes are the id of a flow that mirrors a task: tasks and managed flows have version 7."""
    return stream[_BYTE] >> 4 == _MIRRORS


def is_detached(runtime: Runtime, scope: Scope, delivery: DeliveryStatus) -> bool:
    """Whether a new task that is in no flow has one that mirrors it: somebody is to hear of a session's child."""
    return runtime in MIRRORED and scope is _SESSION and delivery is not _NOT_APPLICABLE


def has_mirror(record: TaskRecord) -> bool:
    """Whether a flow mirrors this task."""
    return record.parent_flow_id is not None and record.parent_flow_id == mirror_of(record.task_id)


def mirror_status(status: Status, outcome: str | None) -> FlowStatus:
    """Return the status of a flow that follows a task."""
    if status is Status.SUCCEEDED and outcome == BLOCKED:
        return FlowStatus.BLOCKED
    return _STATUSES[status]


def pruned_newest(
    origin: TaskRecord, task_id: str, *, status: Status, outcome: str | None, ended_at: int | None
) -> TaskRecord:
    """Return what stands for the newest task of a mirror once that is pruned: how it ended is what is left of it.

    While the first one is at work, that is followed: the flow goes on.
    """
    if origin.is_active:
        return origin
    return replace(
        origin,
        task_id=task_id,
        status=status,
        terminal_outcome=outcome,
        ended_at=ended_at,
        terminal_summary=None,
        error=None,
    )


def mirrored(origin: TaskRecord, newest: TaskRecord, own: FlowRecord | None) -> FlowRecord:
    """Return the flow that mirrors a task; `own` is what its own events tell.

    It follows the newest of its tasks, which is its first when no other has joined; but one that is cancelled ends
    when the last of its tasks has, as cancelled. Its revision is where in the log it changed last.
    """
    status, ended_at = mirror_status(newest.status, newest.terminal_outcome), newest.ended_at
    if own is not None and not own.is_active:
        status, ended_at = own.status, own.ended_at
    elif own is not None and own.cancel_requested_at is not None and status not in FLOW_ACTIVE:
        status, ended_at = FlowStatus.RUNNING, None  # another one of its tasks is at work
    elif status is FlowStatus.BLOCKED:
        ended_at = None  # somebody may do something about it
    is_blocked = status is FlowStatus.BLOCKED
    seen = origin if own is None else own
    position = max(newest.position, seen.position)
    is_noted = own is not None and own.position == position  # else something has happened since
    return FlowRecord(
        flow_id=mirror_of(origin.task_id),
        sync_mode=FlowMode.MIRRORED,
        owner_key=origin.owner_key or "",
        status=status,
        goal=origin.label or origin.task,
        revision=position,
        created_at=origin.created_at,
        updated_at=max(newest.last_event_at, origin.last_event_at if own is None else own.updated_at),
        position=position,
        blocked_task_id=newest.task_id if is_blocked else None,
        blocked_summary=newest.terminal_summary if is_blocked else None,
        cancel_requested_at=None if own is None else own.cancel_requested_at,
        cancel_reason=None if own is None else own.cancel_reason,
        ended_at=ended_at,
        summary=None if is_blocked else newest.terminal_summary,
        error=newest.error,
        followed_task_id=None if own is None else own.followed_task_id,
        noted=own.noted if own is not None and is_noted else (),
        noted_at=own.noted_at if own is not None and is_noted else None,
        pruned_at=None if own is None else own.pruned_at,
        erased=_erased(origin, newest),
    )


def _erased(origin: TaskRecord, newest: TaskRecord) -> Erased | None:
    """Return the newest erasure of what a mirror shows: its goal is of its first task, how it stands of its newest."""
    found = [record.erased for record in (origin, newest) if record.erased is not None]
    return max(found, key=lambda erased: erased.at, default=None)
