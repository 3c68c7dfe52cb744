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
    """Return where something comes from: the table and the row, and what of that no fact says."""
    mark: Evidence = {"from": SOURCE, "table": table, "row": row, **more}
    kept = {name: value for name, value in mark.items() if value is not None}
    marked: Evidence = made(lambda: fields.evidence("imported", kept))
    return marked


def cut(name: str, value: str | None) -> str | None:
    """Return a text for a mark: cut, when it is long, so that all of the mark fits."""
    return fields.report(name, value, bytes_max=_DETAIL_BYTES_MAX)
