"""The table of upkeep: for everything that an audit finds, how bad it is, and which step settles it. Pure.

One table serves audit and maintenance: nothing is found that cannot be settled.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from tallystick.ledger.upkeep.finding import Action, Code, Finding, Kind, Severity

AUTOMATIC = frozenset({Action.RECONCILE, Action.FINISH_CANCEL, Action.STAMP, Action.PRUNE, Action.ARCHIVE})
"""What the live owner does by itself: all that follows from evidence and from the configuration."""


class Treatment(Struct, frozen=True):
    """How a finding is treated: its severity, the step that settles it, and what a person is told to do."""

    severity: Severity
    action: Action
    remedy: str
    """With {token} for what it is about."""


_APPLY = '"tally maintenance --apply"'
_WARN, _ERROR = Severity.WARN, Severity.ERROR

TREATMENTS: Mapping[tuple[Kind, Code], Treatment] = MappingProxyType(
    {
        (Kind.TASK, Code.STALE_QUEUED): Treatment(
            _WARN,
            Action.SETTLE,
            f'start it, cancel it with "tally cancel {{token}}", or let {_APPLY} settle it as lost',
        ),
        (Kind.TASK, Code.STALE_RUNNING): Treatment(
            _ERROR,
            Action.SETTLE,
            f'look what it does; stop it with "tally cancel {{token}}", or let {_APPLY} settle it as lost',
        ),
        (Kind.TASK, Code.LOST): Treatment(
            _WARN, Action.NOTE, f'see "tally timeline {{token}}" for the evidence; {_APPLY} takes note of it'
        ),
        (Kind.TASK, Code.DELIVERY_FAILED): Treatment(
            _WARN,
            Action.RETRY,
            f'{_APPLY} or "tally retry {{token}}" sends it again, "tally dismiss {{token}}" gives it up',
        ),
        (Kind.TASK, Code.MISSING_CLEANUP): Treatment(_WARN, Action.STAMP, f"{_APPLY} stamps one, counted from now"),
        (Kind.TASK, Code.INCONSISTENT_TIMESTAMPS): Treatment(
            _WARN,
            Action.NOTE,
            f'see "tally timeline {{token}}"; {_APPLY} takes note of it, for no time is ever rewritten',
        ),
        (Kind.TASK, Code.PROBE_FAILING): Treatment(
            _WARN, Action.ASK, f"mend the probe; {_APPLY} asks it again at once"
        ),
        (Kind.TASK, Code.UNDELIVERED): Treatment(
            _WARN,
            Action.NOTE,
            f'see "tally deliveries {{token}}" and correct what keeps it; {_APPLY} takes note of it, attempts go on',
        ),
        (Kind.PROJECTION, Code.PROJECTION_STALLED): Treatment(
            _ERROR, Action.REBUILD, f'{_APPLY} or "tally projections rebuild {{token}}" folds it anew'
        ),
        (Kind.FLOW, Code.STALE_RUNNING): Treatment(
            _ERROR,
            Action.SETTLE,
            f'wake its controller, cancel it with "tally flow cancel {{token}}", or let {_APPLY} settle it as lost',
        ),
        (Kind.FLOW, Code.STALE_WAITING): Treatment(
            _WARN, Action.NOTE, f"see what it waits for, and resume or cancel it; {_APPLY} takes note of it"
        ),
        (Kind.FLOW, Code.STALE_BLOCKED): Treatment(
            _WARN, Action.NOTE, f"see what blocks it, and resume or cancel it; {_APPLY} takes note of it"
        ),
        (Kind.FLOW, Code.CANCEL_STUCK): Treatment(_WARN, Action.FINISH_CANCEL, f"{_APPLY} ends it as cancelled"),
        (Kind.FLOW, Code.MISSING_LINKED_TASKS): Treatment(
            _WARN, Action.SETTLE, f"link a task to it, cancel it, or let {_APPLY} settle it as lost"
        ),
        (Kind.FLOW, Code.BLOCKED_TASK_MISSING): Treatment(
            _WARN, Action.NOTE, f"resume or cancel it; {_APPLY} takes note of it"
        ),
        (Kind.STREAM, Code.RESTORE_FAILED): Treatment(
            _ERROR,
            Action.QUARANTINE,
            f'run "tally verify", then restore a backup; {_APPLY} takes note of it, everything else works',
        ),
    }
)

assert {code for _, code in TREATMENTS} == set(Code), "a code that nothing settles"


def found(
    kind: Kind,
    code: Code,
    detail: str,
    *,
    token: str,
    age_ms: int | None = None,
    status: str | None = None,
    severity: Severity | None = None,
    action: Action | None = None,
) -> Finding:
    """Return a finding with its remedy, as bad and to be settled as the table has it unless something else is said."""
    treatment = TREATMENTS[kind, code]
    return Finding(
        kind=kind,
        severity=treatment.severity if severity is None else severity,
        code=code,
        detail=detail,
        token=token,
        remedy=treatment.remedy.format(token=token),
        action=treatment.action if action is None else action,
        age_ms=age_ms,
        status=status,
    )
