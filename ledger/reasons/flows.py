"""The reasons of a flow: what each event has to do with what the flow is. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from tallystick.ledger.events import Event
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
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowMode
from tallystick.ledger.reasons.reason import Rule, Said, because_of

_Say: TypeAlias = Callable[[FlowRecord | None, Event, Any], Said]


def reason_of(before: FlowRecord | None, after: FlowRecord | None, event: Event) -> Said | None:
    """Return what an event has to do with what a flow is after it; None when nothing.

    An event of a task is a reason when the flow mirrors that task and is another one for it.
    """
    if event.is_of_flow:
        return SAYS[event.data.__class__](after, event, event.data)
    was, is_now = (None if flow is None else flow.status for flow in (before, after))
    if was == is_now:
        return None
    if is_now is None:
        return Rule.JOINED, f"task {event.task_id} is one of another flow from then on", ()
    return Rule.MIRRORS, f"task {event.task_id}, which it follows, made it {is_now.value}", ()


def _created(_flow: FlowRecord | None, _event: Event, data: FlowCreated) -> Said:
    if data.mode is FlowMode.MIRRORED:
        return Rule.CREATED, "more happened than the task tells that it mirrors", ()
    by = "" if data.controller is None else f", driven by {data.controller}"
    return Rule.CREATED, f"{data.owner} asked for it{by}", ()


def _claimed(_flow: FlowRecord | None, event: Event, data: FlowStepClaimed) -> Said:
    return Rule.CONTROLLER, f"{data.claimant or event.actor} does the step {data.step}", ()


def _waiting(_flow: FlowRecord | None, _event: Event, data: FlowWaitingSet) -> Said:
    if data.blocked_task is None and data.blocked_summary is None:
        return Rule.CONTROLLER, "it waits", ()
    by = "" if data.blocked_task is None else f" by task {data.blocked_task}"
    return Rule.CONTROLLER, f"it is blocked{by}{because_of(data.blocked_summary)}", ()


def _resumed(_flow: FlowRecord | None, event: Event, _data: FlowResumed) -> Said:
    return Rule.CONTROLLER, f"{event.actor} had it go on", ()


def _linked(flow: FlowRecord | None, _event: Event, data: FlowTaskLinked) -> Said:
    follows = ", which it follows from then on" if flow is not None and not flow.is_managed else ""
    return Rule.JOINED, f"task {data.task} is one of it{follows}", ()


def _finished(_flow: FlowRecord | None, event: Event, data: FlowFinished) -> Said:
    return Rule.CONTROLLER, f"{event.actor} reported that the goal was reached{because_of(data.summary)}", ()


def _failed(_flow: FlowRecord | None, event: Event, data: FlowFailed) -> Said:
    return Rule.CONTROLLER, f"{event.actor} reported that the goal will not be reached{because_of(data.error)}", ()


def _cancel_asked(_flow: FlowRecord | None, event: Event, data: FlowCancelRequested) -> Said:
    asked = f"{event.actor} asked for all of it to be cancelled{because_of(data.reason)}"
    return Rule.CANCEL_ASKED, f"{asked}; no task joins any more", ()


def _cancelled(_flow: FlowRecord | None, _event: Event, _data: FlowCancelled) -> Said:
    return Rule.CANCEL_CONFIRMED, "after a cancel the last of its tasks had ended", ()


def _settled(_flow: FlowRecord | None, event: Event, data: FlowSettled) -> Said:
    return Rule.SETTLED, f"{event.actor} ended it as {data.status.value}{because_of(data.reason)}", ()


def _noted(_flow: FlowRecord | None, event: Event, data: FlowNoted) -> Said:
    return Rule.KEPT, f"{event.actor} took note of what was found of it{because_of(data.reason)}", ()


def _pruned(_flow: FlowRecord | None, event: Event, data: FlowPruned) -> Said:
    return Rule.KEPT, f"{event.actor} removed it from the lists{because_of(data.reason)}", ()


def _erased(_flow: FlowRecord | None, event: Event, data: FlowErased) -> Said:
    return Rule.ERASED, f"{event.actor} erased its content{because_of(data.reason)}", ()


SAYS: dict[type, _Say] = {
    FlowCreated: _created,
    FlowStepClaimed: _claimed,
    FlowWaitingSet: _waiting,
    FlowResumed: _resumed,
    FlowTaskLinked: _linked,
    FlowFinished: _finished,
    FlowFailed: _failed,
    FlowCancelRequested: _cancel_asked,
    FlowCancelled: _cancelled,
    FlowSettled: _settled,
    FlowNoted: _noted,
    FlowPruned: _pruned,
    FlowErased: _erased,
}
"""What each fact of a flow has to say."""
