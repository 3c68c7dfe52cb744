"""`tally list`: tasks newest first, as a table."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from msgspec import Struct

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.filters import Filters, filter_options, filters_of, options_of, wanted
from tallystick.cli.screen import Screen
from tallystick.cli.summary import pressure, task_table
from tallystick.cli.times import now_ms
from tallystick.ledger.limits import PAGE_ROWS_DEFAULT
from tallystick.plain import plain
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page

_NO_TASKS = (
    "No tasks yet.",
    "  tally run -- COMMAND…   makes any command a task",
    "  tally demo              tracks real processes before your eyes",
)


@_command(
    "list",
    json="{count, runtime, status, nextCursor, tasks: [record]}",
    help="""Text is looked for in labels, tasks, summaries and errors. T is a moment ("2026-09-21T14:15"), a duration
    until now ("2h") or milliseconds. A cursor belongs to the query that it came from.""",
)
@filter_options
@click.option("--limit", type=int, metavar="N", help=f"At most so many; {PAGE_ROWS_DEFAULT} if nothing is said.")
@click.option("--cursor", metavar="C", help="Go on where a list ended.")
def command(call: Call, **given: Any) -> Answer:
    """List tasks."""
    now = now_ms()
    filters = filters_of(given, now)
    with call.readings(or_none_yet=True) as readings:
        found = _Found(readings.list(**filters), readings.counts(), filters, now)
        tasks = [readings.dated(record, now) for record in found.page.tasks]
    data = present(
        count=len(found.page.tasks),
        runtime=filters.get("runtime"),
        status=filters.get("status"),
        nextCursor=found.page.next_cursor,
        tasks=tasks,
    )
    return Answer(data, lambda screen: _lines(screen, found, call.options()))


class _Found(Struct, frozen=True):
    """A page, and what it is a page of."""

    page: Page
    counts: Counts
    filters: Filters
    now: int


def _lines(screen: Screen, found: _Found, where: Sequence[str]) -> Iterator[str]:
    total, page, filters = found.counts.total, found.page, found.filters
    if not total:
        yield from _NO_TASKS
        return
    noun = "task" if total == 1 else "tasks"
    yield f"{screen.bold(f'{total:,} {noun}')} · {pressure(found.counts)}"
    only = ", ".join(wanted(filters)) if filters else ""
    if only:
        yield screen.dim(f"only {only}")
    if not page.tasks:
        yield "None of them is meant."
        return
    yield ""
    yield from task_table(screen, page.tasks, found.now)
    if page.next_cursor is not None:
        import shlex

        again = options_of({**filters, "cursor": page.next_cursor})
        yield ""
        yield f"more: {plain(shlex.join(['tally', 'list', *where, *again]))}"
