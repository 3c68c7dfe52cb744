"""The numbers that stand on disk for runtimes, statuses and the other closed sets.

A number is never given to something else: whoever changes one changes the format of the views.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tallystick.ledger.events import NAMES
from tallystick.ledger.lifecycle import BLOCKED, DeliveryStatus, FlowStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.record import TaskRecord

BLOCKED_CODE = 8

# Plain dicts: they are read for every task. A member of an enumeration of texts hashes as its text.
RUNTIME_CODES: dict[str, int] = {Runtime.ACP: 1, Runtime.SUBAGENT: 2, Runtime.CRON: 3, Runtime.CLI: 4}

STATUS_CODES: dict[str, int] = {
    Status.QUEUED: 1,
    Status.RUNNING: 2,
    Status.SUCCEEDED: 3,
    Status.FAILED: 4,
    Status.TIMED_OUT: 5,
    Status.CANCELLED: 6,
    Status.LOST: 7,
}

SHOWN_CODES: dict[str, int] = {**STATUS_CODES, BLOCKED: BLOCKED_CODE}
"""What a task is shown as: its status, or "blocked", which is a success without its result."""

SCOPE_CODES: dict[str, int] = {Scope.SESSION: 1, Scope.SYSTEM: 2}

POLICY_CODES: dict[str, int] = {
    NotifyPolicy.SILENT: 1,
    NotifyPolicy.DONE_ONLY: 2,
    NotifyPolicy.FAILURES_ONLY: 3,
    NotifyPolicy.STATE_CHANGES: 4,
}

DELIVERY_CODES: dict[str, int] = {
    DeliveryStatus.PENDING: 1,
    DeliveryStatus.DELIVERED: 2,
    DeliveryStatus.SESSION_QUEUED: 3,
    DeliveryStatus.FAILED: 4,
    DeliveryStatus.UNKNOWN: 5,
    DeliveryStatus.DISMISSED: 6,
    DeliveryStatus.PARENT_MISSING: 7,
    DeliveryStatus.NOT_APPLICABLE: 8,
    DeliveryStatus.WITHHELD: 9,
}

FLOW_CODES: dict[str, int] = {
    FlowStatus.QUEUED: 1,
    FlowStatus.RUNNING: 2,
    FlowStatus.WAITING: 3,
    FlowStatus.BLOCKED: 4,
    FlowStatus.SUCCEEDED: 5,
    FlowStatus.FAILED: 6,
    FlowStatus.CANCELLED: 7,
    FlowStatus.LOST: 8,
}

FACT_CODES: dict[str, int] = {name: code for code, name in enumerate(sorted(NAMES.values()), 1)}
"""What ended a task. These move when a fact is added, and the format of the views with them."""

RUNTIMES: Mapping[int, Runtime] = MappingProxyType({RUNTIME_CODES[member]: member for member in Runtime})
STATUSES: Mapping[int, Status] = MappingProxyType({STATUS_CODES[member]: member for member in Status})
SCOPES: Mapping[int, Scope] = MappingProxyType({SCOPE_CODES[member]: member for member in Scope})
POLICIES: Mapping[int, NotifyPolicy] = MappingProxyType({POLICY_CODES[member]: member for member in NotifyPolicy})
DELIVERIES: Mapping[int, DeliveryStatus] = MappingProxyType(
    {DELIVERY_CODES[member]: member for member in DeliveryStatus}
)
FACTS: Mapping[int, str] = MappingProxyType({code: name for name, code in FACT_CODES.items()})

assert all(
    len(by_code) == len(by_name)
    for by_code, by_name in (
        (RUNTIMES, RUNTIME_CODES),
        (STATUSES, STATUS_CODES),
        (SCOPES, SCOPE_CODES),
        (POLICIES, POLICY_CODES),
        (DELIVERIES, DELIVERY_CODES),
    )
), "two members share a number"
assert set(FLOW_CODES) == set(FlowStatus)
assert len(set(FLOW_CODES.values())) == len(FlowStatus)


def shown_code(record: TaskRecord) -> int:
    """Return the number of what the task is shown as."""
    status = record.status
    if status is Status.SUCCEEDED and record.terminal_outcome == BLOCKED:
        return BLOCKED_CODE
    return STATUS_CODES[status]
