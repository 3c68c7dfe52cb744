"""`tally flow list`: flows newest first, as a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.commands.flow_show import shown_data
from tallystick.cli.flow_lines import flow_pressure, flow_table
from tallystick.cli.menu import FLOW
from tallystick.cli.screen import Screen
from tallystick.cli.times import now_ms
from tallystick.flow_readings import FlowReadings, FlowShownPage
from tallystick.ledger.lifecycle import FlowMode, FlowStatus
from tallystick.ledger.limits import PAGE_ROWS_DEFAULT
from tallystick.plain import plain

_NO_FLOWS = (
    "No flows yet.",
    "  ledger.flows.create(…)  begins one that a program drives",
    "  a session's acp or subagent task has one by itself, which mirrors it",
)


@_command(
    "list",
    menu=FLOW,
    json="{count, status, nextCursor, flows: [flow]}, each flow as `flow show` has it",
    help="""The first line counts the managed flows, those that a controller drives; of those that mirror a task the
    task is counted. A cursor belongs to the query that it came from.""",
)
@click.option("--status", type=OneOf(FlowStatus), help="With this status.")
@click.option("--owner", metavar="K", help="Owned by this session.")
@click.option("--controller", metavar="K", help="Driven by this controller.")
@click.option("--mode", type=OneOf(FlowMode), help="Driven by a controller, or mirroring a task.")
@click.option("--limit", type=int, metavar="N", help=f"At most so many; {PAGE_ROWS_DEFAULT} if nothing is said.")
@click.option("--cursor", metavar="C", help="Go on where a list ended.")
def command(call: Call, **given: Any) -> Answer:
    """List flows."""
    filters = present(**given)
    with call.readings(or_none_yet=True) as readings:
        page = FlowReadings(readings.reader).shown_page(**filters)
    data = present(
        count=len(page.flows),
        status=filters.get("status"),
        nextCursor=page.next_cursor,
        flows=[shown_data(shown) for shown in page.flows],
    )
    return Answer(data, lambda screen: _lines(screen, page, filters, call.options(), now_ms()))


def _lines(
    screen: Screen, page: FlowShownPage, filters: Mapping[str, Any], where: Sequence[str], now: int
) -> Iterator[str]:
    wanted = [f"{name} {plain(str(value))}" for name, value in filters.items() if name not in ("limit", "cursor")]
    if not page.flows and not page.counts.total and not wanted:
        yield from _NO_FLOWS
        return
    yield f"{screen.bold('flows')}: {flow_pressure(page.counts)}"
    if wanted:
        yield screen.dim(f"only {', '.join(wanted)}")
    if not page.flows:
        yield "None is meant."
        return
    yield ""
    yield from flow_table(screen, page.flows, now)
    if page.next_cursor is not None:
        import shlex

        options = {**filters, "cursor": page.next_cursor}
        again = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        yield ""
        yield f"more: {plain(shlex.join(['tally', 'flow', 'list', *where, *again]))}"
