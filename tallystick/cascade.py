"""The cascade: who is cancelled along with a task."""

from tallystick.ledger.record import TaskRecord
from tallystick.projections.reader import Reader
from tallystick.projections.tree import all_below


def active_descendants(reader: Reader, task_id: str) -> list[TaskRecord]:
    """Return the active tasks below a task: its children, theirs, and so on, whether those in between have ended."""
    return [record for record in all_below(reader, task_id) if record.is_active]


def reason_below(reason: str | None, task_id: str) -> str:
    """Return why a task below is cancelled."""
    return f"with its parent {task_id}" if reason is None else f"{reason} (with its parent {task_id})"
