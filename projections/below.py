"""Below: the tasks that worked on behalf of another, and of those, and so on.

A task is below another when that is its parent, or when the session in which that works owns it or asked for it.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from tallystick.ledger.record import TaskRecord
from tallystick.projections.query import Query
from tallystick.projections.seen import Seen

PAGE_TASKS = 1_000


class Family(Struct, frozen=True):
    """A task and every task below it, as of a position."""

    head: int
    task: TaskRecord
    below: list[TaskRecord]


def family_of(seen: Seen, stream: bytes) -> Family | None:
    """Return a task and all below it; None when there is no such task."""
    task = seen.records([stream]).get(stream)
    return None if task is None else Family(seen.head, task, below(seen, task))


def below(seen: Seen, task: TaskRecord) -> list[TaskRecord]:
    """Return every task below another, whether those in between have ended. A session counts from its task on."""
    found: dict[str, TaskRecord] = {task.task_id: task}  # two that are below each other end here
    above = [task]
    while above:
        for record in _directly_below(seen, above.pop()):
            if record.task_id not in found:
                found[record.task_id] = record
                above.append(record)
    del found[task.task_id]
    return list(found.values())


def _directly_below(seen: Seen, task: TaskRecord) -> Iterator[TaskRecord]:
    yield from _all(seen, Query(parent=task.task_id, limit=PAGE_TASKS))
    session = task.child_session_key
    if session is None or session in (task.owner_key, task.requester_session_key):
        return
    of_session = list(_all(seen, Query(session=session, since=max(task.created_at, 0), limit=PAGE_TASKS)))
    until = _taken_over_at(of_session, task, session)
    for record in of_session:
        asks = session in (record.owner_key, record.requester_session_key)
        if asks and (until is None or record.created_at < until):
            yield record


def _taken_over_at(of_session: list[TaskRecord], task: TaskRecord, session: str) -> int | None:
    """Return when the next task began to work in a session: what that asks for from then on is another's."""
    later = (
        record.created_at
        for record in of_session
        if record.child_session_key == session and (record.created_at, record.task_id) > (task.created_at, task.task_id)
    )
    return min(later, default=None)


def _all(seen: Seen, query: Query) -> Iterator[TaskRecord]:
    while True:
        page = seen.list(query)
        yield from page.tasks
        if page.next_cursor is None:
            return
        query = replace(query, cursor=page.next_cursor)
