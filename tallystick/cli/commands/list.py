"""`tally list`: tasks newest first, as a table."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from msgspec import Struct

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.summary import pressure, task_table
from tallystick.cli.times import moment, now_ms, stamp
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import PAGE_ROWS_DEFAULT
from tallystick.plain import plain
from tallystick.projections.counts import Counts
from tallystick.projections.query import STATUSES_SHOWN, Page

Filters = dict[str, Any]

_NO_TASKS = (
    "No tasks yet.",
    "  tally run -- COMMAND…   makes any command a task",
    "  tally demo              tracks real processes before your eyes",
)
_METADATA = "key=value"


@_command(
    "list",
    json="{count, runtime, status, nextCursor, tasks: [record]}",
    help="""Text is looked for in labels, tasks, summaries and errors. T is a moment ("2026-09-21T14:15"), a duration
    until now ("2h") or milliseconds. A cursor belongs to the query that it came from.""",
)
@click.option("--status", type=OneOf(STATUSES_SHOWN), help="With this status; blocked are successes without a result.")
@click.option("--runtime", type=OneOf(Runtime), help="With this runtime.")
@click.option("--owner", metavar="K", help="Owned by this session.")
@click.option("--metadata", metavar="K=V", multiple=True, help="With this metadata; may be given again.")
@click.option("--text", metavar="T", help="That say this somewhere.")
@click.option("--since", metavar="T", help="Created at this moment or later.")
@click.option("--until", metavar="T", help="Created before this moment.")
@click.option("--limit", type=int, metavar="N", help=f"At most so many; {PAGE_ROWS_DEFAULT} if nothing is said.")
@click.option("--cursor", metavar="C", help="Go on where a list ended.")
def command(call: Call, *, metadata: Sequence[str], **given: Any) -> Answer:
    """List tasks."""
    now = now_ms()
    filters: Filters = present(**given)
    for name in ("since", "until"):
        if name in filters:
            filters[name] = moment(name, filters[name], now)
    if metadata:
        filters["metadata"] = dict(map(_pair, metadata))
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


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InvalidInput("metadata", text, _METADATA)
    return key, value


def _lines(screen: Screen, found: _Found, where: Sequence[str]) -> Iterator[str]:
    total, page, filters = found.counts.total, found.page, found.filters
    if not total:
        yield from _NO_TASKS
        return
    noun = "task" if total == 1 else "tasks"
    yield f"{screen.bold(f'{total:,} {noun}')} · {pressure(found.counts)}"
    wanted = ", ".join(_wanted(filters)) if filters else ""
    if wanted:
        yield screen.dim(f"only {wanted}")
    if not page.tasks:
        yield "None of them is meant."
        return
    yield ""
    yield from task_table(screen, page.tasks, found.now)
    if page.next_cursor is not None:
        import shlex

        again = _options({**filters, "cursor": page.next_cursor})
        yield ""
        yield f"more: {plain(shlex.join(['tally', 'list', *where, *again]))}"


def _wanted(filters: Filters) -> Iterator[str]:
    """What the filters let through, in words."""
    from tallystick.cli.facts import value_words

    for name, value in filters.items():
        if name in ("since", "until"):
            yield f"{'from' if name == 'since' else 'before'} {stamp(value)}"
        elif name not in ("limit", "cursor"):
            yield f"{name} {value_words(name, value)}"


def _options(filters: Filters) -> list[str]:
    """The filters as options, with moments as numbers: a cursor knows the moment, not how long ago it was."""
    options = []
    for name, value in filters.items():
        values = [f"{key}={said}" for key, said in value.items()] if isinstance(value, dict) else [str(value)]
        for each in values:
            options += [f"--{name}", each]
    return options
