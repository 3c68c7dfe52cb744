"""The cascade: who is cancelled along with a task."""

from tallystick.ledger.record import TaskRecord
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader

PAGE_TASKS = 1_000


def active_descendants(reader: Reader, task_id: str) -> list[TaskRecord]:
    """Return the active tasks below a task: its children, theirs, and so on, whether those in between have ended."""
    found: dict[str, TaskRecord] = {}
    parents = [task_id]
    while parents:
        for child in _children(reader, parents.pop()):
            if child.task_id not in found and child.task_id != task_id:  # two that are each other's parents end here
                found[child.task_id] = child
                parents.append(child.task_id)
    return [record for record in found.values() if record.is_active]


def _children(reader: Reader, task_id: str) -> list[TaskRecord]:
    children: list[TaskRecord] = []
    cursor: str | None = None
    while True:
        page = reader.list(Query(parent=task_id, limit=PAGE_TASKS, cursor=cursor))
        children.extend(page.tasks)
        cursor = page.next_cursor
        if cursor is None:
            return children


def reason_below(reason: str | None, task_id: str) -> str:
    """Return why a task below is cancelled."""
    return f"with its parent {task_id}" if reason is None else f"{reason} (with its parent {task_id})"
