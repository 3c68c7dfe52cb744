"""Unfolding: a history step by step, each with its time and with what was known after it. Pure."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from tallystick.exports.shape import rfc3339
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.flows.evolve import evolve_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.limits import TIME_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Stored

moment = lru_cache(maxsize=16)(rfc3339)
"""Return a moment as RFC 3339 has it; None for one that it cannot say. Of one event most are the same."""


class Step(Struct, frozen=True):
    """One record of a history. `at` (ms) is when it happened as reported, but never before the step before it.

    Programs for process mining sort by time, and the log's order is the one that counts: a report may come late, or
    say that it happened before what it follows. Of a record that cannot be read it is that of the step before.
    `task` or `flow` is what was known after it, None from the first record on that cannot be read or does not follow.
    """

    stored: Stored
    at: int
    task: TaskRecord | None = None
    flow: FlowRecord | None = None


def unfolded(records: Sequence[Stored], created_at: int) -> Iterator[Step]:
    """Yield the steps of a history, the first of which happened at `created_at` or later."""
    at = min(max(created_at, 0), TIME_MS_MAX)
    task: TaskRecord | None = None
    flow: FlowRecord | None = None
    is_followed = True
    for stored in records:
        if isinstance(stored, Event):
            at = min(max(at, stored.occurred_at), TIME_MS_MAX)
        if is_followed:
            try:
                task, flow = _known(stored, task, flow)
            except Corrupt:
                is_followed, task, flow = False, None, None
        yield Step(stored, at, task, flow)


def _known(
    stored: Stored, task: TaskRecord | None, flow: FlowRecord | None
) -> tuple[TaskRecord | None, FlowRecord | None]:
    """Return what is known of the task and of the flow after a record. Raises `Corrupt`."""
    if not isinstance(stored, Event):
        raise Corrupt(stored.detail, position=stored.position)
    if stored.is_of_flow:
        return task, evolve_flow(flow, stored)
    return evolve(task, stored), flow
