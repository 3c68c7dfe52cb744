"""The content: what people and programs wrote, in facts and in records, and what stands for it once it is erased. Pure.

Content can be put aside, erased and redacted: no rule and no index needs it. All else stays in the log for ever.
Who erases the content of a task does not want it told any more either: what has not arrived is dismissed.
What a record says of content goes whole, whether it came from beside the log or from the log itself: so it is the same
for whoever saw the events when they were whole, and for whoever reads them now.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import fields, replace

from tallystick.ledger.events import FACT_TYPES, Event
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.fact import Fact, Origin
from tallystick.ledger.facts.flows import FlowErased, FlowTaskLinked
from tallystick.ledger.facts.tasks import TaskErased

F = TypeVar("F", bound=Fact)

Changes: TypeAlias = dict[str, Any]
"""The fields of a record that a fact changes."""

_CONTENT = frozenset(
    {
        "task",
        "label",
        "origin",
        "metadata",
        "imported",
        "message",
        "phase",
        "summary",
        "error",
        "artifacts",
        "reason",
        "stopped",
        "content",
        "text",
        "route",
        "output",
        "failed",
        "goal",
        "state",
        "wait",
        "blocked_summary",
    }
)
_IDS = frozenset({(FlowTaskLinked, "task")})  # an id, not a text


def _content_of(kind: type[Fact]) -> tuple[str, ...]:
    if kind in (TaskErased, FlowErased):
        return ()  # why something was erased must outlast it
    return tuple(name for name in kind.__struct_fields__ if name in _CONTENT and (kind, name) not in _IDS)


CONTENT: Mapping[type[Fact], tuple[str, ...]] = MappingProxyType({kind: _content_of(kind) for kind in FACT_TYPES})
"""The fields of each fact that are content."""

_TYPES: Mapping[tuple[type[Fact], str], Any] = MappingProxyType(
    {(kind, info.name): info.type for kind, names in CONTENT.items() for info in fields(kind) if info.name in names}
)

_WITH_EMPTY = (str, dict, list, tuple)  # a union would be made anew for every value that is looked at


def blank(value: Any) -> Any:
    """Return what stands for a value that is not there: empty, and of its kind, for rules ask whether there is one.

    Of a route its channel stays, which is no content.
    """
    if value.__class__ is Origin:
        return Origin(channel=value.channel)
    return type(value)() if isinstance(value, _WITH_EMPTY) else None


def type_of(kind: type[Fact], name: str) -> Any:
    """Return what a field of content may be, as `msgspec` reads it."""
    return _TYPES[kind, name]


def said(fact: Fact) -> tuple[str, ...]:
    """Return the fields of content in which a fact says something that somebody wrote."""
    if isinstance(fact, DeliveryDismissed) and fact.reason == DISMISSED:
        return ()  # the ledger says so itself, in the append that erases: nothing would be left of it
    return tuple([name for name in CONTENT[fact.__class__] if not is_blank(getattr(fact, name))])


def is_blank(value: Any) -> bool:
    """Whether a value says nothing."""
    if value is None:
        return True
    if value.__class__ is Origin:
        return bool(value == Origin(channel=value.channel))
    return not value and isinstance(value, _WITH_EMPTY)


def without(fact: F, names: tuple[str, ...]) -> F:
    """Return a fact in which these fields of content say nothing."""
    return replace(fact, **{name: blank(getattr(fact, name)) for name in names})


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
