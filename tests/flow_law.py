"""The law of flows: what every log keeps, however it came about."""

from collections.abc import Sequence

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowFailed,
    FlowFinished,
    FlowPruned,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
)
from tallystick.ledger.facts.tasks import TaskAmended, TaskCreated, TaskLinked
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord


def joins(events: Sequence[Event]) -> list[tuple[int, str, str]]:
    """Return who joined which flow, and at which position, as the tasks tell it."""
    return [
        (event.position, event.task_id, event.data.flow)
        for event in events
        if isinstance(event.data, TaskCreated | TaskAmended | TaskLinked) and event.data.flow is not None
    ]


def check_joins(events: Sequence[Event]) -> None:
    """Hold what tasks and flows say of each other to each other: both streams of a link agree, and nothing is late."""
    told: set[tuple[int, str, str]] = set()
    linked: set[tuple[int, str, str]] = set()
    closed: dict[str, int] = {}
    for event in events:
        data = event.data
        if isinstance(data, FlowTaskLinked) and is_managed(event):
            told.add((event.position, event.task_id, data.task))
        elif isinstance(data, TaskLinked):
            linked.add((event.position - 1, data.flow, event.task_id))
        elif isinstance(data, FlowCancelRequested | FlowFinished | FlowFailed | FlowSettled | FlowPruned):
            closed.setdefault(event.task_id, event.position)
    assert told == linked
    for position, task_id, flow_id in joins(events):
        assert position < closed.get(flow_id, position + 1), f"{task_id} joined {flow_id} at {position}"


def is_managed(event: Event) -> bool:
    """Whether it is of a managed flow: one that mirrors says of every task that it has joined."""
    return event.stream[6] >> 4 == 7


def check_claims(events: Sequence[Event]) -> None:
    """No step of a flow is ever given away twice."""
    claimed = [(event.stream, event.data.step) for event in events if isinstance(event.data, FlowStepClaimed)]
    assert len(set(claimed)) == len(claimed)


def told_by(
    events: Sequence[Event],
) -> tuple[dict[str, FlowRecord], dict[str, TaskRecord], dict[str, list[FlowRecord]]]:
    """Fold a log, which raises where a revision is missing; no flow may end before the last of its tasks has.

    Returns the flows as their own events tell them, the tasks, and each flow as it was after each of its events.
    """
    tasks: dict[str, TaskRecord] = {}
    known: dict[str, list[FlowRecord]] = {}
    at_work: dict[str, set[str]] = {}
    for event in events:
        if event.is_of_flow:
            records = known.setdefault(event.task_id, [])
            records.append(evolve_flow(records[-1] if records else None, event))
            if isinstance(event.data, FlowCancelled):
                assert not at_work.get(event.task_id), f"{event.task_id} ended too early"
            continue
        before = tasks.get(event.task_id)
        task = tasks[event.task_id] = evolve(before, event)
        if before is not None and before.parent_flow_id is not None:
            at_work[before.parent_flow_id].discard(task.task_id)
        if task.parent_flow_id is not None:
            here = at_work.setdefault(task.parent_flow_id, set())
            if task.is_active:
                here.add(task.task_id)
    return {flow_id: records[-1] for flow_id, records in known.items()}, tasks, known
