"""The difference: what became of tasks and flows between two moments, as data and as lines."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from tallystick.cli.answer import present
from tallystick.cli.cells import cut
from tallystick.cli.facts import value_words, words
from tallystick.cli.screen import Screen
from tallystick.cli.summary import name_of, text_of
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record

Changed: TypeAlias = tuple[Record | None, Record]
"""A task or a flow before, None if there was none yet, and after."""

_NUMBERS = frozenset({"version", "position", "revision"})  # they change with every event and say nothing by themselves


def changed_data(changed: Sequence[Changed]) -> list[dict[str, Any]]:
    """Return what changed as data: each with its status and the fields that differ."""
    return [
        {
            **present(
                **{"flowId" if isinstance(after, FlowRecord) else "taskId": _id(after)},
                statusBefore=before.status if before else None,
                status=after.status,
            ),
            "changes": {name: present(before=old, after=new) for name, old, new in _changes(before, after)},
        }
        for before, after in changed
    ]


def changed_lines(screen: Screen, changed: Sequence[Changed]) -> Iterator[str]:
    """Yield what changed for people: of what is new only that it is."""
    for before, after in changed:
        was = "new" if before is None else _status(before)
        kind = "flow " if isinstance(after, FlowRecord) else ""
        yield ""
        yield f"{kind}{_id(after)}  {was} → {screen.status(_status(after))}  {_name(after)}"
        if before is not None:
            yield from changes_words(screen, before, after)


def changes_words(screen: Screen, before: Record | None, after: Record) -> Iterator[str]:
    """Yield the fields that differ, a line each, without those that change with every event."""
    for name, old, new in _changes(before, after):
        if name not in _NUMBERS:
            yield cut(f"    {words(name)}: {_said(name, old)} → {_said(name, new)}", screen.columns)


def _said(name: str, value: Any) -> str:
    return "nothing" if value is None else value_words(name, value) or "(blank)"  # as what was erased is


def _changes(before: Record | None, after: Record) -> Iterator[tuple[str, Any, Any]]:
    """The fields that differ, with the names and values that JSON has."""
    old = {} if before is None else msgspec.to_builtins(before)
    new = msgspec.to_builtins(after)
    for name in {**new, **old}:
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _id(record: Record) -> str:
    return record.flow_id if isinstance(record, FlowRecord) else record.task_id


def _status(record: Record) -> str:
    return record.status.value if isinstance(record, FlowRecord) else record.shown_status


def _name(record: Record) -> str:
    return text_of(record.goal, record.erased) if isinstance(record, FlowRecord) else name_of(record)
