"""`tally replay`: one task, or all of them, as they were; and what changed since."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tallystick.cli.answer import Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.cells import cut
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.commands.show import record_lines
from tallystick.cli.facts import value_words, words
from tallystick.cli.lookup import task_id_of
from tallystick.cli.screen import Screen
from tallystick.cli.summary import pressure, task_table
from tallystick.cli.times import moment, now_ms
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.readings import Readings

TASKS_SHOWN = 20
_NUMBERS = frozenset({"version", "position"})  # they change with every event and say nothing by themselves


@_command(
    "replay",
    json="""{position, at, eventsPerSecond, damaged, counts, count, tasks: [record]}
    with LOOKUP: {position, at, task: record}
    with --diff: {from, to, events, count, tasks: [{taskId, statusBefore, status, changes}]},
    where changes is {field: {before, after}}""",
    help="""Folds the events themselves and reads no read model. With LOOKUP one task, else the whole ledger: counts
    and the newest tasks. As of now, of a position, or of a moment T (a moment, "2h" ago, or milliseconds, as recorded).
    --diff N says what changed between position N and there.""",
)
@click.option("--at", metavar="T", help="As of this moment.")
@click.option("--position", type=int, metavar="N", help="As of this position.")
@click.option("--diff", type=int, metavar="N", help="What changed since this position.")
@click.option("--limit", type=int, metavar="N", default=TASKS_SHOWN, help=f"At most so many tasks; {TASKS_SHOWN}.")
@click.argument("lookup", required=False, type=LOOKUP)
def command(
    call: Call, *, at: str | None, position: int | None, diff: int | None, limit: int, lookup: str | None
) -> Answer:
    """Show tasks as they were."""
    if at is not None and position is not None:
        raise InvalidInput("at", at, "a moment or a position, not both")
    for name, value in (("position", position), ("diff", diff), ("limit", limit)):
        if value is not None and value < 0:
            raise InvalidInput(name, value, "a whole number from 0")
    at_ms = None if at is None else moment("at", at, now_ms())
    with call.readings() as readings:
        if lookup is not None:
            return _one(readings, task_id_of(readings, lookup), at_ms, position, diff)
        end = _end(readings, at_ms, position)
        return _all(readings, end, at_ms, limit) if diff is None else _diff(readings, diff, end, limit)


def _end(readings: "Readings", at: int | None, position: int | None) -> int:
    """The position of which the state is asked."""
    from tallystick.replaying import position_at

    head = readings.log.head()
    if at is not None:
        return position_at(readings.log, at)
    return head if position is None else min(position, head)


# One task.


def _one(readings: "Readings", task_id: str, at: int | None, position: int | None, diff: int | None) -> Answer:
    record = readings.state_at(task_id, position=position, at=at)
    if diff is None:
        data = {**present(position=position, at=at), "task": record}
        return Answer(data, lambda screen: record_lines(screen, record, at or record.last_event_at))
    try:
        before: TaskRecord | None = readings.state_at(task_id, position=diff)
    except NotFound:
        before = None
    if before is not None and before.position > record.position:
        before, record = record, before
    changed = [] if before == record else [(before, record)]
    data = _diff_data(min(diff, record.position), record.position, changed)
    return Answer(data, lambda screen: _diff_lines(screen, changed, len(changed), len(changed)))


# All tasks.


def _all(readings: "Readings", end: int, at: int | None, limit: int) -> Answer:
    from tallystick.replaying import Replay

    replay = Replay(readings.log)
    with bar("Replaying") as told:
        began = time.perf_counter()
        replay.advance(end, told)
        rate = round(end / (time.perf_counter() - began))
    counts, tasks = replay.counts(), replay.newest(limit)
    data = {
        **present(position=end, at=at, eventsPerSecond=rate, damaged=replay.damaged or None),
        "counts": msgspec.to_builtins(counts),
        "count": len(tasks),
        "tasks": tasks,
    }

    def lines(screen: Screen) -> Iterator[str]:
        yield f"{screen.bold(f'{counts.total:,} tasks at position {end:,}')} · {pressure(counts)}"
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
    changed = [(change.before, change.after) for change in changes.values()]
    changed.sort(key=lambda pair: pair[1].position, reverse=True)
    data = {**_diff_data(first, last, changed[:limit]), "count": len(changed)}
    created = sum(before is None for before, _ in changed)

    def lines(screen: Screen) -> Iterator[str]:
        told = f"{last - first:,} events touched {len(changed):,} tasks, {created:,} of them new"
        yield f"{screen.bold(f'From position {first:,} to {last:,}')}: {told}"
        yield from _diff_lines(screen, changed[:limit], limit, len(changed))

    return Answer(data, lines)


def _diff_data(first: int, last: int, changed: Sequence[tuple[TaskRecord | None, TaskRecord]]) -> dict[str, Any]:
    return {
        "from": first,
        "to": last,
        "events": last - first,
        "count": len(changed),
        "tasks": [
            {
                **present(taskId=after.task_id, statusBefore=before.status if before else None, status=after.status),
                "changes": {name: present(before=old, after=new) for name, old, new in _changes(before, after)},
            }
            for before, after in changed
        ],
    }


def _changes(before: TaskRecord | None, after: TaskRecord) -> Iterator[tuple[str, Any, Any]]:
    """The fields that differ, with the names and values that JSON has."""
    old = {} if before is None else msgspec.to_builtins(before)
    new = msgspec.to_builtins(after)
    for name in {**new, **old}:
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _diff_lines(
    screen: Screen, changed: Sequence[tuple[TaskRecord | None, TaskRecord]], shown: int, count: int
) -> Iterator[str]:
    if not changed:
        yield "Nothing changed."
    for before, after in changed:
        was = "new" if before is None else before.shown_status
        yield ""
        yield f"{after.task_id}  {was} → {screen.status(after.shown_status)}  {plain(after.label or after.task)}"
        for name, old, new in _changes(before, after):
            if before is not None and name not in _NUMBERS:
                gone = "nothing" if old is None else value_words(name, old)
                come = "nothing" if new is None else value_words(name, new)
                yield cut(f"    {words(name)}: {gone} → {come}", screen.columns)
    if count > shown:
        yield ""
        yield f"and {count - shown:,} more; --limit {count} shows all"
