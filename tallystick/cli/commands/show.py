"""`tally show`: one task, the whole record."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec.structs import replace

from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.facts import value_words, words
from tallystick.cli.lookup import task_id_of
from tallystick.cli.messages import message_lines
from tallystick.cli.redacted import Redacted, redacted_in, redacted_lines
from tallystick.cli.screen import Screen
from tallystick.cli.summary import erased_words, lasted, text_of
from tallystick.cli.times import now_ms, relative, stamp, took
from tallystick.ledger.events import Event
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.plain import plain_lines

if TYPE_CHECKING:  # loaded when somebody asks for it
    from tallystick.projections.tree import Tree

# The order in which people ask; what is not named here follows in the record's own.
_FIRST = (
    "erased",
    "label",
    "task",
    "runtime",
    "taskKind",
    "ownerKey",
    "error",
    "terminalSummary",
    "terminalOutcome",
    "artifacts",
    "progressSummary",
    "progressPhase",
    "progressStep",
    "progressSteps",
    "createdAt",
    "startedAt",
    "endedAt",
)
_NAMES: Mapping[str, str] = {
    "taskKind": "kind",
    "ownerKey": "owner",
    "parentTaskId": "parent",
    "rootTaskId": "root",
    "requesterSessionKey": "requester",
    "childSessionKey": "child session",
    "terminalSummary": "result",
    "terminalOutcome": "outcome",
    "deliveryStatus": "delivery",
    "notifyPolicy": "notify",
    "progressSummary": "progress",
    "lastEventAt": "last event",
    "endedAtPosition": "end position",
    "scopeKind": "scope",
    "toolUseCount": "tool uses",
    "lastToolName": "last tool",
    "lateSignals": "late signals",
    "lateSignalCount": "late count",
    "backingMissedAt": "missing since",
    "cancelRequestedAt": "cancel asked",
    "cleanupAfter": "cleanup after",
}
_WARNINGS = frozenset({"error", "lateSignalCount", "lateSignals", "backingMissedAt", "cancelRequestedAt"})
_HEADLINE = frozenset({"taskId", "status"})


@_command(
    "show",
    json="""the record, deliveries as `deliveries` has them, and of which fields a hook took secrets out
    redacted: [{position, type, fields}]; with --tree also
    tree: {record, totals: {tasks, active, byStatus, usage, depth}, children: [{record, totals, children, folded}],
    rootTaskId, truncated}""",
    help="""LOOKUP is a task id, a run id or a session key (the newest task of it), or 6 or more characters from the
    begin or the end of a recent task's id.

    A tree has the tasks of which this one is the parent, theirs, and so on: the first line says what all of them come
    to, and each task's own line what it used itself.""",
)
@click.argument("lookup", type=LOOKUP)
@click.option("--tree", "with_tree", is_flag=True, help="All tasks below it, too, and what the whole of it used.")
def command(call: Call, *, lookup: str, with_tree: bool) -> Answer:
    """Show a task."""
    with call.readings(or_none_yet=True) as readings:
        record = readings.get(task_id_of(readings, lookup))
        tree = readings.tree(record.task_id) if with_tree else None
        record = readings.dated(record if tree is None else tree.record, now_ms())  # as of the same moment
        events = [event for event in readings.log.stream(record.stream) if isinstance(event, Event)]
    deliveries, redacted = deliveries_of(events), redacted_in(events)
    data = {**msgspec.to_builtins(record), "deliveries": deliveries, **present(redacted=redacted, tree=tree)}
    return Answer(data, lambda screen: _lines(screen, record, deliveries, redacted=redacted, tree=tree, now=now_ms()))


def _lines(
    screen: Screen,
    record: TaskRecord,
    deliveries: Sequence[DeliveryRecord],
    *,
    redacted: Sequence[Redacted] | None,
    tree: "Tree | None",
    now: int,
) -> Iterator[str]:
    yield from record_lines(screen, replace(record, outbox=()), now)  # the deliveries say more of it
    yield from redacted_lines(screen, redacted)
    yield from screen.named("deliveries", f"{len(deliveries):,}" if deliveries else "none")
    for delivery in deliveries:
        yield from message_lines(screen, delivery, now)
    if tree is not None:
        from tallystick.cli.branches import tree_lines

        yield from tree_lines(screen, tree, now)
    yield screen.dim(f"tally timeline {record.task_id}")


def record_lines(screen: Screen, record: TaskRecord, now: int) -> Iterator[str]:
    """Yield all that a record says, for people, as of a moment."""
    data: dict[str, Any] = msgspec.to_builtins(record)
    yield f"{screen.bold(f'Task {record.task_id}')}  {screen.status(record.shown_status)}{_span(record, now)}"
    order = [*(name for name in _FIRST if name in data), *(name for name in data if name not in _FIRST)]
    for name in order:
        if name in _HEADLINE:
            continue
        colour = "red" if name in _WARNINGS else None
        lines = list(_value_lines(name, data[name], record, now))
        for place, line in enumerate(lines):
            yield from screen.named(_NAMES.get(name, words(name)) if place == 0 else "", line, colour=colour)


def _span(record: TaskRecord, now: int) -> str:
    span = lasted(record, now)
    if span is None:
        return ""
    return f" for {took(span)}" if record.is_active else f" after {took(span)}"


def _value_lines(name: str, value: Any, record: TaskRecord, now: int) -> Iterator[str]:
    if name == "erased" and record.erased is not None:
        yield erased_words(record.erased, now)
    elif name == "task" and not value:
        yield text_of(record.task, record.erased)
    elif (name.endswith("At") or name == "cleanupAfter") and isinstance(value, int):
        yield f"{stamp(value)} ({relative(value, now)})"
    elif isinstance(value, str):
        yield from plain_lines(value) if value else ()  # what was erased later is blank in what was before
    elif name == "lateSignals":
        yield f"at position {', '.join(str(position) for _, position in record.late_signals)}"
    elif isinstance(value, Mapping):
        for key, said in value.items():
            yield f"{value_words('', key)} = {value_words('', said)}"
    elif isinstance(value, list | tuple):
        for said in value:
            yield value_words("", said)
    else:
        yield value_words(name, value)
