"""What is told of what is gone: what a pruned task or flow was, and whether its history can still be read."""

from collections.abc import Sequence

from tallystick.ledger.errors import Pruned
from tallystick.ledger.events import Event
from tallystick.ledger.flows.mirror import is_mirror
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.remains import last_word
from tallystick.ledger.store.port import Deleted, Stored
from tallystick.projections.change import Known, KnownFlow, Tombstone

TASK, FLOW, EITHER = "Task", "Flow", "Task or flow"


def left_of(known: Known | KnownFlow) -> Tombstone | None:
    """Return what is left of what was pruned, None of what was not."""
    if known is None or isinstance(known, Tombstone):
        return known
    outcome = known.terminal_outcome if isinstance(known, TaskRecord) else None
    return None if known.pruned_at is None else Tombstone(known.status.value, known.ended_at, known.pruned_at, outcome)


def gone(
    token: str, stream: bytes, history: Sequence[Stored], left: Tombstone | None, of: str | None = None
) -> Pruned | None:
    """Return what those hear who ask for what was pruned; None for what is there, or never was.

    `left` is its tombstone, if one is left, `of` says what it was, if anybody knows. Only of what is pruned is a
    history ever deleted: that alone tells of a pruning when nothing else is left.
    """
    deleted = next((stored for stored in history if isinstance(stored, Deleted)), None)
    if deleted is None and left is None:
        return None
    left = left or _last_word(history)
    status, ended_at, pruned_at = (
        (Pruned.UNKNOWN, None, None) if left is None else (left.status, left.ended_at, left.pruned_at)
    )
    what = of or _kind(stream, history)
    if deleted is None:
        return Pruned(token, status=status, ended_at=ended_at, pruned_at=pruned_at, of=what)
    is_whole = not any(isinstance(stored, Event) for stored in history)
    some = "Its events were" if is_whole else "The rest of its history is in the log; its first events were"
    return Pruned(
        token,
        status=status,
        ended_at=ended_at,
        pruned_at=pruned_at,
        of=what,
        history=f"{some} {deleted.detail}",
        deleted_by=deleted.by,
        deleted_at=deleted.at,
        deleted_reason=deleted.reason,
    )


def _last_word(history: Sequence[Stored]) -> Tombstone | None:
    """What a pruning itself says of what was pruned."""
    last = history[-1] if history else None
    word = last_word(last) if isinstance(last, Event) else None
    if word is None:
        return None
    status, ended_at, pruned_at = word
    return Tombstone(status.value, ended_at, pruned_at)


def _kind(stream: bytes, history: Sequence[Stored]) -> str:
    """What it was, as far as anything tells: ids of tasks and of managed flows look the same."""
    known = next((stored for stored in history if isinstance(stored, Event)), None)
    if known is not None:
        return FLOW if known.is_of_flow else TASK
    return FLOW if is_mirror(stream) else EITHER
