"""The life of a task, as one table, and the closed sets that the records of tasks and flows are made of."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


class Runtime(StrEnum):
    """What runs a task. Heartbeats, chat turns and slash commands have none and make no record."""

    ACP = "acp"
    SUBAGENT = "subagent"
    CRON = "cron"
    CLI = "cli"


class NotifyPolicy(StrEnum):
    """Which of a task's transitions are told."""

    SILENT = "silent"
    DONE_ONLY = "done_only"
    FAILURES_ONLY = "failures_only"
    STATE_CHANGES = "state_changes"


class Scope(StrEnum):
    """Whether a session owns a task, or the system does."""

    SESSION = "session"
    SYSTEM = "system"


class DeliveryStatus(StrEnum):
    """What became of telling the one who asked."""

    PENDING = "pending"
    DELIVERED = "delivered"
    SESSION_QUEUED = "session_queued"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DISMISSED = "dismissed"
    PARENT_MISSING = "parent_missing"
    NOT_APPLICABLE = "not_applicable"

    WITHHELD = "withheld"
    """Of a message alone: it waits for what works below an isolated cron run. Its task is pending."""


class DeliveryKind(StrEnum):
    """What a message tells."""

    TERMINAL = "terminal"
    """How a task ended."""

    REVIEW = "review"
    """How a child session ended: the session that asked looks at the result before anybody is told."""

    STARTED = "started"
    UPDATE = "update"

    MEDIA = "media"
    """How a generation ended, with what it made: the session that asked writes the message itself."""


BLOCKED = "blocked"
"""The terminal outcome of a run that ended well without the result that was asked for."""

MEDIA_KINDS = frozenset({"image_generation", "music_generation", "video_generation"})

_ENDS = frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.CANCELLED})

ALLOWED: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.QUEUED: frozenset({Status.RUNNING, Status.LOST}) | _ENDS,
        Status.RUNNING: frozenset({Status.LOST}) | _ENDS,
        Status.LOST: _ENDS,  # only by recovery: an observed outcome outranks the inferred loss
        Status.SUCCEEDED: frozenset(),
        Status.FAILED: frozenset(),
        Status.TIMED_OUT: frozenset(),
        Status.CANCELLED: frozenset(),
    }
)
"""Which status may follow which. The documents, the rules and the property tests read this table."""

ACTIVE = frozenset({Status.QUEUED, Status.RUNNING})
TERMINAL = frozenset(Status) - ACTIVE
SETTLED_AS = frozenset({Status.FAILED, Status.CANCELLED, Status.LOST})

DEFAULT_POLICY: Mapping[Runtime, NotifyPolicy] = MappingProxyType(
    {
        Runtime.ACP: NotifyPolicy.DONE_ONLY,
        Runtime.SUBAGENT: NotifyPolicy.DONE_ONLY,
        Runtime.CRON: NotifyPolicy.SILENT,
        Runtime.CLI: NotifyPolicy.SILENT,
    }
)

_FAILURES = frozenset({Status.FAILED, Status.TIMED_OUT, Status.LOST})


def lets_end_through(policy: NotifyPolicy, status: Status, outcome: str | None) -> bool:
    """Return whether a policy lets this end of a task be told."""
    if policy is NotifyPolicy.FAILURES_ONLY:
        return status in _FAILURES or (status is Status.SUCCEEDED and outcome == BLOCKED)
    return policy is not NotifyPolicy.SILENT


assert set(ALLOWED) == set(Status), "a status without a row"
assert set(DEFAULT_POLICY) == set(Runtime), "a runtime without a default policy"
assert all(ALLOWED[status] == frozenset() for status in TERMINAL - {Status.LOST}), "terminal is final"


class FlowMode(StrEnum):
    """Who moves a flow: a controller, or the tasks that it mirrors."""

    MANAGED = "managed"
    MIRRORED = "mirrored"


class FlowStatus(StrEnum):
    """Where a flow stands. One that is blocked can be resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


FLOW_ACTIVE = frozenset({FlowStatus.QUEUED, FlowStatus.RUNNING, FlowStatus.WAITING, FlowStatus.BLOCKED})
FLOW_TERMINAL = frozenset(FlowStatus) - FLOW_ACTIVE
FLOW_SETTLED_AS = frozenset(FlowStatus(status.value) for status in SETTLED_AS)
