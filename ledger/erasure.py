"""The erasure: what goes with the content of a task or a flow, and what is known of it afterwards. Pure.

Who erases the content of a task does not want it told any more either: what has not arrived is dismissed.
What a record says of content goes whole, whether it came from beside the log or from the log itself: so it is the same
for whoever saw the events when they were whole, and for whoever reads them now.
"""

from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.ledger.content import blank
from tallystick.ledger.events import Event
from tallystick.ledger.facts.flows import FlowErased
from tallystick.ledger.facts.tasks import TaskErased

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""

NOT_ASIDE = (
    "Nothing of it is kept beside the log, and what is in the log itself stays: "
    'put content aside from now on with "aside" in the section [payloads] of the configuration.'
)
"""Why nothing can be erased."""

DISMISSED = "its content was erased"
"""Why what has not arrived is not sent any more."""

OF_TASKS = (
    "task",
    "label",
    "origin",
    "metadata",
    "imported",
    "progress_summary",
    "progress_phase",
    "error",
    "terminal_summary",
    "artifacts",
    "cancel_reason",
)
"""The fields of a task's record that content is in."""

OF_FLOWS = (
    "goal",
    "state_json",
    "wait_json",
    "blocked_summary",
    "cancel_reason",
    "summary",
    "error",
    "imported",
)
"""The fields of a flow's record that content is in."""

_ALWAYS = frozenset({"task", "goal", "artifacts"})
"""What every record has: of the others nothing is told that has nothing in it."""


class Erased(Struct, frozen=True, gc=False, rename="camel"):
    """When the content of a task or flow was erased (ms), by whom, and why."""

    at: int
    by: str
    reason: str


def after_erasure(record: Any, event: Event, data: TaskErased | FlowErased, names: tuple[str, ...]) -> Changes:
    """Return what a record knows after its content was erased: `names` are the fields that it is in."""
    changes = {name: _emptied(name, getattr(record, name)) for name in names}
    changes["erased"] = Erased(event.occurred_at, event.actor, data.reason)
    return changes


def _emptied(name: str, value: Any) -> Any:
    left = blank(value)
    return left if left or name in _ALWAYS else None
