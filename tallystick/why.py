"""Why: the events, rules and evidence that led to what a task or a flow is, and who was told. Never writes a fact."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tallystick.ledger.errors import NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.reasons.history import reasons_of_flow, reasons_of_task, silence
from tallystick.ledger.reasons.reason import Reason
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.steps import steps_of_flow, steps_of_task
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.moments import NOT_YET, By, Told, When
from tallystick.projections.due import DueKind, DueRules, dues_of

if TYPE_CHECKING:
    from tallystick.readings import Readings


class Why(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Why a task or a flow is what it is: the `record`, its status as people see it, and what led to that.

    `reasons` are in the log's order; the last of them that has an `after` says the status. `told` are the messages
    about a task, `silence` why nobody was to be told of its end. `next` says what follows if nothing more is heard.
    """

    token: str
    status: str
    reasons: tuple[Reason, ...]
    told: tuple[DeliveryRecord, ...] = ()
    silence: str | None = None
    next: str | None = None
    record: Record


def why(readings: "Readings", token: str, *, position: int | None = None, at: int | None = None) -> Why:
    """Return why what a token names is what it is, or was as of a position or a moment as recorded (ms).

    Raises `NotFound`, `Pruned` when its history was deleted with its archive, `Corrupt` when that cannot be read up to
    there, `InvalidInput`.
    """
    stream, is_flow = readings.named(token)
    told = Told(readings.log, When.of(position, at, By.RECORDED))
    with readings.naming(token, stream):
        if is_flow:
            return _of_flow(told, stream, token)
        return _of_task(told.events(stream), token, readings.rules)


def _of_flow(told: Told, stream: bytes, token: str) -> Why:
    flow = told.record(stream, is_flow=True, token=token)
    assert isinstance(flow, FlowRecord), "it was asked for one"
    steps = steps_of_flow(stream, told.history(stream, is_flow=True))
    return Why(token=flow.flow_id, status=flow.status.value, reasons=tuple(reasons_of_flow(steps)), record=flow)


def _of_task(events: Sequence[Event], token: str, rules: DueRules) -> Why:
    steps = list(steps_of_task(events))
    record = steps[-1].after if steps else None
    if not isinstance(record, TaskRecord):
        raise NotFound(token, hint=NOT_YET)
    messages = tuple(deliveries_of(events))
    return Why(
        token=record.task_id,
        status=record.shown_status,
        reasons=tuple(reasons_of_task(steps)),
        told=messages,
        silence=silence(record, messages),
        next=_next(record, rules),
        record=record,
    )


_NEXT: dict[DueKind, str] = {
    DueKind.DEADLINE: "timed_out, from {at} (ms) on",
    DueKind.GRACE: "lost, from {at} (ms) on, if somebody has watched since it was missed",
    DueKind.CANCEL: "cancelled without a confirmation, from {at} (ms) on",
}


def _next(record: TaskRecord, rules: DueRules) -> str | None:
    """What the ledger does by itself if nothing more is heard of a task, and when: of several, what is due first."""
    dues = dues_of(record, rules) if record.is_active else set()
    if not dues:
        return None
    at, kind = min(dues)
    return _NEXT[kind].format(at=at)
