"""The lines of flows: how many there are, a table of them, and all that the record of one says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.cli.answer import as_json
from tallystick.cli.facts import value_words, words
from tallystick.cli.screen import Screen
from tallystick.cli.summary import (
    ERASED,
    ID_TAIL,
    OWNER_MOST,
    OWNERS_FROM,
    WHOLE_IDS_FROM,
    WORK_MOST,
    erased_words,
    text_of,
)
from tallystick.cli.table import Column, table
from tallystick.cli.times import age, relative, stamp
from tallystick.ledger.flows.record import Claim, FlowRecord
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.plain import plain, plain_lines

if TYPE_CHECKING:
    from tallystick.flow_readings import FlowShown
    from tallystick.projections.counts import Counts
    from tallystick.projections.flow_list import FlowCounts

# The order in which people ask; what is not named here follows in the record's own.
_FIRST = (
    "erased",
    "goal",
    "ownerKey",
    "controllerId",
    "currentStep",
    "error",
    "summary",
    "blockedSummary",
    "blockedTaskId",
    "waitJson",
    "stateJson",
    "claims",
    "createdAt",
    "updatedAt",
    "endedAt",
)
_NAMES: Mapping[str, str] = {
    "ownerKey": "owner",
    "controllerId": "controller",
    "currentStep": "step",
    "summary": "result",
    "blockedSummary": "blocked by",
    "blockedTaskId": "blocked task",
    "waitJson": "waits for",
    "stateJson": "state",
    "claims": "claimed",
    "cancelRequestedAt": "cancel asked",
    "followedTaskId": "follows task",
    "idempotencyKey": "key",
}
_JSON = frozenset({"waitJson", "stateJson"})
_WARNINGS = frozenset({"error", "blockedSummary", "blockedTaskId", "cancelRequestedAt"})
_HEADLINE = frozenset({"flowId", "status", "syncMode", "revision"})


def flow_pressure(counts: "FlowCounts") -> str:
    """Return how many managed flows there are, and how they are: 4 active · 1 waiting · … · 7 total."""
    waiting, blocked = (counts.by_status[status] for status in (FlowStatus.WAITING, FlowStatus.BLOCKED))
    held = f"{waiting:,} waiting · {blocked:,} blocked · {counts.cancelling:,} being cancelled"
    return f"{counts.active:,} active · {held} · {counts.total:,} total"


def task_words(summary: "Counts") -> str:
    """Return how many tasks a flow has: 1 active/2 total."""
    return f"{summary.active:,} active/{summary.total:,} total"


def flow_table(screen: Screen, shown: "Sequence[FlowShown]", now: int) -> Iterator[str]:
    """Yield flows as a table that fits the screen."""
    whole = screen.columns >= WHOLE_IDS_FROM
    flows = [each.flow for each in shown]
    columns = [
        Column("Flow", [flow.flow_id if whole else flow.flow_id[-ID_TAIL:] for flow in flows], 36),
        Column("Mode", [flow.sync_mode.value for flow in flows], 8),
        Column("Status", [flow.status.value for flow in flows], 9, paint=screen.status),
        Column("Rev", [f"{flow.revision}" for flow in flows], 6, right=True),
        Column("Controller", [plain(flow.controller_id or "-") for flow in flows], OWNER_MOST),
        Column("Tasks", [task_words(each.summary) for each in shown], 24),
        Column("Age", [age(now - flow.created_at) for flow in flows], 6, right=True),
        Column("Owner", [plain(flow.owner_key) for flow in flows], OWNER_MOST),
        Column("Goal", [_goal(flow) for flow in flows], WORK_MOST),
    ]
    if screen.columns < WHOLE_IDS_FROM:
        columns = [column for column in columns if column.title not in ("Rev", "Owner")]
    if screen.columns < OWNERS_FROM:
        columns = [column for column in columns if column.title not in ("Controller", "Age")]
    return table(screen, columns)


def _goal(flow: FlowRecord) -> str:
    """Return what a flow is about and how it stands, on one line: its goal, and the news."""
    parts = []
    if flow.is_active and flow.cancel_requested_at is not None:
        parts.append("cancel requested")
    parts.append(flow.error or flow.summary or flow.blocked_summary or (flow.is_active and flow.current_step) or "")
    said = " ".join(plain(part) for part in parts if part)
    goal = text_of(flow.goal, flow.erased)
    return f"{goal}: {said}" if said else goal


def flow_lines(screen: Screen, record: FlowRecord, now: int) -> Iterator[str]:
    """Yield all that the record of a flow says, for people, as of a moment."""
    data: dict[str, Any] = msgspec.to_builtins(record)
    how = f"{record.sync_mode.value}, revision {record.revision}"
    yield f"{screen.bold(f'Flow {record.flow_id}')}  {screen.status(record.status.value)}  {how}"
    order = [*(name for name in _FIRST if name in data), *(name for name in data if name not in _FIRST)]
    for name in order:
        if name in _HEADLINE:
            continue
        colour = "red" if name in _WARNINGS else None
        for place, line in enumerate(_value_lines(name, data[name], record, now)):
            yield from screen.named(_NAMES.get(name, words(name)) if place == 0 else "", line, colour=colour)


def _value_lines(name: str, value: Any, record: FlowRecord, now: int) -> Iterator[str]:
    if name == "erased" and record.erased is not None:
        yield erased_words(record.erased, now)
    elif name == "goal" and not value and record.erased is not None:
        yield ERASED
    elif name == "claims":
        yield from (_claim_words(claim, now) for claim in record.claims)
    elif name in _JSON:
        yield as_json(value, indent=0)
    elif name.endswith("At"):
        yield f"{stamp(value)} ({relative(value, now)})"
    elif isinstance(value, str):
        yield from plain_lines(value)
    else:
        yield value_words(name, value)


def _claim_words(claim: Claim, now: int) -> str:
    """Return who does a step, and since when: build by ada (release-bot) since 2026-09-21 … (3m ago)."""
    named = f" ({plain(claim.claimant)})" if claim.claimant is not None else ""
    return f"{plain(claim.step)} by {plain(claim.actor)}{named}, {stamp(claim.at)} ({relative(claim.at, now)})"
