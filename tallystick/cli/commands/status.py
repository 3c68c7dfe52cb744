"""`tally status`: how the ledger is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.auditing import all_findings
from tallystick.cli.answer import Answer, present
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command
from tallystick.cli.messages import NOBODY_SENDS, are_left_waiting, pause_words
from tallystick.cli.screen import Screen
from tallystick.cli.summary import pressure, severities
from tallystick.cli.times import now_ms, relative
from tallystick.ledger.upkeep.finding import Summary, summary_of
from tallystick.owner import owner_in_words
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.ledger.proofs.checkpoint import Checkpoint
    from tallystick.projections.counts import Counts
    from tallystick.projections.flow_list import FlowCounts
    from tallystick.readings import LedgerStatus

TELLING_EVENTS = 1_000  # a store has a size of its own; below so many events their share of it says nothing


@_command(
    "status",
    json="""{tasks: {total, active, terminal, failures, issues, blocked, byStatus, byRuntime},
    flows: {total, active, cancelling, byStatus}, audit: {errors, warnings}, owner,
    log: {head, bytes, mapBytes}, checkpoint: {origin, size, behind}, projections: [{name, position, lag}],
    outbox: {pending, failed, sessionQueued, withheld, paused: [{name, since, until, failures, error}]}}""",
    help="""Counts and pressure first, the flows that a controller drives, and how many findings an audit has; then who
    owns the ledger, its log, its read models, and the messages that have not arrived: tasks with some to be sent, tasks
    with some that are stuck or withheld, and how many wait in sessions. Nothing is sent to an endpoint that is
    paused.""",
)
def command(call: Call) -> Answer:
    """Show how the ledger is."""
    with call.readings(or_none_yet=True) as readings:
        status = readings.status()
        audit = summary_of(all_findings(readings, now_ms()))
    data = {
        "tasks": msgspec.to_builtins(status.tasks),
        "flows": msgspec.to_builtins(status.flows),
        "audit": {"errors": audit.errors, "warnings": audit.warnings},
        **present(owner=None if status.owner is None else msgspec.to_builtins(status.owner)),
        "log": _log(status),
        **present(checkpoint=_checkpoint(status)),
        "projections": msgspec.to_builtins(status.projections),
        "outbox": {
            "pending": status.outbox.pending,
            "failed": status.outbox.failed,
            "sessionQueued": status.outbox.queued,
            "withheld": status.outbox.withheld,
            "paused": status.paused,
        },
    }
    return Answer(data, lambda screen: _lines(screen, status, audit, str(call.folder)))


def _checkpoint(status: "LedgerStatus") -> dict[str, Any] | None:
    found = status.checkpoint
    return None if found is None else {"origin": found.origin, "size": found.size, "behind": status.head - found.size}


def _log(status: "LedgerStatus") -> dict[str, Any]:
    stats = status.stats
    if stats is None:
        return {"head": status.head, "bytes": 0}
    return {"head": status.head, "bytes": stats.used_bytes, "mapBytes": stats.map_bytes}


def _lines(screen: Screen, status: "LedgerStatus", audit: Summary, folder: str) -> Iterator[str]:
    counts, now = status.tasks, now_ms()
    noun = "task" if counts.total == 1 else "tasks"
    yield f"{screen.bold(f'{counts.total:,} {noun}')} · {pressure(counts)} · {counts.terminal:,} ended"
    yield from screen.named("by status", _statuses(counts))
    yield from screen.named("by runtime", _listed(counts.by_runtime))
    yield from screen.named("flows", _flows(status.flows))
    yield from screen.named("audit", _audit(audit), colour="red" if audit.errors else None)
    yield from screen.named("ledger", plain(folder))
    yield from screen.named("owner", _owner(status, now))
    yield from screen.named("log", _log_words(status))
    if status.checkpoint is not None:
        yield from screen.named("checkpoint", plain(_checkpoint_words(status, status.checkpoint)))
    for standing in status.projections:
        behind = "at the head" if not standing.lag else f"{standing.lag:,} events behind"
        yield from screen.named(standing.name, f"at {standing.position:,}, {behind}")
    if not status.projections:
        yield from screen.named("projections", "none that can be read: answers come from the log itself")
    yield from screen.named("messages", _messages(status))
    if are_left_waiting(status):
        yield from screen.named("", NOBODY_SENDS, colour="yellow")
    for paused in status.paused:
        yield from screen.named("paused", pause_words(paused, now), colour="yellow")


def _listed(counts: dict[str, int]) -> str:
    return " · ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def _flows(counts: "FlowCounts") -> str:
    cancelling = f"; {counts.cancelling:,} being cancelled" if counts.cancelling else ""
    return f"{_listed(counts.by_status)}{cancelling}"


def _audit(audit: Summary) -> str:
    return f'{severities(audit)}; "tally audit" says which' if audit.total else "nothing is amiss"


def _statuses(counts: "Counts") -> str:
    listed = _listed(counts.by_status)
    return f"{listed} ({counts.blocked:,} of the succeeded blocked)" if counts.blocked else listed


def _messages(status: "LedgerStatus") -> str:
    outbox = status.outbox
    parts = {"to be sent": outbox.pending, "stuck": outbox.failed, "waiting in sessions": outbox.queued}
    parts["withheld"] = outbox.withheld
    told = _listed(parts)
    if not any(parts.values()):
        return "every one has arrived"
    return f'{told}; "tally deliveries" says which' if outbox.failed else told


def _owner(status: "LedgerStatus", now: int) -> str:
    if status.owner is None:
        return "nobody: the next who writes becomes it"
    since = "" if status.owner.since is None else f", since {relative(status.owner.since, now)}"
    until = ", until somebody opens it" if status.owner.transient else ""
    return f"{plain(owner_in_words(status.owner))}{since.replace(' ago', '')}{until}"


def _checkpoint_words(status: "LedgerStatus", found: "Checkpoint") -> str:
    since = status.head - found.size
    if since < 0:
        return f'{found.origin}, {found.size:,} events, more than there are: run "tally doctor"'
    return f"{found.origin}, {found.size:,} events" + (f"; {since:,} since" if since else "")


def _log_words(status: "LedgerStatus") -> str:
    stats = status.stats
    if stats is None:
        return "not there yet"
    each = f", {stats.used_bytes / status.head:,.0f} an event" if status.head >= TELLING_EVENTS else ""
    share = stats.used_bytes / stats.map_bytes
    return f"{status.head:,} events, {stats.used_bytes:,} bytes{each}; {share:.1%} of its map"
