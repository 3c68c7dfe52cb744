"""`tally replay`: one task or flow, or all of them, as they were; and what changed since."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tallystick.cli.answer import Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.commands.show import record_lines
from tallystick.cli.difference import Changed, changed_data, changed_lines
from tallystick.cli.flow_lines import flow_lines, flow_pressure
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.screen import Screen
from tallystick.cli.summary import pressure, task_table
from tallystick.cli.times import moment, now_ms
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.record import TaskRecord
from tallystick.projections.flow_list import counts_of_flows

if TYPE_CHECKING:
    from tallystick.readings import Readings

TASKS_SHOWN = 20


@_command(
    "replay",
    json="""{position, at, eventsPerSecond, damaged, counts, flows: {total, active, cancelling, byStatus}, count,
    tasks: [record]}
    with LOOKUP: {position, at, task: record}, of a flow {position, at, flow: record}
    with --diff: {from, to, events, count, flowCount, tasks: [{taskId, statusBefore, status, changes}],
    flows: [{flowId, statusBefore, status, changes}]}, where changes is {field: {before, after}}""",
    help="""Folds the events themselves and reads no read model. With LOOKUP one task or flow, as in "tally timeline",
    else the whole ledger: counts and the newest tasks. As of now, of a position, or of a moment T (a moment, "2h" ago,
    or milliseconds, as recorded). --diff N says what changed between position N and there.""",
)
@click.option("--at", metavar="T", help="As of this moment.")
@click.option("--position", type=int, metavar="N", help="As of this position.")
@click.option("--diff", type=int, metavar="N", help="What changed since this position.")
@click.option("--limit", type=int, metavar="N", default=TASKS_SHOWN, help=f"At most so many tasks; {TASKS_SHOWN}.")
@click.argument("lookup", required=False, type=LOOKUP)
def command(
    call: Call, *, at: str | None, position: int | None, diff: int | None, limit: int, lookup: str | None
) -> Answer:
    """Show tasks and flows as they were."""
    if at is not None and position is not None:
        raise InvalidInput("at", at, "a moment or a position, not both")
    for name, value in (("position", position), ("diff", diff), ("limit", limit)):
        if value is not None and value < 0:
            raise InvalidInput(name, value, "a whole number from 0")
    at_ms = None if at is None else moment("at", at, now_ms())
    with call.readings() as readings:
        if lookup is not None:
            return _one(readings, lookup, at_ms, position, diff)
        end = _end(readings, at_ms, position)
        return _all(readings, end, at_ms, limit) if diff is None else _diff(readings, diff, end, limit)


def _end(readings: "Readings", at: int | None, position: int | None) -> int:
    """The position of which the state is asked."""
    from tallystick.replaying import position_at

    head = readings.log.head()
    if at is not None:
        return position_at(readings.log, at)
    return head if position is None else min(position, head)


# One task or flow.


def _one(readings: "Readings", lookup: str, at: int | None, position: int | None, diff: int | None) -> Answer:
    found, is_flow = either_id_of(readings, lookup)
    record = readings.state_at(found, position=position, at=at)
    if diff is None:
        data = {**present(position=position, at=at), "flow" if is_flow else "task": record}
        return Answer(data, lambda screen: _record_lines(screen, record, at))
    try:
        before: Record | None = readings.state_at(found, position=diff)
    except NotFound:
        before = None
    if before is not None and before.position > record.position:
        before, record = record, before
    changed: list[Changed] = [] if before == record else [(before, record)]
    data = _diff_data(min(diff, record.position), record.position)
    data |= _counted(flows=changed) if is_flow else _counted(tasks=changed)
    return Answer(data, lambda screen: _diff_lines(screen, changed))


def _record_lines(screen: Screen, record: Record, at: int | None) -> Iterator[str]:
    if isinstance(record, FlowRecord):
        return flow_lines(screen, record, at or record.updated_at)
    return record_lines(screen, record, at or record.last_event_at)


# All of them.


def _all(readings: "Readings", end: int, at: int | None, limit: int) -> Answer:
    from tallystick.replaying import Replay

    replay = Replay(readings.log)
    with bar("Replaying") as told:
        began = time.perf_counter()
        replay.advance(end, told)
        rate = round(end / (time.perf_counter() - began))
    counts, tasks, flows = replay.counts(), replay.newest(limit), counts_of_flows(replay.flows.values())
    data = {
        **present(position=end, at=at, eventsPerSecond=rate, damaged=replay.damaged or None),
        "counts": msgspec.to_builtins(counts),
        "flows": msgspec.to_builtins(flows),
        "count": len(tasks),
        "tasks": tasks,
    }

    def lines(screen: Screen) -> Iterator[str]:
        yield f"{screen.bold(f'{counts.total:,} tasks at position {end:,}')} · {pressure(counts)}"
        if flows.total:
            yield f"flows: {flow_pressure(flows)}"
        yield screen.dim(f"{end:,} events replayed, {rate:,} events/s")
        if replay.damaged:
            yield screen.colour(f"{len(replay.damaged):,} records cannot be read; tally verify", "red")
        if tasks:
            yield ""
            yield from task_table(screen, tasks, _last_moment(tasks, at))

    return Answer(data, lines)


def _last_moment(tasks: Sequence[TaskRecord], at: int | None) -> int:
    """The moment from which ages count: the one that was asked for, else the last that the tasks know."""
    return max(record.last_event_at for record in tasks) if at is None else at


def _diff(readings: "Readings", one: int, other: int, limit: int) -> Answer:
    from tallystick.replaying import Replay

    head = readings.log.head()
    first, last = sorted((min(one, head), other))
    replay = Replay(readings.log)
    with bar("Replaying") as told:
        replay.advance(first, told)
        changes = replay.changes(last, told)
    tasks: list[Changed] = [(change.before, change.after) for change in changes.tasks.values()]
    flows: list[Changed] = list(replay.changed_flows(changes))
    for changed in (tasks, flows):
        changed.sort(key=lambda pair: pair[1].position, reverse=True)
    data = {
        **_diff_data(first, last),
        **_counted(tasks=tasks[:limit], flows=flows[:limit]),
        "count": len(tasks),
        "flowCount": len(flows),
    }
    shown = len(tasks) <= limit and len(flows) <= limit

    def lines(screen: Screen) -> Iterator[str]:
        told = f"{last - first:,} events touched {_touched(tasks, 'tasks')}"
        told += f", and {_touched(flows, 'flows')}" if flows else ""
        yield f"{screen.bold(f'From position {first:,} to {last:,}')}: {told}"
        yield from _diff_lines(screen, [*tasks[:limit], *flows[:limit]])
        if not shown:
            more, most = max(len(tasks) - limit, 0) + max(len(flows) - limit, 0), max(len(tasks), len(flows))
            yield ""
            yield f"and {more:,} more; --limit {most} shows all"

    return Answer(data, lines)


def _touched(changed: Sequence[Changed], noun: str) -> str:
    created = sum(before is None for before, _ in changed)
    return f"{len(changed):,} {noun}, {created:,} of them new"


def _diff_data(first: int, last: int) -> dict[str, Any]:
    return {"from": first, "to": last, "events": last - first}


def _counted(*, tasks: Sequence[Changed] = (), flows: Sequence[Changed] = ()) -> dict[str, Any]:
    return {
        "count": len(tasks),
        "flowCount": len(flows),
        "tasks": changed_data(tasks),
        "flows": changed_data(flows),
    }


def _diff_lines(screen: Screen, changed: Sequence[Changed]) -> Iterator[str]:
    if not changed:
        yield "Nothing changed."
    yield from changed_lines(screen, changed)
