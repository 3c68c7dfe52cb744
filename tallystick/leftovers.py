"""The leftovers: what a caller says of things that are to be closed when the work that opened them has ended."""

import os
from collections.abc import Mapping
from typing import Any

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.facts.resources import TaskResourceClosed, TaskResourceOpened
from tallystick.ledger.limits import RESOURCE_EVIDENCE_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.probes.process import backing_of
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader

PAGE_TASKS = 100


def resource_opened(
    kind: str, name: str, *, pid: int | None = None, evidence: Mapping[str, object] | None = None
) -> TaskResourceOpened:
    """Return the fact that something was opened. Of a process it is noted which one that is, so that it is no other's.

    When it leads a process group of its own, all of that is meant. Raises `InvalidInput`.
    """
    known = {} if pid is None else _process(pid)
    kept = fields.evidence("evidence", {**known, **(evidence or {})}, bytes_max=RESOURCE_EVIDENCE_BYTES_MAX)
    return TaskResourceOpened(kind=_kind(kind), name=fields.required_key("name", name), evidence=kept or None)


def resource_closed(kind: str, name: str) -> TaskResourceClosed:
    """Return the fact that something was closed by whoever opened it. Raises `InvalidInput`."""
    return TaskResourceClosed(kind=_kind(kind), name=fields.required_key("name", name))


def active_in(reader: Reader, session: str) -> TaskRecord:
    """Return the newest active task that works in a session. Raises `NotFound`."""
    session = fields.required_key("session", session)
    for status in ("running", "queued"):
        query = Query(session=session, status=status, limit=PAGE_TASKS)
        while True:
            page = reader.list(query)
            found = next((task for task in page.tasks if task.child_session_key == session), None)
            if found is not None:
                return found
            if page.next_cursor is None:
                break
            query = Query(session=session, status=status, limit=PAGE_TASKS, cursor=page.next_cursor)
    raise NotFound(session, hint="No active task works in this session.")


def _kind(kind: Any) -> str:
    known = fields.required_key("kind", kind)
    if len(known.split()) > 1:
        raise InvalidInput("kind", kind, "one word, such as process or browser_tab")
    return known


def _process(pid: Any) -> dict[str, object]:
    number = fields.whole("pid", pid, least=1)
    try:
        group = os.getpgid(number)
        return backing_of(number, group=group if group == number else None)
    except OSError as error:
        raise InvalidInput("pid", pid, "the pid of a process that is there") from error
