"""The history of a flow: the shortest that leads to what a row of OpenClaw says of one. Pure."""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tallystick.imports.columns import Columns, Contradiction
from tallystick.imports.database import FLOWS, Row
from tallystick.imports.facts import SOURCE, Move, cut, key_of, made, mark_of
from tallystick.ledger.errors import UNREADABLE
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.flows import FlowCreated, FlowSettled, FlowWaitingSet
from tallystick.ledger.flows import intake
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FlowStatus


class FlowHistory(Struct, frozen=True, kw_only=True):
    """What is recorded of a managed row of `flow_runs`. `blocked_task` is an id of OpenClaw."""

    row: str
    created: FlowCreated
    at: int
    moves: tuple[Move, ...]
    status: FlowStatus
    blocked_task: str | None


class FlowMirror(Struct, frozen=True, kw_only=True):
    """A row of `flow_runs` that follows tasks, and says nothing that they do not."""

    row: str
    owner: str
    status: FlowStatus


def flow_history(row: Row) -> FlowHistory | FlowMirror:
    """Return the history of a flow, or what is held against its tasks of one that mirrors them.

    Raises `Contradiction`.
    """
    at = Columns(row)
    key, status = at.needed("flow_id"), at.one_of("status", FlowStatus)
    mode = at.one_of("sync_mode", ("managed", "task_mirrored"))
    created_at = at.needed_moment("created_at")
    updated_at, ended_at = at.moment("updated_at") or created_at, at.moment("ended_at")
    if updated_at < created_at:
        raise Contradiction("updated_at", updated_at, f"it was updated before it was created, at {created_at}")
    if ended_at is not None and ended_at < created_at:
        raise Contradiction("ended_at", ended_at, f"it ended before it was created, at {created_at}")
    if status not in FLOW_ACTIVE and ended_at is None:
        raise Contradiction("ended_at", None, f"it is {status}, and has not ended")
    if status in FLOW_ACTIVE - {FlowStatus.BLOCKED} and ended_at is not None:
        raise Contradiction("ended_at", ended_at, f"it is {status}, and has ended")
    if mode != "managed":
        return FlowMirror(row=key, owner=at.needed("owner_key"), status=status)
    more: Evidence = {
        "revision": at.number("revision"),
        "shape": at.text("shape"),
        "notifyPolicy": at.text("notify_policy"),
        "origin": cut("origin", at.text("requester_origin_json")),
        "cancelRequestedAt": at.moment("cancel_requested_at"),
    }
    created: FlowCreated = made(
        lambda: intake.created(
            owner=at.needed("owner_key"),
            goal=at.needed("goal"),
            controller=at.needed("controller_id"),
            step=at.text("current_step"),
            state=_json(at, "state_json"),
            idempotency_key=key_of(key),
        )
    )
    move = _flow_move(at, key, status)
    when = updated_at if status in FLOW_ACTIVE or ended_at is None else ended_at
    return FlowHistory(
        row=key,
        created=replace(created, imported=mark_of(FLOWS, key, more)),
        at=created_at,
        moves=() if move is None else (Move(move, when),),
        status=status,
        blocked_task=at.text("blocked_task_id") if status is FlowStatus.BLOCKED else None,
    )


def _flow_move(at: Columns, key: str, status: FlowStatus) -> AnyFact | None:
    """Return what makes a new flow what its row says. A cancel that was only wanted is not wanted here."""
    match status:
        case FlowStatus.QUEUED:
            return None
        case FlowStatus.RUNNING:
            return intake.resumed()
        case FlowStatus.WAITING | FlowStatus.BLOCKED:
            return _waiting(at, status)
        case FlowStatus.SUCCEEDED:
            return intake.finished()
        case FlowStatus.FAILED:
            return intake.failed(at.text("blocked_summary") or "")
        case _:
            return FlowSettled(status=status, reason=f"{status.value}, as {SOURCE} says of {key}")


def _waiting(at: Columns, status: FlowStatus) -> FlowWaitingSet:
    wait = _json(at, "wait_json")
    if status is FlowStatus.WAITING and wait is None:
        raise Contradiction("wait_json", None, "it waits, and for nothing")
    summary = at.text("blocked_summary")
    if status is FlowStatus.BLOCKED and summary is None and at.text("blocked_task_id") is None:
        raise Contradiction("blocked_summary", None, "it is blocked, and by nothing")
    blocked = {"summary": summary or status.value} if status is FlowStatus.BLOCKED else None
    waiting: FlowWaitingSet = made(lambda: intake.waiting(wait, blocked=blocked))
    return waiting if summary is not None else replace(waiting, blocked_summary=None)


def _json(at: Columns, name: str) -> Any:
    said = at.text(name)
    if said is None:
        return None
    try:
        return msgspec.json.decode(said)
    except UNREADABLE as error:
        raise Contradiction(name, said, f"it is no JSON: {error}") from error
