"""The facts: how the values of a row become facts of the ledger, and where they say that they come from. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.imports.columns import Contradiction
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.limits import EVIDENCE_BYTES_MAX

SOURCE = "openclaw"
"""What imported tasks and flows name as where they come from, and what their keys begin with."""

_DETAIL_BYTES_MAX = EVIDENCE_BYTES_MAX // 2
_ELLIPSIS = "…".encode()  # the least that is left of a text that is cut
_LONG = frozenset({"detail", "origin", "progress", "error"})  # of a mark: texts that say more than who and when

# How a field of a creation is called in the table.
_COLUMN_OF = {
    "owner": "owner_key",
    "requester": "requester_session_key",
    "child_session": "child_session_key",
    "kind": "task_kind",
    "agent": "agent_id",
    "requester_agent": "requester_agent_id",
    "scope": "scope_kind",
    "notify": "notify_policy",
    "controller": "controller_id",
    "step": "current_step",
    "state": "state_json",
    "wait": "wait_json",
    "blocked.summary": "blocked_summary",
    "tool": "last_tool_name",
}


class Move(Struct, frozen=True):
    """A fact that follows the first, and when it happened (ms)."""

    fact: AnyFact
    at: int


Made: TypeAlias = Callable[[], Any]


def key_of(row: str) -> str:
    """Return the key by which the ledger knows what a row became."""
    return f"{SOURCE}:{row}"


def made(make: Made) -> Any:
    """Make a fact; what cannot be one is a contradiction in the words of the table."""
    try:
        return make()
    except InvalidInput as error:
        raise Contradiction(
            _COLUMN_OF.get(error.field, error.field), error.value, f"allowed is {error.allowed}"
        ) from error


def mark_of(table: str, row: str, more: Evidence) -> Evidence:
    """Return where something comes from: the table and the row, and what of that no fact says.

    Long texts are cut so that all of it fits: a row is not left out for what is only noted of it.
    """
    mark: Evidence = {"from": SOURCE, "table": table, "row": row, **more}
    kept: Evidence = {name: value for name, value in mark.items() if value is not None}
    marked: Evidence = made(lambda: fields.evidence("imported", _fitting(kept)))
    return marked


def _fitting(mark: Evidence) -> Evidence:
    """Cut the long texts of a mark: what the shorter ones do not need of the room is for the longer ones."""
    room = EVIDENCE_BYTES_MAX - sum(_size(name) + _size(mark[name]) for name in mark.keys() - _LONG)
    room -= sum(map(_size, mark.keys() & _LONG))
    long = sorted(mark.keys() & _LONG, key=lambda name: (_size(mark[name]), name))
    fitting = dict(mark)
    for before, name in enumerate(long):
        share = max(room // (len(long) - before), len(_ELLIPSIS))
        fitting[name] = fields.report(name, str(mark[name]), bytes_max=share)
        room -= _size(fitting[name])
    return fitting


def _size(value: object) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else fields.NUMBER_BYTES


def cut(name: str, value: str | None) -> str | None:
    """Return a text for a mark, cut when it is long."""
    return fields.report(name, value, bytes_max=_DETAIL_BYTES_MAX)
