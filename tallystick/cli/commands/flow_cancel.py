"""`tally flow cancel`: stop a flow and all its tasks."""

from collections.abc import Iterator

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import FLOW_LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.commands.flow_show import LOOKUP_HELP, shown_data
from tallystick.cli.flow_lookup import flow_id_of
from tallystick.cli.menu import FLOW
from tallystick.cli.screen import Screen
from tallystick.cli.summary import first_line, text_of
from tallystick.cli.times import duration
from tallystick.flow_readings import FlowReadings, FlowShown
from tallystick.ledger.lifecycle import FlowStatus


@_command(
    "cancel",
    menu=FLOW,
    json="the flow, as `flow show` has it",
    help=f"""{LOOKUP_HELP}

    No task joins it any more, and those at work are cancelled, with all below them. The flow ends as cancelled when the
    last of them has ended, also after a restart. A flow that has ended otherwise is left as it is: exit code 1
    and what it is. It goes to the live owner of the ledger; without one this command acts itself.""",
)
@click.option("--reason", metavar="R", help="Why.")
@click.option("--wait", metavar="D", default="10s", show_default=True, help='How long to wait for its end, as "30s".')
@click.argument("lookup", type=FLOW_LOOKUP)
def command(call: Call, *, lookup: str, reason: str | None, wait: str) -> Answer:
    """Cancel a flow."""
    wait_ms = duration("wait", wait)
    settings = call.settings  # before anything else: what cannot be must not wait for a flow that is found
    with call.readings(or_none_yet=True) as readings:
        flow_id = flow_id_of(readings, lookup)

    from tallystick.joining import join

    with impatient(call.folder, wait_ms), join(call.folder, config=settings) as ledger:
        ledger.flows.get(flow_id).cancel(reason, wait_ms=wait_ms)
    with call.readings() as readings:
        shown = FlowReadings(readings.reader).shown(flow_id)
    return Answer(shown_data(shown), lambda screen: _lines(screen, shown))


def _lines(screen: Screen, shown: FlowShown) -> Iterator[str]:
    flow, active = shown.flow, shown.summary.active
    if flow.is_active:
        at_work = f"{active:,} task{' is' if active == 1 else 's are'} at work"
        yield f"Cancel requested; {flow.flow_id} is still {flow.status.value}: {at_work}."
    elif flow.status is FlowStatus.CANCELLED:
        yield f"Cancelled {flow.flow_id}: none of its {shown.summary.total:,} tasks is at work any more."
    else:
        yield f"{flow.flow_id} ended first: {flow.status.value}."
    yield screen.dim(text_of(first_line(flow.goal), flow.erased))
