"""`tally maintenance`: what upkeep would do, what it did, or why something is kept."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.times import now_ms, relative, stamp
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.upkeep.finding import Summary
from tallystick.ledger.upkeep.spans import span
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.explaining import Explanation
    from tallystick.maintenance import Maintenance, Taken

_COLOURS: Mapping[str, str] = {"done": "green", "failed": "red", "skipped": "yellow", "left": "yellow"}
_SHOWN = 50  # steps of one kind that people see; programs get all


@_command(
    "maintenance",
    json="""{mode, tasks: {reconciled, recovered, cleanupStamped, pruned}, flows: {reconciled, pruned},
    actions: [{kind, token, action, reason, outcome, codes, detail}], auditBefore: {total, warnings, errors, byCode},
    auditAfter, kept: [{kind, token, rule, reason, until}], isCut}
    explain: {kind, token, status, rule, reason, policy: {name, keptMs}, isOver, until, cleanupAfter}""",
    help="""Without --apply a preview: what it would do, and which findings would be left. With it, exactly that; what
    has gone on since it was looked at is left alone, and that is said. It goes to the live owner of the ledger; without
    one this command acts itself. What only whoever judges can do, a gateway with its probes, is left to that.

    The owner does by itself what follows from evidence and from the configuration; the rest waits for --apply.

    --explain says why a task or a flow is kept, or not: by which rule, until when, and which policy counts. LOOKUP is
    as in "tally show", or names a flow.""",
)
@click.option("--apply", is_flag=True, help="Do it.")
@click.option("--explain", type=LOOKUP, metavar="LOOKUP", help="Say why this is kept, and until when.")
def command(call: Call, *, apply: bool, explain: str | None) -> Answer:
    """Keep a ledger up."""
    if explain is not None:
        if apply:
            raise InvalidInput("explain", explain, "no --apply beside it: to explain changes nothing")
        return _explained(call, explain)
    report = _applied(call) if apply else _preview(call)
    data = msgspec.to_builtins(report)
    data["kept"] = [
        {"kind": each["kind"], "token": each["token"], **_present(each["why"])} for each in data.pop("kept")
    ]
    return Answer(data, lambda screen: _lines(screen, report))


def _present(why: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in why.items() if value is not None}


def _preview(call: Call) -> "Maintenance":
    from tallystick.config import load
    from tallystick.maintenance import preview
    from tallystick.owner import live_owner

    settings = load(call.folder, call.config, channels=False)
    with call.readings(or_none_yet=True) as readings:
        is_owned = live_owner(call.folder) is not None  # then it archives by itself
        after_ms = None if is_owned else settings.archive["after"]
        return preview(readings, now_ms(), archive_after_ms=after_ms)


def _applied(call: Call) -> "Maintenance":
    from tallystick.joining import join

    folder, settings = call.require(), call.settings
    with impatient(folder), join(folder, config=settings) as ledger:
        return ledger.maintenance(apply=True)


def _lines(screen: Screen, report: "Maintenance") -> Iterator[str]:
    from tallystick.maintenance import APPLY

    is_applied = report.mode == APPLY
    tasks, flows = report.tasks, report.flows
    yield screen.bold("What was done" if is_applied else "What --apply would do")
    yield from screen.named("tasks", _told(tasks.reconciled, tasks.recovered, tasks.cleanup_stamped, tasks.pruned))
    yield from screen.named("flows", f"{flows.reconciled:,} reconciled · {flows.pruned:,} pruned")
    yield from screen.named("audit", f"{_found(report.audit_before)} before, {_found(report.audit_after)} after")
    shown: Counter[str] = Counter()
    for step in report.actions:
        shown[step.action] += 1
        if shown[step.action] <= _SHOWN:
            yield from _step_lines(screen, step, is_applied=is_applied)
    hidden = sum(count - _SHOWN for count in shown.values() if count > _SHOWN)
    if hidden:
        yield screen.dim(f"… and {hidden:,} more; --json has all of them")
    if report.kept:
        yield ""
        yield screen.bold("Kept, though its retention is over")
        for kept in report.kept[:_SHOWN]:
            yield from screen.named(kept.kind.value, f"{plain(kept.token)}: {plain(kept.why.reason)}")
    if report.is_cut:
        yield screen.dim("There is more: run it again.")


def _told(reconciled: int, recovered: int, stamped: int, pruned: int) -> str:
    return f"{reconciled:,} reconciled · {recovered:,} recovered · {stamped:,} stamped · {pruned:,} pruned"


def _found(summary: Summary) -> str:
    return f"{summary.total:,} {'finding' if summary.total == 1 else 'findings'}"


def _step_lines(screen: Screen, step: "Taken", *, is_applied: bool) -> Iterator[str]:
    outcome = screen.colour(step.outcome.value, _COLOURS[step.outcome]) if is_applied else ""
    yield f"{step.action.value}  {step.kind.value} {plain(step.token)}  {outcome}".rstrip()
    yield f"      {plain(step.reason)}"
    if step.detail is not None:
        yield f"      {step.outcome.value}: {plain(step.detail)}"


def _explained(call: Call, lookup: str) -> Answer:
    from tallystick.cli.flow_lookup import either_id_of
    from tallystick.explaining import explain

    with call.readings(or_none_yet=True) as readings:
        token, _is_of_flow = either_id_of(readings, lookup)
        why = explain(readings, now_ms(), token)
    return Answer(msgspec.to_builtins(why), lambda screen: _why_lines(screen, why, now_ms()))


def _why_lines(screen: Screen, why: "Explanation", now: int) -> Iterator[str]:
    verdict = "is not kept any more" if why.is_over else "is kept"
    yield screen.bold(f"{why.kind.value.capitalize()} {why.token} {verdict}")
    yield from screen.named("status", why.status)
    yield from screen.named("rule", f"{why.rule.value}: {plain(why.reason)}")
    for name, at in (("until", why.until), ("cleanup after", why.cleanup_after)):
        if at is not None:
            yield from screen.named(name, f"{stamp(at)} ({relative(at, now)})")
    kept = "for ever" if why.policy.kept_ms is None else f"for {span(why.policy.kept_ms)} after its end"
    yield from screen.named("policy", f"{why.policy.name}: {kept}")
