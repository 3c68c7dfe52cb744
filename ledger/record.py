"""The record: all that is known of one task, as its events tell it."""

import msgspec
from msgspec import Struct

from tallystick.ledger.content import Erased
from tallystick.ledger.facts.fact import Evidence, Origin, Usage
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import ACTIVE, BLOCKED, DeliveryStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.outbox import Waiting
from tallystick.ledger.resources import Resource


class TaskRecord(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """A frozen snapshot of one task. Encoded as JSON it has the names of the interface: camelCase, absent not null.

    All times are UTC milliseconds as reported (`occurred_at`); `version` counts the task's events, `position` is
    that of the newest. `noted` are the codes of findings that an operator took note of since the status changed.
    `imported` is the row of another ledger that it was taken over from. `erased` says when its content was, by whom and
    why: nothing is left of it then.
    """

    task_id: str
    runtime: Runtime
    task: str
    status: Status
    scope_kind: Scope
    delivery_status: DeliveryStatus
    notify_policy: NotifyPolicy
    created_at: int
    last_event_at: int
    version: int
    position: int
    task_kind: str | None = None
    source_id: str | None = None
    owner_key: str | None = None
    requester_session_key: str | None = None
    child_session_key: str | None = None
    parent_flow_id: str | None = None
    parent_task_id: str | None = None
    root_task_id: str | None = None
    agent_id: str | None = None
    requester_agent_id: str | None = None
    run_id: str | None = None
    label: str | None = None
    origin: Origin | None = None
    started_at: int | None = None
    ended_at: int | None = None
    cleanup_after: int | None = None
    timeout_ms: int | None = None
    deadline_at: int | None = None
    backing: Evidence | None = None
    metadata: dict[str, str] | None = None
    idempotency_key: str | None = None
    further_keys: tuple[str, ...] = ()
    tool_use_count: int | None = None
    last_tool_name: str | None = None
    progress_summary: str | None = None
    progress_phase: str | None = None
    progress_step: int | None = None
    progress_steps: int | None = None
    progress_count: int | None = None
    progress_at: int | None = None
    error: str | None = None
    terminal_summary: str | None = None
    terminal_outcome: str | None = None
    artifacts: tuple[str, ...] = ()
    usage: Usage | None = None
    cancel_requested_at: int | None = None
    cancel_reason: str | None = None
    cancel_confirmed: bool | None = None
    backing_missed_at: int | None = None
    ended_by: str | None = None
    ended_at_position: int | None = None
    late_signals: tuple[tuple[str, int], ...] = ()
    late_signal_count: int | None = None
    held_at: int | None = None
    pruned_at: int | None = None
    lease_ms: int | None = None
    outbox: tuple[Waiting, ...] = ()
    work_version: int | None = None
    resources: tuple[Resource, ...] = ()
    cleanup_begun_at: int | None = None
    noted: tuple[str, ...] = ()
    imported: Evidence | None = None
    erased: Erased | None = None

    @property
    def stream(self) -> bytes:
        """The sixteen bytes of the task's id: its key everywhere on disk."""
        return id_bytes(self.task_id)

    @property
    def is_active(self) -> bool:
        """Whether the task is queued or running."""
        return self.status in ACTIVE

    @property
    def shown_status(self) -> str:
        """The status as people see it: a success without its result is "blocked"."""
        if self.terminal_outcome == BLOCKED and self.status is Status.SUCCEEDED:
            return BLOCKED
        return self.status.value


def as_json(record: TaskRecord) -> bytes:
    """Return the record as JSON: the field names that `openclaw tasks … --json` readers know."""
    return msgspec.json.encode(record)
