"""The metrics: what an open ledger tells of its work in numbers, and the port of whoever keeps them.

Names and units are those of Prometheus. Every label has a closed set of values, so that the number of series is known.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryImported,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryUnknown,
    DeliveryWithheld,
)
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.lifecycle import BLOCKED, TERMINAL, Runtime, Status
from tallystick.ledger.upkeep.finding import Code
from tallystick.projections.views import PROJECTIONS


class Sort(StrEnum):
    """What a metric is to whoever keeps it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Label(Struct, frozen=True):
    """By what a metric is told apart, and all that it can say."""

    name: str
    values: tuple[str, ...]


class Metric(Struct, frozen=True):
    """One number, or one for each combination of its labels. `bounds` are those of a histogram, without infinity."""

    name: str
    sort: Sort
    help: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()


class Sample(Struct, frozen=True):
    """What a gauge shows."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Metrics(Protocol):
    """Keeps the numbers. What it raises is logged.

    Called on the thread that commits, so it must be quick; of attestations on the one that waits for them.
    """

    def add(self, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
        """Count: add a positive amount to a counter."""
        ...

    def observe(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Take one value into a histogram."""
        ...

    def show(self, gauges: Callable[[], Iterable[Sample]]) -> Callable[[], None]:
        """Ask for the gauges whenever somebody looks, on any thread, and never again after what is returned is called.

        Raises `InvalidInput` when it shows those of another open ledger.
        """
        ...


_RUNTIME = Label("runtime", tuple(Runtime))
_STATUS = Label("status", (*Status, BLOCKED))
_ENDED = Label("status", tuple(status for status in Status if status in TERMINAL))
_STORE = Label("store", ("log", "views", "inbox"))

RULES = Label("rule", ("proved_dead", "grace_over", "settled"))
"""Why a task was declared lost: its backing cannot come back, was gone for the whole grace, or somebody said so."""

OUTCOMES: dict[type[Fact], str] = {
    DeliveryQueued: "queued",
    DeliveryWithheld: "withheld",
    DeliveryReleased: "released",
    DeliveryAttempted: "attempted",
    DeliveryUnknown: "unknown",
    DeliveryDelivered: "delivered",
    DeliveryFailed: "failed",
    DeliveryRetried: "retried",
    DeliveryDismissed: "dismissed",
    DeliveryImported: "imported",
}
"""What may be recorded of a message."""

REGISTERED = "registered"
"""The kind of a channel that the program itself has registered."""

CHANNEL_KINDS = Label("channel_kind", ("apprise", "discord", "file", "slack", "telegram", "webhook", REGISTERED))
PROJECTION_NAMES = Label("projection", tuple(projection.name for projection in PROJECTIONS))
CODES = Label("code", tuple(Code))
SEERS = Label("seer", ("witness", "authority"))
STATES = Label("state", ("pending", "failed", "queued", "withheld"))

_SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LONG_S = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
_NETWORK_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0)

# Counted and observed with every commit.
EVENTS = Metric("tallystick_events_total", Sort.COUNTER, "Events that became durable.")
CREATED = Metric("tallystick_tasks_created_total", Sort.COUNTER, "Tasks that were created.", (_RUNTIME,))
DURATION = Metric(
    "tallystick_task_duration_seconds",
    Sort.HISTOGRAM,
    "From the start of a task, or its creation if it never started, to its end, as reported.",
    (_RUNTIME, _ENDED),
    _LONG_S,
)
LOST = Metric("tallystick_tasks_lost_total", Sort.COUNTER, "Tasks that were declared lost, by rule.", (_RUNTIME, RULES))
RECOVERED = Metric(
    "tallystick_tasks_recovered_total",
    Sort.COUNTER,
    "Lost tasks that turned out to have ended otherwise.",
    (_RUNTIME, _ENDED),
)
DELIVERIES = Metric(
    "tallystick_deliveries_total",
    Sort.COUNTER,
    "What was recorded of messages.",
    (Label("outcome", tuple(OUTCOMES.values())),),
)
ATTEMPTS = Metric(
    "tallystick_delivery_attempts_total",
    Sort.COUNTER,
    "Answers of channels to an attempt to send.",
    (CHANNEL_KINDS, Label("outcome", ("delivered", "attempted", "unknown", "failed"))),
)
BATCH = Metric("tallystick_batch_events", Sort.HISTOGRAM, "Events of one transaction.", (), _SIZES)
COMMIT = Metric(
    "tallystick_commit_duration_seconds",
    Sort.HISTOGRAM,
    "One transaction, the wait for the disk included.",
    (),
    _SHORT_S,
)
COMMITS_FAILED = Metric("tallystick_commits_failed_total", Sort.COUNTER, "Transactions that could not be written.")
ATTESTATIONS = Metric(
    "tallystick_attestations_total",
    Sort.COUNTER,
    "Witnesses and authorities that were shown a checkpoint, by what came of it.",
    (SEERS, Label("result", ("seen", "failed", "contradicted"))),
)
ATTEST_TOOK = Metric(
    "tallystick_attestation_duration_seconds",
    Sort.HISTOGRAM,
    "From showing a checkpoint to one of them to the end of that.",
    (SEERS,),
    _NETWORK_S,
)

# Read when somebody looks.
LOG_EVENTS = Metric("tallystick_log_events", Sort.GAUGE, "Events in the log.")
TASKS = Metric(
    "tallystick_tasks", Sort.GAUGE, "Tasks as they are shown; pruned ones are left out.", (_RUNTIME, _STATUS)
)
QUEUE_AGE = Metric("tallystick_oldest_queued_age_seconds", Sort.GAUGE, "Since the oldest queued task was created.")
OUTBOX = Metric(
    "tallystick_outbox_messages", Sort.GAUGE, "Messages, or tasks that have some, by what they wait for.", (STATES,)
)
PAUSED = Metric("tallystick_endpoints_paused", Sort.GAUGE, "Endpoints to which nothing is sent for a while.")
READY = Metric("tallystick_inbox_ready_actors", Sort.GAUGE, "Actors with mail that wait for their turn.")
ENVELOPES = Metric("tallystick_inbox_envelopes", Sort.GAUGE, "Messages in the inboxes of those actors.")
LAG = Metric(
    "tallystick_projection_lag_events", Sort.GAUGE, "Events that a read model has not seen.", (PROJECTION_NAMES,)
)
MAP_USED = Metric(
    "tallystick_map_used_bytes", Sort.GAUGE, "Of a store's file, in use or free to be used again.", (_STORE,)
)
MAP_LIMIT = Metric("tallystick_map_limit_bytes", Sort.GAUGE, "What a store may grow to.", (_STORE,))
READERS = Metric("tallystick_readers", Sort.GAUGE, "Read transactions that are open, in all processes.", (_STORE,))
OLDEST_READER = Metric(
    "tallystick_oldest_reader_commits", Sort.GAUGE, "Commits since the oldest open read began.", (_STORE,)
)
DISK_FREE = Metric("tallystick_disk_free_bytes", Sort.GAUGE, "Free for this user where the ledger is.")
UNSIGNED = Metric("tallystick_unsigned_events", Sort.GAUGE, "Events since the newest checkpoint; all without one.")
FINDINGS = Metric("tallystick_audit_findings", Sort.GAUGE, "What the audit finds, by code.", (CODES,))

METRICS: tuple[Metric, ...] = (
    EVENTS,
    CREATED,
    DURATION,
    LOST,
    RECOVERED,
    DELIVERIES,
    ATTEMPTS,
    BATCH,
    COMMIT,
    COMMITS_FAILED,
    ATTESTATIONS,
    ATTEST_TOOK,
    LOG_EVENTS,
    TASKS,
    QUEUE_AGE,
    OUTBOX,
    PAUSED,
    READY,
    ENVELOPES,
    LAG,
    MAP_USED,
    MAP_LIMIT,
    READERS,
    OLDEST_READER,
    DISK_FREE,
    UNSIGNED,
    FINDINGS,
)
"""Every metric that there is."""
