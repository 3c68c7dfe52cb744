"""The steps of a history: what each of its events made of a task or a flow. Pure, and folded by the rules alone."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.mirror import has_mirror, mirror_stream, mirrored
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.record import TaskRecord


class Step(Struct, frozen=True):
    """One event, and what was known before and after it; None while there was no such task or flow."""

    event: Event
    before: Record | None
    after: Record | None


def steps_of_task(events: Iterable[Event]) -> Iterator[Step]:
    """Yield the steps of a task's history. Raises `Corrupt` where it does not follow."""
    record: TaskRecord | None = None
    for event in events:
        before, record = record, evolve(record, event)
        yield Step(event, before, record)


def steps_of_flow(stream: bytes, events: Iterable[Event]) -> Iterator[Step]:
    """Yield the steps of a flow's history: its own events and, of one that mirrors tasks, theirs, in log order.

    An event of a task that the flow does not follow then is a step that changes nothing. Raises `Corrupt`.
    """
    own: FlowRecord | None = None
    tasks: dict[bytes, TaskRecord] = {}
    known: FlowRecord | None = None
    for event in events:
        if event.is_of_flow:
            own = evolve_flow(own, event)
        else:
            tasks[event.stream] = evolve(tasks.get(event.stream), event)
        before, known = known, _flow(own, tasks.get(mirror_stream(stream)), tasks)
        yield Step(event, before, known)


def _flow(own: FlowRecord | None, origin: TaskRecord | None, tasks: dict[bytes, TaskRecord]) -> FlowRecord | None:
    if own is not None and own.is_managed:
        return own
    if origin is None or not has_mirror(origin):
        return None
    followed = None if own is None or own.followed_task_id is None else tasks.get(id_bytes(own.followed_task_id))
    return mirrored(origin, followed or origin, own)
