"""The record of a flow: all that is known of one, as its events tell it."""

import msgspec
from msgspec import Struct

from tallystick.ledger.content import Erased
from tallystick.ledger.errors import NotFound, Pruned
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.flows import Json
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FlowMode, FlowStatus


class Claim(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who does a step: the name that a claimant gave itself, who spoke, and when (ms)."""

    step: str
    actor: str
    at: int
    claimant: str | None = None


class FlowRecord(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A frozen snapshot of one flow. Encoded as JSON it has the names of the interface: camelCase, absent not null.

    All times are UTC milliseconds as reported; `revision` counts what was written of the flow, `position` is that of
    the newest. `state_json` and `wait_json` are JSON values, not texts.
    `followed_task_id` is the newest of the tasks that joined a mirrored flow. `noted` are the codes of findings that
    an operator took note of, since when nothing has happened to it; that moment is `noted_at`. `imported` is the row of
    another ledger that it was taken over from. `erased` says when its content was, by whom and why: nothing is left of
    it then.
    """

    flow_id: str
    sync_mode: FlowMode
    owner_key: str
    status: FlowStatus
    goal: str
    revision: int
    created_at: int
    updated_at: int
    position: int
    controller_id: str | None = None
    current_step: str | None = None
    state_json: Json = None
    wait_json: Json = None
    blocked_task_id: str | None = None
    blocked_summary: str | None = None
    cancel_requested_at: int | None = None
    cancel_reason: str | None = None
    ended_at: int | None = None
    summary: str | None = None
    error: str | None = None
    followed_task_id: str | None = None
    claims: tuple[Claim, ...] = ()
    idempotency_key: str | None = None
    noted: tuple[str, ...] = ()
    noted_at: int | None = None
    pruned_at: int | None = None
    imported: Evidence | None = None
    erased: Erased | None = None

    @property
    def stream(self) -> bytes:
        """The sixteen bytes of the flow's id: its key everywhere on disk."""
        return id_bytes(self.flow_id)

    @property
    def version(self) -> int:
        """The number of its events: its revision."""
        return self.revision

    @property
    def is_active(self) -> bool:
        """Whether the flow has not ended: one that waits, or is blocked, has not."""
        return self.status in FLOW_ACTIVE and self.pruned_at is None

    @property
    def is_managed(self) -> bool:
        """Whether a controller moves it."""
        return self.sync_mode is FlowMode.MANAGED

    def claim_of(self, step: str) -> Claim | None:
        """Return who does a step, if somebody does."""
        return next((claim for claim in self.claims if claim.step == step), None)


def needs_tasks(flow: FlowRecord) -> bool:
    """Whether a flow has not ended and may go on, so that its tasks are needed.

    One that mirrors tasks and is blocked cannot be resumed: it is over with its newest task, as that is.
    """
    return flow.is_active and (flow.is_managed or flow.status is not FlowStatus.BLOCKED)


def no_flow(token: str, hint: str = "") -> NotFound:
    """Return what those hear who ask for a flow that is not there; `hint` says what else is known of it."""
    return NotFound(token, of="Flow", hint=f'{hint} Run "tally flow list" to see recent flows.'.lstrip())


def pruned_flow(record: FlowRecord) -> Pruned:
    """Return what those hear who ask something of a flow that retention removed."""
    return Pruned(
        record.flow_id,
        status=record.status.value,
        ended_at=record.ended_at,
        pruned_at=record.pruned_at,
        of="Flow",
    )


def as_json(record: FlowRecord) -> bytes:
    """Return the record as JSON."""
    return msgspec.json.encode(record)
