"""Notices: which messages follow an event of a task, in the same append. Pure."""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec.structs import replace

from tallystick.ledger.events import AnyFact, Event, TaskFact
from tallystick.ledger.facts.deliveries import (
    DeliveryFailed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import (
    MEDIA_KINDS,
    DeliveryKind,
    DeliveryStatus,
    NotifyPolicy,
    Runtime,
    Scope,
    Status,
    lets_end_through,
)
from tallystick.ledger.limits import MEDIA_CONFIRM_MS, OUTBOX_OPEN_MAX
from tallystick.ledger.message import end_message, started_message, update_message, with_artifacts
from tallystick.ledger.outbox import FALLBACK, MONITOR, find, is_main
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.routing import Routing, StoredRoute, direct_route
from tallystick.ledger.withholding import held_back, is_isolated, is_withheld_end

ENDS: frozenset[type[TaskFact]] = frozenset(
    {TaskSucceeded, TaskFailed, TaskTimedOut, TaskCancelled, TaskLost, TaskSettled, TaskRecovered}
)
STEPS: frozenset[type[TaskFact]] = frozenset({TaskStarted, TaskProgressed})

TOLD: frozenset[type[TaskFact]] = ENDS | STEPS | {TaskNotifyChanged, DeliveryFailed, DeliveryUnknown, DeliveryReleased}
"""The facts that a message may follow; of all others nobody is told."""


Notice: TypeAlias = DeliveryQueued | DeliveryWithheld
"""A message to be delivered, or one that waits until it is."""


def notices(event: Event, record: TaskRecord, routing: Routing, stored: StoredRoute) -> Iterator[Notice]:
    """Yield the messages that follow an event, after which the task is known as `record`."""
    kind = event.data.__class__
    if kind in ENDS:
        yield from _of_an_end(event, record, routing, stored)
    elif kind in STEPS:
        yield from _of_a_step(event, record, routing, stored)
    elif kind is TaskNotifyChanged and _is_untold(record):
        yield _to_who_asked(event, record, routing, stored)


def _concerned(routing: Routing, record: TaskRecord, name: str) -> Iterator[tuple[str, Origin]]:
    """Yield the names and routes of what monitors are told of what a record shows now, each route once."""
    told: dict[str, Origin] = {}
    for number, monitor in enumerate(routing.monitors):
        if monitor.concerns(record) and monitor.route not in told.values():
            full = f"{name}{MONITOR}{monitor.name}"
            if full in told:  # rules may share a name, messages may not
                full = f"{full}~{number}"
            told[full] = monitor.route
            yield full, monitor.route


def _is_untold(record: TaskRecord) -> bool:
    """Whether a policy that changed after the end lets through what nobody was told."""
    return (
        record.delivery_status is DeliveryStatus.PENDING
        and not record.is_active
        and not any(each.tells(record.status) for each in record.outbox)
    )


def _of_an_end(event: Event, record: TaskRecord, routing: Routing, stored: StoredRoute) -> Iterator[Notice]:
    if record.scope_kind is Scope.SESSION and (
        _is_media(record) or lets_end_through(record.notify_policy, record.status, record.terminal_outcome)
    ):
        yield _to_who_asked(event, record, routing, stored)
    for name, route in _concerned(routing, record, _end_name(record)):
        yield DeliveryQueued(
            delivery=_once(record, name, event),
            kind=DeliveryKind.TERMINAL,
            text=end_message(record),
            route=route,
            artifacts=record.artifacts,
        )


def _to_who_asked(event: Event, record: TaskRecord, routing: Routing, stored: StoredRoute) -> Notice:
    """The message to the one who asked; that of an isolated cron run waits for the work below it."""
    notice = _main(event, record, routing, stored)
    return held_back(notice, event) if is_withheld_end(record) else notice


def _main(event: Event, record: TaskRecord, routing: Routing, stored: StoredRoute) -> DeliveryQueued:
    """The message to the one who asked, of how the task ended."""
    route = direct_route(record, routing, stored)
    if _is_media(record):
        name = _once(record, _end_name(record, "wake"), event)
        until = None if route is None else event.recorded_at + MEDIA_CONFIRM_MS  # without another way there is no hurry
        return _to_session(record, name, DeliveryKind.MEDIA, end_message(record), until=until)
    name = _once(record, _end_name(record), event)
    if _is_reviewed(record) and (route is None or record.origin is None or record.origin.thread is None):
        return _to_session(record, name, DeliveryKind.REVIEW, end_message(record, kind=DeliveryKind.REVIEW))
    text = end_message(record)
    if route is None:
        return _to_session(record, name, DeliveryKind.TERMINAL, text)
    return DeliveryQueued(delivery=name, kind=DeliveryKind.TERMINAL, text=text, route=route, artifacts=record.artifacts)


def _of_a_step(event: Event, record: TaskRecord, routing: Routing, stored: StoredRoute) -> Iterator[Notice]:
    data = event.data
    if isinstance(data, TaskProgressed):
        if data.message is None or len(record.outbox) >= OUTBOX_OPEN_MAX:
            return
        kind, text = DeliveryKind.UPDATE, update_message(record, data.message)
    else:
        kind, text = DeliveryKind.STARTED, started_message(record)
    name = f"event:{event.version}:{kind.value}"
    if record.notify_policy is NotifyPolicy.STATE_CHANGES and record.scope_kind is Scope.SESSION:
        route = None if _is_media(record) else direct_route(record, routing, stored)
        if route is None:
            notice = _to_session(record, name, kind, text)
        else:
            notice = DeliveryQueued(delivery=name, kind=kind, text=text, route=route)
        yield held_back(notice, event) if kind is DeliveryKind.UPDATE and is_isolated(record) else notice
    if kind is DeliveryKind.STARTED:
        for monitored, route in _concerned(routing, record, name):
            yield DeliveryQueued(delivery=monitored, kind=kind, text=text, route=route)


def is_given_up(data: AnyFact) -> bool:
    """Return whether this says that a message is not sent any more by itself, and has not arrived for certain."""
    return isinstance(data, DeliveryFailed) or (isinstance(data, DeliveryUnknown) and data.due_at is None)


def instead(
    failed: DeliveryQueued, record: TaskRecord, event: Event, routing: Routing, stored: StoredRoute
) -> DeliveryQueued | None:
    """Return the other way for a message to the one who asked that is given up; None when there is none.

    What has not arrived for certain waits in the session, once, however often an operator has it sent again: better
    told twice than not at all. Media that the session did not confirm go to the channel, once.
    """
    if not is_main(failed.delivery):
        return None
    if failed.route is not None:
        name = f"{failed.delivery}{FALLBACK}"
        if find(record.outbox, name) is not None:
            return None
        return _to_session(record, name, failed.kind, failed.text, artifacts=failed.artifacts)
    name = _once(record, failed.delivery.replace("wake:", "terminal:", 1), event)
    route = direct_route(record, routing, stored)
    if route is None:
        return _to_session(record, name, failed.kind, failed.text, artifacts=failed.artifacts)
    text = with_artifacts(failed.text, failed.artifacts)
    return DeliveryQueued(delivery=name, kind=failed.kind, text=text, route=route, artifacts=failed.artifacts)


def released(
    withheld: DeliveryWithheld, data: DeliveryReleased, record: TaskRecord, routing: Routing, stored: StoredRoute
) -> DeliveryQueued:
    """Return what is sent of a message that was withheld: on the way that there is now, as long as it is not stale."""
    text = withheld.text
    if data.output is not None and not record.is_active:  # what is told while it is at work is no end
        text = end_message(replace(record, terminal_summary=data.output))
    route = direct_route(record, routing, stored)
    if route is None:
        return _to_session(record, withheld.delivery, withheld.kind, text, artifacts=withheld.artifacts)
    return DeliveryQueued(
        delivery=withheld.delivery,
        kind=withheld.kind,
        text=text,
        route=route,
        artifacts=withheld.artifacts,
        until=withheld.until,
    )


def _to_session(
    record: TaskRecord,
    name: str,
    kind: DeliveryKind,
    text: str,
    *,
    artifacts: tuple[str, ...] | None = None,
    until: int | None = None,
) -> DeliveryQueued:
    return DeliveryQueued(
        delivery=name,
        kind=kind,
        text=text,
        session=record.requester_session_key,
        artifacts=record.artifacts if artifacts is None else artifacts,
        until=until,
    )


def _once(record: TaskRecord, name: str, event: Event) -> str:
    """Return a name that no message of the task has that still waits: an end may be told again after a recovery."""
    return name if not record.outbox or find(record.outbox, name) is None else f"{name}~{event.version}"


def _end_name(record: TaskRecord, kind: str = "terminal") -> str:
    return f"{kind}:{record.status.value}:{record.terminal_outcome or 'default'}"


def _is_media(record: TaskRecord) -> bool:
    return record.runtime is Runtime.CLI and record.task_kind in MEDIA_KINDS


def _is_reviewed(record: TaskRecord) -> bool:
    """Whether the session that asked looks at the result of a child session before anybody calls it done."""
    return (
        record.runtime is Runtime.ACP
        and record.status is Status.SUCCEEDED
        and record.terminal_outcome is None
        and record.child_session_key is not None
    )
