"""The difference between two moments, of one task or flow or of all: what `replay --diff` answers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tallystick.cli.answer import Answer
from tallystick.cli.bar import bar
from tallystick.cli.difference import Changed, changed_data, changed_lines
from tallystick.cli.screen import Screen
from tallystick.cli.summary import many
from tallystick.ledger.errors import NotFound
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.moments import Told, When

if TYPE_CHECKING:
    from tallystick.readings import Readings


def diff_of_one(readings: "Readings", found: str, since: When, until: When) -> Answer:
    """Return what became of a task or flow between two moments, whichever of them is named first."""
    stream, is_flow = readings.named(found)

    def at(when: When) -> Record:
        with readings.naming(found, stream):
            return Told(readings.log, when).record(stream, is_flow=is_flow, token=found)

    record = at(until)
    try:
        before: Record | None = at(since)
    except NotFound:
        before = None
    if before is not None and before.position > record.position:
        before, record = record, before
    changed: list[Changed] = [] if before == record else [(before, record)]
    began = since.position if since.position is not None else 0 if before is None else before.position
    data = _span(min(began, record.position), record.position)
    data |= _counted(flows=changed) if isinstance(record, FlowRecord) else _counted(tasks=changed)
    return Answer(data, lambda screen: _lines(screen, changed))


def diff_of_all(readings: "Readings", since: When, until: When, limit: int) -> Answer:
    """Return what changed in the whole ledger between two moments, whichever of them is named first."""
    from tallystick.replaying import Replay, position_of

    first, last = sorted((position_of(readings.log, since), position_of(readings.log, until)))
    replay = Replay(readings.log)
    with bar("Replaying") as told:
        replay.advance(first, told)
        changes = replay.changes(last, told)
    tasks: list[Changed] = [(change.before, change.after) for change in changes.tasks.values()]
    flows: list[Changed] = list(replay.changed_flows(changes))
    for changed in (tasks, flows):
        changed.sort(key=lambda pair: pair[1].position, reverse=True)
    data = {
        **_span(first, last),
        **_counted(tasks=tasks[:limit], flows=flows[:limit]),
        "count": len(tasks),
        "flowCount": len(flows),
    }
    shown = len(tasks) <= limit and len(flows) <= limit

    def lines(screen: Screen) -> Iterator[str]:
        told = f"{many(last - first, 'event')} touched {_touched(tasks, 'task')}"
        told += f", and {_touched(flows, 'flow')}" if flows else ""
        yield f"{screen.bold(f'From position {first:,} to {last:,}')}: {told}"
        yield from _lines(screen, [*tasks[:limit], *flows[:limit]])
        if not shown:
            more, most = max(len(tasks) - limit, 0) + max(len(flows) - limit, 0), max(len(tasks), len(flows))
            yield ""
            yield f"and {more:,} more; --limit {most} shows all"

    return Answer(data, lines)


def _touched(changed: Sequence[Changed], noun: str) -> str:
    created = sum(before is None for before, _ in changed)
    return f"{many(len(changed), noun)}, {created:,} of them new"


def _span(first: int, last: int) -> dict[str, Any]:
    return {"from": first, "to": last, "events": last - first}


def _counted(*, tasks: Sequence[Changed] = (), flows: Sequence[Changed] = ()) -> dict[str, Any]:
    return {
        "count": len(tasks),
        "flowCount": len(flows),
        "tasks": changed_data(tasks),
        "flows": changed_data(flows),
    }


def _lines(screen: Screen, changed: Sequence[Changed]) -> Iterator[str]:
    if not changed:
        yield "Nothing changed."
    yield from changed_lines(screen, changed)
