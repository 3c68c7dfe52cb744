"""The reasons of a whole history, in order: every change of the status is one of them. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskLateSignal
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.lifecycle import lets_end_through
from tallystick.ledger.outbox import is_of_end
from tallystick.ledger.payloads import lacking
from tallystick.ledger.reasons import flows, tasks
from tallystick.ledger.reasons.reason import Reason, Said
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.steps import Step
from tallystick.ledger.told import DeliveryRecord


def shown(record: Record | None) -> str | None:
    """Return a status as people see it."""
    if record is None:
        return None
    return record.status.value if isinstance(record, FlowRecord) else record.shown_status


def reasons_of_task(steps: Iterable[Step]) -> Iterator[Reason]:
    """Yield the reasons in the steps of a task."""
    marks = tasks.Marks()
    for step in steps:
        record = step.after
        assert isinstance(record, TaskRecord), "every event of a task leaves a record"
        said = tasks.reason_of(record, step.event, marks)
        if said is not None:
            yield _reason(step, said)
        marks.see(record, step.event)


def reasons_of_flow(steps: Iterable[Step]) -> Iterator[Reason]:
    """Yield the reasons in the steps of a flow; of one that mirrors tasks, theirs where they moved it."""
    for step in steps:
        before, after = step.before, step.after
        assert not isinstance(before, TaskRecord), "these are the steps of a task"
        assert not isinstance(after, TaskRecord), "these are the steps of a task"
        said = flows.reason_of(before, after, step.event)
        if said is not None:
            reason = _reason(step, said)
            yield reason if step.event.is_of_flow else msgspec.structs.replace(reason, token=step.event.task_id)


def silence(record: TaskRecord, told: Iterable[DeliveryRecord]) -> str | None:
    """Return why nobody was to be told how a task ended; None when somebody was, or it has not ended."""
    if record.is_active or any(is_of_end(each.name, record.status) for each in told):
        return None
    policy = record.notify_policy.value
    if not lets_end_through(record.notify_policy, record.status, record.terminal_outcome):
        return f"its policy {policy} does not let {record.shown_status} through"
    return f"its policy {policy} lets {record.shown_status} through, and no message was made of it"


def _reason(step: Step, said: Said) -> Reason:
    event = step.event
    rule, text, because = said
    before, after = shown(step.before), shown(step.after)
    moved = before != after
    return Reason(
        position=event.position,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        actor=event.actor,
        type=event.type,
        rule=rule,
        said=text,
        before=before if moved else None,
        after=after if moved else None,
        is_ignored=isinstance(event.data, TaskLateSignal),
        because=because,
        evidence=_data(event),
        erased=lacking(event.data),
    )


def _data(event: Event) -> dict[str, Any]:
    """What an event says, by the names that it has on disk."""
    data: dict[str, Any] = msgspec.to_builtins(event.data)
    del data["type"]
    return data
