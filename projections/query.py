"""The query: which tasks a list shows, and where its next page begins. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec
from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TASK_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.projections.cursor import Cursor
from tallystick.projections.places import Span, moment

STATUSES_SHOWN = (*(status.value for status in Status), BLOCKED)

_TEXT = f"text that is not empty, at most {TASK_BYTES_MAX} bytes in UTF-8"


class Query(Struct, frozen=True, kw_only=True):
    """Which tasks to list, newest first: all that every filter lets through. Raises `InvalidInput`.

    `status` is one of the seven, or "blocked"; "succeeded" has the blocked too, for they are successes.
    `session` is the owner, the requester or the child session. `text` is looked for in the label, the task, the
    summaries and the error, whatever its case. `since` is the first moment of creation (ms) to be shown, `until` the
    first not to be, so that two spans that touch share no task.
    """

    status: str | None = None
    runtime: str | None = None
    owner: str | None = None
    session: str | None = None
    run_id: str | None = None
    parent: str | None = None
    kind: str | None = None
    metadata: Mapping[str, str] | None = None
    text: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = PAGE_ROWS_DEFAULT
    cursor: str | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            given = getattr(self, name)
            if given is not None:
                msgspec.structs.force_setattr(self, name, check(name, given))
        fields.whole("limit", self.limit, least=1, most=PAGE_ROWS_MAX)
        self.after()

    @classmethod
    def of(cls, filters: Mapping[str, Any]) -> Self:
        """Return the query with these filters, by name. Raises `InvalidInput` for one that is none."""
        for name, value in filters.items():
            if name not in cls.__struct_fields__:
                raise InvalidInput(name, value, f"only {', '.join(cls.__struct_fields__)}")
        return cls(**filters)

    def after(self) -> bytes | None:
        """Return the place of the last task of the page before this one, which the cursor tells."""
        return None if self.cursor is None else self._cursor().place_in(self.cursor)

    def span(self) -> Span:
        """Return the places that since, until and the cursor leave."""
        ends = [end for end in (self.after(), self.until is not None and moment(self.until)) if end]
        return Span(b"" if self.since is None else moment(self.since), min(ends, default=None))

    def cursor_at(self, place: bytes) -> str:
        """Return the cursor of the page after the task at a place."""
        return self._cursor().at(place)

    def _cursor(self) -> Cursor:
        return Cursor([getattr(self, name) for name in self.__struct_fields__ if name not in ("limit", "cursor")])


class Page(Struct, frozen=True, kw_only=True):
    """Some tasks, newest first, and the cursor with which the same query goes on; None at the end."""

    tasks: list[TaskRecord]
    next_cursor: str | None = None


def _status(field: str, value: Any) -> str:
    if not isinstance(value, str) or value not in STATUSES_SHOWN:
        raise InvalidInput(field, value, ", ".join(STATUSES_SHOWN))
    return str(value)


def _task_id(field: str, value: Any) -> str | None:
    return fields.task_id(field, fields.required_key(field, value))


def _text(field: str, value: Any) -> str:
    kept = fields.text(field, value, bytes_max=TASK_BYTES_MAX, allowed=_TEXT)
    if not kept:
        raise InvalidInput(field, value, _TEXT)
    return kept.casefold()


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "status": _status,
    "runtime": lambda field, value: fields.runtime(field, value).value,
    "owner": fields.required_key,
    "session": fields.required_key,
    "run_id": fields.required_key,
    "parent": _task_id,
    "kind": fields.required_key,
    "metadata": fields.metadata,
    "text": _text,
    "since": fields.moment,
    "until": fields.moment,
}


def matcher(query: Query) -> Callable[[Any], bool] | None:
    """Return what tells whether a record, or the row of one, passes the filters that no index answers.

    Runtime, status, since and until are not among them. None when all pass.
    """
    wanted = {
        "owner_key": query.owner,
        "run_id": query.run_id,
        "parent_task_id": query.parent,
        "task_kind": query.kind,
    }
    equal = [(name, value) for name, value in wanted.items() if value is not None]
    tests: list[Callable[[Any], bool]] = []
    if equal:
        tests.append(lambda row: all(getattr(row, name) == value for name, value in equal))
    if query.session is not None:
        tests.append(lambda row: is_of_session(row, query.session))
    if query.metadata:
        pairs = query.metadata.items()
        tests.append(lambda row: row.metadata is not None and pairs <= row.metadata.items())
    text = query.text
    if text is not None:
        tests.append(lambda row: _says(row, text))
    if len(tests) > 1:
        return lambda row: all(test(row) for test in tests)
    return tests[0] if tests else None


def is_of_session(row: Any, session: str | None) -> bool:
    """Return whether a session owns a task, asked for it, or is its child."""
    return session in (row.owner_key, row.requester_session_key, row.child_session_key)


def _says(row: Any, text: str) -> bool:
    """Whether a task says so anywhere: asked of every row, so the likely places come first and nothing is built."""
    if text in row.task.casefold():
        return True
    for told in (row.terminal_summary, row.label, row.error, row.progress_summary):
        if told is not None and text in told.casefold():
            return True
    return False
