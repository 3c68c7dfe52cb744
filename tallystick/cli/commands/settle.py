"""`tally settle`: end an active task or flow by hand."""

from collections.abc import Iterator

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, SHAPE, changed, impatient
from tallystick.cli.command import LOOKUP, OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.commands.flow_show import shown_data
from tallystick.cli.flow_lookup import task_or_flow_id_of
from tallystick.cli.screen import Screen
from tallystick.cli.summary import first_line, text_of
from tallystick.flow_readings import FlowReadings
from tallystick.ledger.lifecycle import SETTLED_AS


@_command(
    "settle",
    json=f"{SHAPE}; of a flow, as `flow show` has it",
    help=f"""{LOOKUP_HELP}

    Says how it ended, whatever its runtime says; it stops nothing. A task that has ended is left as it is. A flow is
    named by its id or a part of it, and must be a managed one: its tasks go on.""",
)
@click.option("--as", "status", required=True, type=OneOf(sorted(SETTLED_AS)), help="How it ended.")
@click.option("--reason", required=True, metavar="R", help="Why you know.")
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str, status: str, reason: str) -> Answer:
    """Settle a task or a flow."""
    settings = call.settings  # before anything else: what cannot be must not wait for a task that is found
    with call.readings(or_none_yet=True) as readings:
        found, is_flow = task_or_flow_id_of(readings, lookup)

    from tallystick.joining import join

    with impatient(call.folder), join(call.folder, config=settings) as ledger:
        if is_flow:
            ledger.flows.settle(found, status, reason)
        else:
            record = ledger.get(found).settle(status, reason)
    if is_flow:
        return _of_flow(call, found)
    return changed(call, record, lambda task_id: f"Settled {task_id} as {record.shown_status}.")


def _of_flow(call: Call, flow_id: str) -> Answer:
    with call.readings() as readings:
        shown = FlowReadings(readings.reader).shown(flow_id)

    def lines(screen: Screen) -> Iterator[str]:
        active = shown.summary.active
        tasks = "" if not active else f" {active:,} of its tasks {'is' if active == 1 else 'are'} at work still."
        yield f"Settled {flow_id} as {shown.flow.status.value}.{tasks}"
        yield screen.dim(text_of(first_line(shown.flow.goal), shown.flow.erased))

    return Answer(shown_data(shown), lines)
