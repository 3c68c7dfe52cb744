"""The meter: counts what becomes durable, for whoever keeps the numbers. Where there is none, nothing is counted."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tallystick.actors.log import logger
from tallystick.actors.metrics import (
    ATTEMPTS,
    ATTEST_TOOK,
    ATTESTATIONS,
    BATCH,
    COMMIT,
    COMMITS_FAILED,
    CREATED,
    DELIVERIES,
    DURATION,
    EVENTS,
    LOST,
    OUTCOMES,
    RECOVERED,
    Metrics,
)
from tallystick.ledger.decide import RULE_DEAD, RULE_GRACE
from tallystick.ledger.events import Event, TaskFact
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import TaskLost, TaskSettled
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.record import TaskRecord
from tallystick.projections.change import Change, Changes

log = logger("actors")

_MS_PER_S = 1_000
SETTLED = "settled"
_RULES = {RULE_DEAD: "proved_dead", RULE_GRACE: "grace_over"}
# A member of an enumeration of texts hashes as its text; its value is not free.
_RUNTIMES: dict[str, str] = {runtime: runtime.value for runtime in Runtime}
_LABELS: dict[tuple[str, str], tuple[str, str]] = {
    (runtime, status): (runtime.value, status.value) for runtime in Runtime for status in Status
}
_TOLD: frozenset[type[Fact]] = frozenset({*OUTCOMES, TaskLost, TaskSettled})


class Meter:
    """Turns commits into numbers. No error of whoever keeps them is raised: the first is logged, and facts go on."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._has_failed = False

    def committed(self, events: Sequence[Event], changes: Changes, seconds: float) -> None:
        """Take note of a batch that is durable since it took so long. On the thread that commits."""
        metrics = self.metrics
        try:
            metrics.observe(COMMIT, (), seconds)
            metrics.observe(BATCH, (), len(events))
            metrics.add(EVENTS, (), len(events))
            born: dict[str, int] = {}
            for change in changes.tasks.values():
                before, after = change.before, change.after
                if before is None:
                    born[after.runtime] = born.get(after.runtime, 0) + 1
                if after.ended_at is not None and (before is None or before.status is not after.status):
                    self._ended(change)
            for runtime, count in born.items():
                metrics.add(CREATED, (_RUNTIMES[runtime],), count)
            told = [event for event in events if event.data.__class__ in _TOLD]
            if told:
                self._told(told, changes)
        except Exception:  # numbers are worth no fact
            if self._is_first():
                log.exception("metrics_failed")

    def failed(self) -> None:
        """Take note of a batch that could not be written."""
        try:
            self.metrics.add(COMMITS_FAILED, (), 1)
        except Exception:  # as above
            if self._is_first():
                log.exception("metrics_failed")

    def attempted(self, channel_kind: str, fact: TaskFact) -> None:
        """Take note of what a channel has answered, by what is recorded of it."""
        try:
            self.metrics.add(ATTEMPTS, (channel_kind, OUTCOMES[fact.__class__]), 1)
        except Exception:  # as above
            if self._is_first():
                log.exception("metrics_failed")

    def attested(self, seer: str, result: str, seconds: float) -> None:
        """Take note of what came of showing a checkpoint to somebody. On the thread that did so."""
        try:
            self.metrics.add(ATTESTATIONS, (seer, result), 1)
            self.metrics.observe(ATTEST_TOOK, (seer,), seconds)
        except Exception:  # as above
            if self._is_first():
                log.exception("metrics_failed")

    def _is_first(self) -> bool:
        """Whether nothing has failed before: what fails once fails with every commit."""
        is_first, self._has_failed = not self._has_failed, True
        return is_first

    def _ended(self, change: Change[TaskRecord]) -> None:
        before, after = change.before, change.after
        labels = _LABELS[after.runtime, after.status]
        if before is not None and before.status is Status.LOST:
            self.metrics.add(RECOVERED, labels, 1)
        assert after.ended_at is not None, "it has ended"
        began = after.created_at if after.started_at is None else after.started_at
        self.metrics.observe(DURATION, labels, max(after.ended_at - began, 0) / _MS_PER_S)

    def _told(self, events: Iterable[Event], changes: Changes) -> None:
        outcomes: Counter[str] = Counter()
        for event in events:
            data = event.data
            if not isinstance(data, TaskLost | TaskSettled):
                outcomes[OUTCOMES[data.__class__]] += 1
            elif isinstance(data, TaskLost) or data.status is Status.LOST:
                rule = _RULES.get(data.rule, SETTLED) if isinstance(data, TaskLost) else SETTLED
                self.metrics.add(LOST, (changes.tasks[event.stream].after.runtime.value, rule), 1)
        for outcome, count in outcomes.items():
            self.metrics.add(DELIVERIES, (outcome,), count)
