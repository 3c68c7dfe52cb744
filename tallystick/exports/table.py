"""The table: which columns tasks and events have, and what of a row is in each. The same for every format of rows."""

import types
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum, auto
from typing import Any, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from tallystick.exports.selection import TASKS
from tallystick.exports.shape import fact_json
from tallystick.exports.source import Source
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.ids import id_text
from tallystick.ledger.payloads import lacking
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.port import Stored


class Kind(Enum):
    """What the values of a column are."""

    TEXT = auto()
    WORD = auto()  # of a closed set
    NUMBER = auto()  # whole, 64 bits
    MOMENT = auto()  # UTC, ms
    FLAG = auto()
    TEXTS = auto()
    PAIRS = auto()  # text → text
    AMOUNTS = auto()  # text → number
    JSON = auto()  # whatever else, as a JSON text


class Column(Struct, frozen=True):
    """A column: its name, which is that of the field in JSON, and what its values are."""

    name: str
    kind: Kind


Row: TypeAlias = tuple[Any, ...]
"""The values of a row, a column each; None where there is none."""

DAMAGED = Column("damaged", Kind.TEXT)
"""Why a record cannot be had, in a row that says nothing else of it."""

_encode = msgspec.json.Encoder().encode


def _kind_of(name: str, declared: Any) -> Kind:
    """What a field of a record is: by its type, and a whole number that is a moment by its name."""
    options = [declared]
    if get_origin(declared) in (Union, types.UnionType):
        if declared == Usage | None:
            return Kind.AMOUNTS
        options = [each for each in get_args(declared) if each is not type(None)]
    kept = options[0] if len(options) == 1 else None
    if isinstance(kept, type) and issubclass(kept, StrEnum):
        return Kind.WORD
    if kept is int:
        return Kind.MOMENT if name.endswith("_at") or name == "cleanup_after" else Kind.NUMBER
    known = {str: Kind.TEXT, bool: Kind.FLAG, tuple[str, ...]: Kind.TEXTS, dict[str, str]: Kind.PAIRS}
    return next((kind for each, kind in known.items() if each == kept), Kind.JSON)


_FIELDS = msgspec.structs.fields(TaskRecord)
OF_TASKS: tuple[Column, ...] = (
    *(Column(field.encode_name, _kind_of(field.name, field.type)) for field in _FIELDS),
    DAMAGED,
)
OF_EVENTS: tuple[Column, ...] = (
    Column("position", Kind.NUMBER),
    Column("taskId", Kind.TEXT),
    Column("flowId", Kind.TEXT),
    Column("version", Kind.NUMBER),
    Column("type", Kind.WORD),
    Column("occurredAt", Kind.MOMENT),
    Column("recordedAt", Kind.MOMENT),
    Column("actor", Kind.TEXT),
    Column("data", Kind.JSON),
    Column("erased", Kind.TEXTS),
    DAMAGED,
)
_TASK_ID = next(place for place, column in enumerate(OF_TASKS) if column.name == "taskId")
_POSITION = next(place for place, column in enumerate(OF_TASKS) if column.name == "position")

assert _TASK_ID == 0, "the id of a task comes first"

_VALUES: dict[Kind, Callable[[Any], Any]] = {
    Kind.WORD: str,
    Kind.TEXTS: list,
    Kind.PAIRS: dict,
    Kind.AMOUNTS: dict,
    Kind.JSON: lambda value: _encode(value).decode(),
}


def columns_of(source: Source) -> tuple[Column, ...]:
    """Return the columns of what is selected."""
    return OF_TASKS if source.selection.rows == TASKS else OF_EVENTS


def rows_of(source: Source) -> Iterator[Row]:
    """Yield the rows of what is selected; what cannot be had has a row that says why."""
    if source.selection.rows != TASKS:
        yield from map(event_row, source.events())
        return
    yield from map(task_row, source.tasks())
    for damage in source.damages():
        row: list[Any] = [None] * len(OF_TASKS)
        row[_TASK_ID] = None if damage.stream is None else id_text(damage.stream)
        row[_POSITION], row[-1] = damage.position, damage.detail
        yield tuple(row)


def task_row(record: TaskRecord) -> Row:
    """Return the values of a task, with blanks where its JSON has nothing."""
    values = msgspec.structs.astuple(record)
    return (*(_value(column, value) for column, value in zip(OF_TASKS, values, strict=False)), None)


def _value(column: Column, value: Any) -> Any:
    if value is None or value == ():
        return None
    made = _VALUES.get(column.kind)
    return value if made is None else made(value)


def event_row(stored: Stored) -> Row:
    """Return the values of an event."""
    if not isinstance(stored, Event):
        return (stored.position, *[None] * (len(OF_EVENTS) - 2), stored.detail)
    whose = (None, stored.task_id) if stored.is_of_flow else (stored.task_id, None)
    return (
        stored.position,
        *whose,
        stored.version,
        stored.type,
        stored.occurred_at,
        stored.recorded_at,
        stored.actor,
        fact_json(stored.data).decode(),
        None if stored.data.aside is None else list(lacking(stored.data)) or None,
        None,
    )
