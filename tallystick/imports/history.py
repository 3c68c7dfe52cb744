"""The history: the shortest that leads to what a row of OpenClaw says of a task, in the ledger's own facts. Pure.

Times are those of the row. What no fact says of it stands in `imported` of what begins the history.
"""

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tallystick.imports.columns import Columns, Contradiction
from tallystick.imports.database import TASKS, Row
from tallystick.imports.facts import SOURCE, Move, cut, key_of, made, mark_of
from tallystick.ledger import fields, intake
from tallystick.ledger.errors import UNREADABLE, InvalidInput
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Evidence, Origin
from tallystick.ledger.facts.tasks import TaskCreated, TaskFailed, TaskProgressed
from tallystick.ledger.lifecycle import (
    ACTIVE,
    BLOCKED,
    DeliveryStatus,
    NotifyPolicy,
    Runtime,
    Scope,
    Status,
    lets_end_through,
)

RULE = "imported"
"""The rule of a loss that another ledger inferred."""

_TOLD = frozenset(DeliveryStatus) - {DeliveryStatus.WITHHELD}
_SUCCEEDED = "succeeded"  # an outcome that says no more than the status
_ORIGIN = {"channel": "channel", "to": "to", "account": "accountId", "thread": "threadId"}


class TaskHistory(Struct, frozen=True, kw_only=True):
    """What is recorded of a row of `task_runs`. `parent` and `flow` are ids of OpenClaw."""

    row: str
    created: TaskCreated
    at: int
    moves: tuple[Move, ...]
    status: Status
    outcome: str | None
    delivery: DeliveryStatus | None
    parent: str | None
    flow: str | None
    ended_at: int | None


def task_history(row: Row, origin: Origin | None = None, more: Evidence | None = None) -> TaskHistory:
    """Return the history of a task; `more` is what else is known of it. Raises `Contradiction`."""
    at = Columns(row)
    key, status = at.needed("task_id"), at.one_of("status", Status)
    created_at, started_at, ended_at = at.needed_moment("created_at"), at.moment("started_at"), at.moment("ended_at")
    _check_times(status, created_at, started_at, ended_at)
    outcome = _outcome(at, status)
    delivery = at.one_of("delivery_status", _TOLD, DeliveryStatus.NOT_APPLICABLE)
    mark = _mark_of_task(at, status, delivery, more or {})
    created = _created(at, key, origin, mark)
    moves = [*_steps(at, started_at, ended_at)]
    if status not in ACTIVE:
        assert ended_at is not None, "it was looked at"
        moves.append(Move(_end(at, status, outcome, key), ended_at))
    return TaskHistory(
        row=key,
        created=created,
        at=created_at,
        moves=tuple(moves),
        status=status,
        outcome=outcome,
        delivery=_to_tell(created.notify, status, outcome, delivery),
        parent=at.text("parent_task_id"),
        flow=at.text("parent_flow_id"),
        ended_at=ended_at,
    )


def _check_times(status: Status, created_at: int, started_at: int | None, ended_at: int | None) -> None:
    if status in ACTIVE and ended_at is not None:
        raise Contradiction("ended_at", ended_at, f"it is {status}, and has ended")
    if status not in ACTIVE and ended_at is None:
        raise Contradiction("ended_at", None, f"it is {status}, and has not ended")
    if status is Status.QUEUED and started_at is not None:
        raise Contradiction("started_at", started_at, "it is queued, and has started")
    if status is Status.RUNNING and started_at is None:
        raise Contradiction("started_at", None, "it runs, and has not started")
    if started_at is not None and started_at < created_at:
        raise Contradiction("started_at", started_at, f"it started before it was created, at {created_at}")
    if ended_at is not None and ended_at < (created_at if started_at is None else started_at):
        before = "created" if started_at is None else "started"
        raise Contradiction("ended_at", ended_at, f"it ended before it was {before}".replace("was started", "started"))


def _outcome(at: Columns, status: Status) -> str | None:
    outcome = at.text("terminal_outcome")
    if outcome is not None and (outcome not in (BLOCKED, _SUCCEEDED) or status is not Status.SUCCEEDED):
        raise Contradiction("terminal_outcome", outcome, f"it is {status}; a success may be {BLOCKED}")
    return BLOCKED if outcome == BLOCKED else None


def _mark_of_task(at: Columns, status: Status, delivery: DeliveryStatus, more: Evidence) -> Evidence:
    """Return where a task comes from, and what of its row no fact says."""
    more = {
        "flow": at.text("parent_flow_id"),
        "cleanupAfter": at.moment("cleanup_after"),
        "ownerHost": at.text("execution_owner_host"),
        "ownerPid": at.number("execution_owner_pid"),
        "ownerStart": at.number("execution_owner_start_identity"),
        "detail": cut("detail_json", at.text("detail_json")),
        **more,
    }
    if status in ACTIVE and delivery not in (DeliveryStatus.PENDING, DeliveryStatus.NOT_APPLICABLE):
        more["deliveryStatus"] = delivery.value
    if status is Status.QUEUED:  # whoever says how far it is would start it
        more["progress"] = cut("progress_summary", at.text("progress_summary"))
    if status is Status.SUCCEEDED:
        more["error"] = cut("error", at.text("error"))
    return mark_of(TASKS, at.needed("task_id"), more)


def _created(at: Columns, key: str, origin: Origin | None, mark: Evidence) -> TaskCreated:
    created: TaskCreated = made(
        lambda: intake.created(
            runtime=at.one_of("runtime", Runtime),
            task=at.needed("task"),
            label=at.text("label"),
            owner=at.text("owner_key"),
            requester=at.text("requester_session_key"),
            child_session=at.text("child_session_key"),
            run_id=at.text("run_id"),
            kind=at.text("task_kind"),
            source_id=at.text("source_id"),
            agent=at.text("agent_id"),
            requester_agent=at.text("requester_agent_id"),
            origin=origin,
            notify=at.one_of("notify_policy", NotifyPolicy, NotifyPolicy.SILENT),
            metadata={SOURCE: key},
            idempotency_key=key_of(key),
            scope=at.one_of("scope_kind", Scope, Scope.SESSION),
        )
    )
    return replace(created, imported=mark)


def _steps(at: Columns, started_at: int | None, ended_at: int | None) -> list[Move]:
    """Return what happened before the end: of progress no row says when, so it is when it last said anything."""
    if started_at is None:
        return []
    moves = [Move(intake.started(), started_at)]
    message, tool = at.text("progress_summary"), at.text("last_tool_name")
    uses = at.number("tool_use_count") or 0
    if uses < 0:
        raise Contradiction("tool_use_count", uses, "it is less than nothing")
    if message is not None or tool is not None or uses:
        progress: TaskProgressed = made(lambda: intake.progressed(message, tool=tool))
        last = at.moment("last_event_at") or started_at
        said_at = max(started_at, last if ended_at is None else min(last, ended_at))
        moves.append(Move(replace(progress, tools=uses), said_at))
    return moves


def _end(at: Columns, status: Status, outcome: str | None, key: str) -> AnyFact:
    error, summary = at.text("error"), at.text("terminal_summary")
    match status:
        case Status.SUCCEEDED:
            return intake.succeeded(summary, outcome=outcome)
        case Status.FAILED:
            failed: TaskFailed = intake.failed(error or "", summary=summary)
            return failed
        case Status.TIMED_OUT:
            return intake.timed_out(error, summary=summary)
        case Status.CANCELLED:
            return intake.cancelled(error, stopped=summary)
        case _:
            return intake.lost({"from": SOURCE, "table": TASKS, "row": key}, rule=RULE, error=error)


def _to_tell(
    notify: NotifyPolicy, status: Status, outcome: str | None, delivery: DeliveryStatus
) -> DeliveryStatus | None:
    """Return what became of telling, where that is not what the end alone makes of it."""
    if status in ACTIVE:
        return None
    told = lets_end_through(notify, status, outcome)
    return None if delivery is (DeliveryStatus.PENDING if told else DeliveryStatus.NOT_APPLICABLE) else delivery


# Where requests came from.


def origin_of(row: Row) -> tuple[Origin | None, Evidence]:
    """Return where the request of a row of `task_delivery_state` came from, and what else it says.

    Raises `Contradiction`.
    """
    at = Columns(row)
    more: Evidence = {}
    told = at.moment("last_notified_event_at")
    if told is not None:
        more["lastNotifiedAt"] = told
    said = at.text("requester_origin_json")
    if said is None:
        return None, more
    try:
        parts = msgspec.json.decode(said)
    except UNREADABLE as error:
        raise Contradiction("requester_origin_json", said, f"it is no JSON: {error}") from error
    if parts is None:
        return None, more
    if not isinstance(parts, dict):
        raise Contradiction("requester_origin_json", said, "it is no JSON object")
    named = {ours: parts.pop(theirs, None) for ours, theirs in _ORIGIN.items()}
    if parts:
        more["origin"] = cut("origin", said)
    if not any(value is not None for value in named.values()):
        return None, more
    try:
        return fields.origin("requester_origin_json", Origin(**named)), more
    except InvalidInput as error:
        raise Contradiction("requester_origin_json", said, f"allowed is {error.allowed}") from error
