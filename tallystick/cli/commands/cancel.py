"""`tally cancel`: ask for work to be stopped."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, SHAPE, changed, task_named
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.times import duration
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain


@_command(
    "cancel",
    json=SHAPE,
    help=f"""{LOOKUP_HELP}

    Queued work is cancelled at once, running work is stopped. A task that has ended is left as it is: exit code 1 and
    what it is.""",
)
@click.option("--reason", metavar="R", help="Why.")
@click.option("--cascade", is_flag=True, help="Every active task below it, too.")
@click.option("--wait", metavar="D", default="10s", show_default=True, help='How long to wait for its end, as "30s".')
@click.argument("lookup", type=LOOKUP)
def command(call: Call, *, lookup: str, reason: str | None, cascade: bool, wait: str) -> Answer:
    """Cancel a task."""
    wait_ms = duration("wait", wait)
    with task_named(call, lookup, wait_ms=wait_ms) as task:
        record = task.cancel(reason, cascade=cascade, wait_ms=wait_ms)
    return changed(call, record, lambda task_id: _words(record, task_id))


def _words(record: TaskRecord, task_id: str) -> str:
    if record.is_active:
        return f"Cancel requested; {task_id} is still {record.shown_status}."
    if record.status is not Status.CANCELLED:
        return f"{task_id} ended first: {record.shown_status}."
    if record.cancel_confirmed is False:
        return f"Cancelled {task_id}, unconfirmed: nobody said that the work has stopped."
    stopped = f": {plain(record.terminal_summary.splitlines()[0])}" if record.terminal_summary else "."
    return f"Cancelled {task_id}{stopped}"
