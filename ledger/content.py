"""The content: which fields of facts have what people and programs wrote, and which tell tasks apart or how they run.

Content can be put aside, erased and redacted: no rule and no index needs it. All else stays in the log for ever.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec.structs import fields, replace

from tallystick.ledger.events import FACT_TYPES
from tallystick.ledger.facts.fact import Fact, Origin
from tallystick.ledger.facts.flows import FlowTaskLinked

F = TypeVar("F", bound=Fact)

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
    if kind.__struct_config__.tag in ("task-erased.1", "flow-erased.1"):
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
    """Return the fields of content in which a fact says something."""
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
