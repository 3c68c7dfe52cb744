"""Folding: the history of any stream, whatever it is of. Pure."""

from collections.abc import Sequence
from typing import TypeAlias

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.flows.evolve import fold_flow
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord

Record: TypeAlias = TaskRecord | FlowRecord


def fold_stream(history: Sequence[Event]) -> Record | None:
    """Return what the whole history of a task or a flow tells; None for an empty one. Raises `Corrupt`."""
    return fold_flow(history) if history and history[0].is_of_flow else fold(history)
