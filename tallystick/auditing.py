"""Auditing: what is amiss with an opened ledger, the same in whichever process asks. Never writes."""

import time
from typing import TypeVar

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.limits import UPKEEP_STEPS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.upkeep.finding import Code, Finding, Severity, Summary, chosen, ordered, summary_of
from tallystick.ledger.upkeep.standing import finding_of_projection
from tallystick.owner import live_owner
from tallystick.projections.audit import found
from tallystick.readings import Readings

_Name = TypeVar("_Name", Severity, Code)

MOVES_S = 1.0
"""How long a read model that seems to stand still is looked at before that is said of it."""

_LOOK_S = 0.02


class Audit(Struct, frozen=True, kw_only=True):
    """What is amiss: the findings that were asked for, errors first, then the oldest; and a summary of all of them.

    `filtered` is how many findings pass the filters, however many of them are shown, and `worst` how bad those are.
    `unjudged` is how many silent tasks are not judged: more are alive than is told beside the log, so each may be.
    """

    findings: list[Finding]
    summary: Summary
    filtered: int
    worst: Severity | None = None
    unjudged: int = 0


def audit(
    readings: Readings,
    now: int,
    *,
    severity: Severity | str | None = None,
    code: Code | str | None = None,
    limit: int | None = None,
) -> Audit:
    """Return what is amiss at `now` (ms), as of the log's head. Raises `InvalidInput` for an unknown filter."""
    of_severity = None if severity is None else _one_of("severity", severity, Severity)
    of_code = None if code is None else _one_of("code", code, Code)
    if limit is not None:
        fields.whole("limit", limit, least=1, most=UPKEEP_STEPS_MAX)
    findings, unjudged = _all(readings, now)
    passing = chosen(findings, of_severity, of_code)
    worst = passing[0].severity if passing else None  # errors come first
    return Audit(
        findings=passing[:limit],
        summary=summary_of(findings),
        filtered=len(passing),
        worst=worst,
        unjudged=unjudged,
    )


def all_findings(readings: Readings, now: int) -> list[Finding]:
    """Return everything that is amiss, errors first, then the oldest."""
    return _all(readings, now)[0]


def _all(readings: Readings, now: int) -> tuple[list[Finding], int]:
    seen = readings.reader.answer(
        lambda seen: found(seen, readings.log, now, readings.rules, is_alive=process_is_alive)
    )
    return ordered([*seen.findings, *stalled(readings, now)]), seen.unjudged


def process_is_alive(task: TaskRecord) -> bool:
    """Return whether the process that backs a task is there: anybody on its machine can see that."""
    if "pid" not in (task.backing or {}):
        return False
    from tallystick.ledger.verdict import Finding as Seen
    from tallystick.probes.process import ProcessProbe

    return ProcessProbe()(task).finding is Seen.ALIVE


def _one_of(field: str, value: str, known: type[_Name]) -> _Name:
    try:
        return known(value)
    except ValueError:
        raise InvalidInput(field, value, ", ".join(sorted(known))) from None


def stalled(readings: Readings, now: int) -> list[Finding]:
    """Return the read models that stand still behind the log while a live owner keeps them up.

    Without an owner nobody does, and nothing is amiss: answers are exact all the same, and the next owner goes on.
    """
    views, log = readings.views, readings.log
    if views is None or readings.folder is None:
        return []
    suspects: dict[str, tuple[int, Finding]] = {}
    head = log.head()
    for name, position in views.positions().items():
        if position < head:
            waiting = next((each.recorded_at for each in log.read(position, head) if isinstance(each, Event)), None)
            finding = finding_of_projection(name, now, lag=head - position, waiting_since=waiting)
            if finding is not None:
                suspects[name] = position, finding
    if not suspects or live_owner(readings.folder) is None:
        return []
    deadline = time.monotonic() + MOVES_S
    while suspects.keys() - views.parked.keys() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        moving = views.positions()
        suspects = {name: (at, told) for name, (at, told) in suspects.items() if moving.get(name, at) == at}
    return [finding for _, finding in suspects.values()]
