"""`tally replay`: one task or flow, or all of them, as they were; and what changed since."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from tallystick.cli.ahead import seen_from, warn_of_what_has_not_come
from tallystick.cli.answer import Answer, present
from tallystick.cli.bar import bar
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP, OneOf
from tallystick.cli.command import command as _command
from tallystick.cli.commands.show import record_lines
from tallystick.cli.filters import NAMES, filter_options, filters_of, options_of, wanted
from tallystick.cli.flow_lines import flow_lines, flow_pressure
from tallystick.cli.flow_lookup import either_id_of
from tallystick.cli.later import Later, erased_later, later_lines
from tallystick.cli.messages import message_lines, message_table
from tallystick.cli.redacted import Redacted, redacted_in, redacted_lines
from tallystick.cli.screen import Screen
from tallystick.cli.since import diff_of_all, diff_of_one
from tallystick.cli.stepping import step_through
from tallystick.cli.summary import many, pressure, task_table
from tallystick.cli.times import moment, now_ms, stamp
from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.folding import Record
from tallystick.ledger.limits import REPLAY_PROCESSES_MAX
from tallystick.ledger.payloads import lacking
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.told import DeliveryRecord, deliveries_of
from tallystick.moments import By, Told, When
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.store.port import EventLog
    from tallystick.past import Past
    from tallystick.readings import Readings

TASKS_SHOWN = 20


class _Asked(Struct, frozen=True):
    """As of when, and what of it."""

    when: When
    filters: dict[str, Any]
    limit: int
    cursor: str | None
    deliveries: bool
    processes: int


@_command(
    "replay",
    json="""{position, at, by, deleted, damaged, counts, flows: {total, active, cancelling, byStatus},
    outbox: {pending, failed, queued, withheld}, count, runtime, status, nextCursor, tasks: [record]}, and with
    --deliveries: deliveries as `deliveries` has them
    with LOOKUP: {position, at, by, task: record, deliveries}, of a flow {position, at, by, flow: record}, redacted as
    `show` has it, and of what was erased since erasedLater: {at, by, reason, fields}
    with --step: {taskId or flowId, steps: [{event, statusBefore, status, changes}]}
    with --diff: {from, to, events, count, flowCount, tasks: [{taskId, statusBefore, status, changes}],
    flows: [{flowId, statusBefore, status, changes}]}, where changes is {field: {before, after}}""",
    help="""Folds the events themselves and reads no read model. With LOOKUP one task or flow and its messages, as in
    "tally timeline", else the whole ledger: counts, and the tasks as "tally list" would have shown them. As of now, of
    a position, or of a moment T (a moment, "2h" ago, or milliseconds).

    A moment is meant as recorded: what the ledger knew. By reported time it is what had happened by then, as far as is
    known now, or was known at a --position. --diff N says what changed between position N and there, --diff-at T since
    a moment. --step goes through the events of LOOKUP one by one; on a terminal Enter goes on, q ends.""",
)
@click.option("--at", metavar="T", help="As of this moment.")
@click.option("--position", type=int, metavar="N", help="As of this position.")
@click.option("--by", type=OneOf(By), help="By which time --at is meant; recorded if nothing is said.")
@click.option("--diff", type=int, metavar="N", help="What changed since this position.")
@click.option("--diff-at", metavar="T", help="What changed since this moment, as recorded.")
@click.option("--step", is_flag=True, help="One event of LOOKUP after the other, and what each changed.")
@filter_options
@click.option("--limit", type=int, metavar="N", default=TASKS_SHOWN, help=f"At most so many tasks; {TASKS_SHOWN}.")
@click.option("--cursor", metavar="C", help="Go on where a list ended.")
@click.option("--deliveries", is_flag=True, help="Also the messages that had not arrived.")
@click.option("--processes", type=int, metavar="N", default=1, help="Fold a large ledger with so many processes; 1.")
@click.argument("lookup", required=False, type=LOOKUP)
def command(call: Call, *, lookup: str | None, step: bool, diff: int | None, diff_at: str | None, **given: Any) -> Any:
    """Show tasks and flows as they were."""
    asked = _asked(given)
    if diff is not None and diff_at is not None:
        raise InvalidInput("diff", diff, "a position or a moment, not both")
    if diff is not None and diff < 0:
        raise InvalidInput("diff", diff, "a whole number from 0")
    diff_ms = None if diff_at is None else moment("diff-at", diff_at, now_ms())
    is_diff = diff is not None or diff_ms is not None
    _check(asked, given, lookup, is_diff=is_diff, step=step)
    since = When(diff, diff_ms)
    with call.readings() as readings:
        warn_of_what_has_not_come(readings.log, since, asked.when)
        if lookup is None:
            if is_diff:
                return diff_of_all(readings, since, asked.when, asked.limit)
            return _all(readings, asked, call.options())
        found, is_flow = either_id_of(readings, lookup)
        if is_diff:
            return diff_of_one(readings, found, since, asked.when)
        if step:
            return step_through(call, readings, found, asked.when)
        return _one(readings, found, asked.when, is_flow=is_flow)


def _asked(given: Mapping[str, Any]) -> _Asked:
    now = now_ms()
    for name in ("position", "limit"):
        if given[name] is not None and given[name] < 0:
            raise InvalidInput(name, given[name], "a whole number from 0")
    fields.whole("processes", given["processes"], least=1, most=REPLAY_PROCESSES_MAX)
    if given["at"] is not None and given["position"] is not None and given["by"] in (None, By.RECORDED):
        raise InvalidInput("at", given["at"], "a moment or a position, not both")
    at = None if given["at"] is None else moment("at", given["at"], now)
    return _Asked(
        when=When.of(given["position"], at, given["by"] or By.RECORDED),
        filters=filters_of({name: given[name] for name in NAMES}, now),
        limit=given["limit"],
        cursor=given["cursor"],
        deliveries=given["deliveries"],
        processes=given["processes"],
    )


def _check(asked: _Asked, given: Mapping[str, Any], lookup: str | None, *, is_diff: bool, step: bool) -> None:
    """Refuse what does not go together, rather than leave some of it out."""
    if step and (lookup is None or is_diff):
        raise InvalidInput("step", lookup or "no LOOKUP", "--step with a LOOKUP, and without --diff")
    if (step or is_diff) and asked.when.by is By.REPORTED:
        raise InvalidInput("by", By.REPORTED.value, "recorded: steps and differences go by what was written when")
    if lookup is None and not is_diff:
        return
    for name in (*asked.filters, "cursor"):
        if given[name] is not None:
            raise InvalidInput(name, given[name], "filters for a list only: without LOOKUP and --diff")


# One task or flow.


def _one(readings: "Readings", found: str, when: When, *, is_flow: bool) -> Answer:
    stream, _ = readings.named(found)
    told = Told(readings.log, when)
    with readings.naming(found, stream):
        record = told.record(stream, is_flow=is_flow, token=found)
        events = told.history(stream, is_flow=is_flow)
        messages = [] if is_flow else deliveries_of(events)
        blank = [(event.position, event.task_id, lacking(event.data)) for event in events]
        later = erased_later(readings.log, stream, blank, is_flow=is_flow)
    data = {**_when(when), "flow" if is_flow else "task": record}
    if not is_flow:
        data["deliveries"] = messages
    redacted = redacted_in(events)
    data |= present(redacted=redacted, erasedLater=later)
    asked_at = seen_from(readings.log, when)
    now = max(event.recorded_at for event in events) if asked_at is None else asked_at

    def lines(screen: Screen) -> Iterator[str]:
        return _record_lines(screen, record, messages, redacted=redacted, later=later, now=now)

    return Answer(data, lines)


def _when(when: When) -> dict[str, Any]:
    by = when.by.value if when.by is By.REPORTED else None
    return present(position=when.position, at=when.at, by=by)


def _record_lines(
    screen: Screen,
    record: Record,
    messages: Sequence[DeliveryRecord],
    *,
    redacted: Sequence[Redacted] | None,
    later: Later | None,
    now: int,
) -> Iterator[str]:
    if isinstance(record, FlowRecord):
        yield from flow_lines(screen, record, now)
        yield from redacted_lines(screen, redacted)
        yield from later_lines(screen, later, now)
        return
    yield from record_lines(screen, msgspec.structs.replace(record, outbox=()), now)  # the messages say more of it
    yield from redacted_lines(screen, redacted)
    yield from later_lines(screen, later, now)
    yield from screen.named("deliveries", f"{len(messages):,}" if messages else "none")
    for message in messages:
        yield from message_lines(screen, message, now)


# All of them.


class _Shown(Struct, frozen=True):
    """What is shown of all of them."""

    past: "Past"
    asked: _Asked
    rate: int
    tasks: Sequence[TaskRecord]
    cursor: str | None
    messages: Sequence[DeliveryRecord] | None
    seen_from: int | None
    deleted: int


def _deleted(log: "EventLog", position: int) -> int:
    """How many events up to a position were deleted with their archive: always the oldest."""
    return min(log.archive.deleted(), position) if isinstance(log, DiskLog) else 0


def _all(readings: "Readings", asked: _Asked, where: Sequence[str]) -> Answer:
    when = asked.when
    with bar("Replaying") as told:
        began = time.perf_counter()
        past = readings.replay(position=when.position, at=when.at, by=when.by, processes=asked.processes, progress=told)
        rate = round(past.position / (time.perf_counter() - began))
    page = past.list(**asked.filters, limit=max(asked.limit, 1), cursor=asked.cursor)
    tasks = page.tasks[: asked.limit]
    found = _Shown(
        past,
        asked,
        rate,
        tasks,
        page.next_cursor if tasks else None,
        past.deliveries() if asked.deliveries else None,
        seen_from(readings.log, when),
        _deleted(readings.log, past.position),
    )
    data = {
        **_when(when),
        **present(position=past.position, deleted=found.deleted or None, damaged=list(past.damaged) or None),
        "counts": msgspec.to_builtins(past.counts),
        "flows": msgspec.to_builtins(past.flow_counts),
        "outbox": msgspec.to_builtins(past.outbox),
        "count": len(tasks),
        **present(
            runtime=asked.filters.get("runtime"),
            status=asked.filters.get("status"),
            nextCursor=found.cursor,
            deliveries=found.messages,
        ),
        "tasks": tasks,
    }
    return Answer(data, lambda screen: _all_lines(screen, found, where))


def _all_lines(screen: Screen, found: _Shown, where: Sequence[str]) -> Iterator[str]:
    past, asked = found.past, found.asked
    counts, flows = past.counts, past.flow_counts
    title = f"{many(counts.total, 'task')} at position {past.position:,}"
    yield f"{screen.bold(title)} · {pressure(counts)}"
    if asked.when.by is By.REPORTED and past.at is not None:
        yield f"what had happened by {stamp(past.at)}, as far as is known at that position"
    if flows.total:
        yield f"flows: {flow_pressure(flows)}"
    yield screen.dim(f"{many(past.position - found.deleted, 'event')} replayed, {found.rate:,} events/s")
    if found.deleted:
        gone = f"{many(found.deleted, 'event')} of before were deleted with their archive"
        yield screen.colour(f'{gone}, and what was only there is not here; "tally archive" says why', "yellow")
    if past.damaged:
        yield screen.colour(f"{many(len(past.damaged), 'record')} cannot be read; tally verify", "red")
    if asked.filters:
        yield screen.dim(f"only {', '.join(wanted(asked.filters))}")
    if found.tasks:
        yield ""
        yield from task_table(screen, found.tasks, _last_moment(found.tasks, found.seen_from))
        if any(not record.task and record.erased is None for record in found.tasks):
            yield screen.dim('"-" stands for what was erased later; "tally replay LOOKUP" says by whom')
    if found.cursor is not None:
        yield ""
        yield f"more: {_again(asked, found.cursor, where)}"
    if found.messages is not None:
        yield ""
        yield (
            f"{many(len(found.messages), 'message')} had not arrived"
            if found.messages
            else "Every message had arrived."
        )
        if found.messages:
            last = max(message.queued_at for message in found.messages)
            yield from message_table(screen, found.messages, last if found.seen_from is None else found.seen_from)


def _again(asked: _Asked, cursor: str, where: Sequence[str]) -> str:
    """The words that show the next page; the same moment, not one so long ago."""
    import shlex

    when = asked.when
    moment_of = present(at=when.at, position=when.position, by=when.by.value if when.by is By.REPORTED else None)
    options = options_of({**moment_of, **asked.filters, "limit": asked.limit, "cursor": cursor})
    return plain(shlex.join(["tally", "replay", *where, *options]))


def _last_moment(tasks: Sequence[TaskRecord], at: int | None) -> int:
    """The moment from which ages count: the one that was asked for, else the last that the tasks know."""
    return max(record.last_event_at for record in tasks) if at is None else at
