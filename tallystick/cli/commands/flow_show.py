"""`tally flow show`: one flow, the whole record, and its tasks."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec.structs import replace

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import FLOW_LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.flow_lines import flow_lines
from tallystick.cli.flow_lookup import flow_id_of
from tallystick.cli.menu import FLOW
from tallystick.cli.screen import Screen
from tallystick.cli.summary import task_table
from tallystick.cli.times import now_ms
from tallystick.flow_readings import FlowReadings, FlowShown
from tallystick.ledger.ids import id_bytes

if TYPE_CHECKING:
    from tallystick.cli.redacted import Redacted

LOOKUP_HELP = """LOOKUP is a flow id, or a session that has exactly one flow which has not ended; or 6 or more
    characters from the begin or the end of a recent flow's id. When it may mean several, the candidates are listed and
    nothing is done."""


@_command(
    "show",
    menu=FLOW,
    json="""{flowId, syncMode, ownerKey, controllerId, revision, status, goal, currentStep, blockedTaskId,
    blockedSummary, stateJson, waitJson, cancelRequestedAt, cancelReason, createdAt, updatedAt, endedAt, summary, error,
    claims: [{step, actor, at, claimant}], followedTaskId, idempotencyKey, position, tasks: [record],
    taskSummary: {total, active, terminal, failures, issues, blocked, byStatus, byRuntime},
    redacted: [{position, type, fields}] as `show` has it}""",
    help=f"""{LOOKUP_HELP}

    A flow that mirrors a task is what its newest task tells; its revision is the position of the newest event.""",
)
@click.argument("lookup", type=FLOW_LOOKUP)
def command(call: Call, *, lookup: str) -> Answer:
    """Show a flow."""
    with call.readings(or_none_yet=True) as readings:
        shown = FlowReadings(readings.reader).shown(flow_id_of(readings, lookup))
        shown = replace(shown, tasks=[readings.dated(task, now_ms()) for task in shown.tasks])
        from tallystick.cli.redacted import redacted_in  # not for who lists flows
        from tallystick.projections import flow_history

        redacted = redacted_in(flow_history.timeline(readings.log, id_bytes(shown.flow.flow_id)))
    data = {**shown_data(shown), **present(redacted=redacted)}
    return Answer(data, lambda screen: _lines(screen, shown, redacted, now_ms()))


def shown_data(shown: FlowShown) -> dict[str, Any]:
    """Return a flow and its tasks as data."""
    return {
        **msgspec.to_builtins(shown.flow),
        "tasks": shown.tasks,
        "taskSummary": msgspec.to_builtins(shown.summary),
    }


def _lines(screen: Screen, shown: FlowShown, redacted: "Sequence[Redacted] | None", now: int) -> Iterator[str]:
    from tallystick.cli.redacted import redacted_lines

    yield from flow_lines(screen, shown.flow, now)
    yield from redacted_lines(screen, redacted)
    summary = shown.summary
    issues = f"{summary.issues:,} issue{'' if summary.issues == 1 else 's'}"
    told = f"{summary.total:,} total · {summary.active:,} active · {issues}" if summary.total else "none"
    yield from screen.named("tasks", told)
    if shown.tasks:
        yield ""
        yield from task_table(screen, shown.tasks, now)
        yield ""
    yield screen.dim(f"tally timeline {shown.flow.flow_id}")
