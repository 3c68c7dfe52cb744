"""The lookup: from what people type, or copy from a list, to the task that they mean."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tallystick.cli.call import Call
from tallystick.cli.summary import name_of
from tallystick.cli.times import age, now_ms
from tallystick.ledger.errors import NotFound, Pruned, TallystickError
from tallystick.ledger.record import TaskRecord

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tallystick.readings import Readings

PART_MIN = 6
RECENT_TASKS = 5_000  # that a part of an id is looked for in
PAGE_TASKS = 1_000
CANDIDATES_SHOWN = 5
COMPLETIONS = 20

_PART = re.compile(rf"[0-9a-f-]{{{PART_MIN},35}}")


class Ambiguous(TallystickError):
    """A part of an id is part of several."""

    def __init__(self, token: str, *, candidates: Sequence[str], of: str = "tasks") -> None:
        shown = ", ".join(candidates[:CANDIDATES_SHOWN])
        more = " …" if len(candidates) > CANDIDATES_SHOWN else ""
        super().__init__(f"{token} means {len(candidates)} {of}: {shown}{more}. Give more of the id.")
        self.token, self.candidates = token, candidates


def task_id_of(readings: "Readings", token: str) -> str:
    """Return the id of the task that a token names: an id, a run id, a session key, or the end or the begin of an id.

    Parts of ids, from 6 characters on, are looked for among the newest tasks.
    Raises `NotFound`, or `Ambiguous` with the candidates. The id of a pruned task is an id.
    """
    found = missing_or_id_of(readings, token)
    if isinstance(found, str):
        return found
    raise _with_flow(readings, token, found)


def missing_or_id_of(readings: "Readings", token: str) -> str | NotFound:
    """Return the same, or the error when there is no such task. Raises `Ambiguous`."""
    try:
        return readings.find(token).task_id
    except Pruned:
        return token.strip()
    except NotFound as missing:
        candidates = _with_part(readings, token.strip().lower())
        if not candidates:
            return missing
    if len(candidates) > 1:
        raise Ambiguous(token, candidates=candidates)
    return candidates[0]


def _with_flow(readings: "Readings", token: str, missing: NotFound) -> NotFound:
    """Return what somebody is told who takes a flow for a task; the same error when the token names no flow either."""
    from tallystick.cli.flow_lookup import flow_id_of

    try:
        flow_id = flow_id_of(readings, token)
    except TallystickError:
        return missing
    return NotFound(token, hint=f'It names a flow: "tally flow show {flow_id}", "tally flow cancel {flow_id}".')


def is_part(text: str) -> bool:
    """Whether a text may be the begin or the end of an id."""
    return _PART.fullmatch(text) is not None


def _with_part(readings: "Readings", part: str) -> list[str]:
    if not is_part(part):
        return []
    return [
        record.task_id
        for record in recent(readings, RECENT_TASKS)
        if record.task_id.endswith(part) or record.task_id.startswith(part)
    ]


def recent(readings: "Readings", most: int) -> list[TaskRecord]:
    """Return the newest tasks, newest first."""
    tasks: list[TaskRecord] = []
    cursor: str | None = None
    while len(tasks) < most:
        page = readings.list(limit=min(PAGE_TASKS, most - len(tasks)), cursor=cursor)
        tasks.extend(page.tasks)
        cursor = page.next_cursor
        if cursor is None:
            break
    return tasks


def completions(call: Call, incomplete: str) -> "list[CompletionItem]":
    """Return recent tasks whose id begins or ends so, for a shell; nothing when there is no ledger to ask."""
    from click.shell_completion import CompletionItem

    try:
        with call.readings() as readings:
            tasks = recent(readings, COMPLETIONS)
    except (TallystickError, OSError):
        return []
    now = now_ms()
    return [
        CompletionItem(
            record.task_id,
            help=f"{record.shown_status}, {age(now - record.created_at)}: {name_of(record)[:40]}",
        )
        for record in tasks
        if record.task_id.startswith(incomplete)
    ]
