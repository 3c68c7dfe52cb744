"""The history of flows: their events, and what they were at some time, from the log alone. Never writes a fact."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import TypeAlias

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.flows import FlowTaskLinked
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.flows.evolve import fold_flow
from tallystick.ledger.flows.mirror import has_mirror, mirror_stream, mirrored
from tallystick.ledger.flows.record import FlowRecord, no_flow
from tallystick.ledger.ids import id_bytes, id_bytes_or_none, id_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Deleted, EventLog
from tallystick.projections.gone import gone

Events: TypeAlias = list[Event]

Until: TypeAlias = Callable[[bytes], Iterable[Event]]
"""Yields the events of a stream up to a position or a moment."""


def is_flow(log: EventLog, stream: bytes) -> bool:
    """Whether the log tells of a flow with this id: it has events of its own, or mirrors a task, or did so once."""
    own = next(_events(log, stream), None)
    return _mirrors(log, stream) if own is None else own.is_of_flow


def timeline(log: EventLog, stream: bytes) -> Events:
    """Return every event of a flow that can be read, in order.

    Of one that mirrors tasks, these are the events of its tasks and its own.
    """
    return merged(stream, partial(_events, log))


def merged(stream: bytes, events: Until) -> Events:
    """Return the events of a flow and, of one that mirrors tasks, those of its tasks, in the log's order."""
    own = list(events(stream))
    first = list(events(mirror_stream(stream)))
    if not _has_mirror(first):
        return own
    linked = [id_bytes_or_none(event.data.task) for event in own if isinstance(event.data, FlowTaskLinked)]
    others = dict.fromkeys(task for task in linked if task not in (None, mirror_stream(stream)))
    return list(heapq.merge(own, first, *(events(task) for task in others if task), key=attrgetter("position")))


def flow_at(stream: bytes, until: Until) -> FlowRecord:
    """Return what a flow was when the log had told no more than this. Raises `NotFound`, and `Corrupt` as folding."""
    return flow_of(stream, fold_flow(until(stream)), lambda task: fold(until(task)))


def flow_of(stream: bytes, own: FlowRecord | None, task: Callable[[bytes], TaskRecord | None]) -> FlowRecord:
    """Return what a flow was, by what its own events told and what every task was. Raises `NotFound`."""
    if own is not None and own.is_managed:
        return own
    origin = task(mirror_stream(stream))
    if origin is None:
        raise no_flow(id_text(stream), "It had not been created then.")
    if not has_mirror(origin):
        raise no_flow(id_text(stream), f"Its task was one of flow {origin.parent_flow_id} then.")
    followed = None if own is None or own.followed_task_id is None else task(id_bytes(own.followed_task_id))
    return mirrored(origin, followed or origin, own)


def up_to(log: EventLog, *, position: int | None, at: int | None) -> Until:
    """Return what yields the events of a stream up to a position, or a moment as recorded; all without either.

    It raises `Corrupt` for one that cannot be read, and `Pruned` for one that was deleted with its archive.
    """

    def until(stream: bytes) -> Iterator[Event]:
        history = log.stream(stream)
        for stored in history:
            if position is not None and stored.position > position:
                return
            if not isinstance(stored, Event):
                deleted = gone(id_text(stream), stream, history, None) if isinstance(stored, Deleted) else None
                raise deleted or Corrupt(stored.detail, position=stored.position)
            if at is not None and stored.recorded_at > at:
                return
            yield stored

    return until


def _events(log: EventLog, stream: bytes) -> Iterator[Event]:
    return (stored for stored in log.stream(stream) if isinstance(stored, Event))


def _mirrors(log: EventLog, stream: bytes) -> bool:
    """Whether a flow with this id mirrors a task, or did so once."""
    return _has_mirror(list(islice(_events(log, mirror_stream(stream)), 1)))


def _has_mirror(events: Sequence[Event]) -> bool:
    """Whether the task whose events these are was created as one that a flow mirrors."""
    if not events or not isinstance(events[0].data, TaskCreated):
        return False
    record = fold(events[:1])
    return record is not None and has_mirror(record)
