"""The gauges: what an open ledger holds at the moment in which somebody looks."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import TypeAlias

from tallystick.actors.log import logger
from tallystick.actors.meter import Meter
from tallystick.actors.metrics import (
    DISK_FREE,
    ENVELOPES,
    FINDINGS,
    LAG,
    LOG_EVENTS,
    MAP_LIMIT,
    MAP_USED,
    OLDEST_READER,
    OUTBOX,
    PAUSED,
    QUEUE_AGE,
    READERS,
    READY,
    REGISTERED,
    TASKS,
    UNSIGNED,
    Metrics,
    Sample,
)
from tallystick.actors.system import System
from tallystick.config import Config
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import InvalidInput, TallystickError
from tallystick.ledger.events import TaskFact
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.projections.checkpoint import newest
from tallystick.projections.codes import RUNTIMES, SHOWN_CODES
from tallystick.projections.counts import CELLS
from tallystick.projections.oldest import oldest_queued
from tallystick.projections.pauses import paused
from tallystick.projections.seen import Seen
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings

log = logger("face")

Findings: TypeAlias = Callable[[], Mapping[str, int]]
"""Says how many findings the audit has of each code."""

AUDIT_S = 10.0

_METHODS = ("add", "observe", "show")
_MS_PER_S = 1_000
_SHOWN = {code: name for name, code in SHOWN_CODES.items()}


class Gauges:
    """Reads everything when it is asked, on the thread that asks. What cannot be read now is left out, and logged."""

    def __init__(self, readings: Readings, system: System, clock: Clock) -> None:
        self._readings, self._system, self._clock = readings, system, clock
        self.findings: Findings = _Audited(readings, clock)
        """Asked for what the audit finds."""
        self._leave: Callable[[], None] | None = None

    def show(self, metrics: Metrics) -> None:
        """Let somebody ask for the gauges until `close`."""
        self._leave = metrics.show(self.read)

    def close(self) -> None:
        """Be asked no more."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def read(self) -> list[Sample]:
        """Return every gauge."""
        found: list[Sample] = []
        for part in (
            self._tasks,
            self._outbox,
            self._inboxes,
            self._projections,
            self._stores,
            self._checkpoint,
            self._audit,
        ):
            try:
                found.extend(part())
            except (TallystickError, OSError):
                log.exception("gauges_not_read", part=part.__name__.removeprefix("_"))
        return found

    def _tasks(self) -> Iterator[Sample]:
        def question(seen: Seen) -> tuple[int, dict[tuple[int, int], int], int | None]:
            return seen.head, dict(seen.cells()), oldest_queued(seen)

        head, cells, oldest = self._readings.reader.answer(question)
        yield Sample(LOG_EVENTS, head)
        for runtime, shown in CELLS:
            yield Sample(TASKS, cells.get((runtime, shown), 0), (RUNTIMES[runtime].value, str(_SHOWN[shown])))
        yield Sample(QUEUE_AGE, 0 if oldest is None else max(self._clock() - oldest, 0) / _MS_PER_S)

    def _outbox(self) -> Iterator[Sample]:
        counts = self._readings.reader.outbox_counts()
        for state in ("pending", "failed", "queued", "withheld"):
            yield Sample(OUTBOX, getattr(counts, state), (state,))
        yield Sample(PAUSED, len(paused(self._readings.log)))

    def _inboxes(self) -> Iterator[Sample]:
        yield Sample(READY, self._system.dispatcher.backlog())
        yield Sample(ENVELOPES, self._system.dispatcher.mail())

    def _projections(self) -> Iterator[Sample]:
        for standing in self._system.standings():
            yield Sample(LAG, standing.lag, (standing.name,))

    def _stores(self) -> Iterator[Sample]:
        readings = self._readings
        if isinstance(readings.log, DiskLog):
            yield from _store(LOG_FOLDER, readings.log.environment)
        if readings.views is not None:
            yield from _store(VIEWS_FOLDER, readings.views.environment)
        if readings.folder is not None:
            disk = os.statvfs(readings.folder)
            yield Sample(DISK_FREE, disk.f_bavail * disk.f_frsize)

    def _checkpoint(self) -> Iterator[Sample]:
        found = newest(self._readings.log)
        yield Sample(UNSIGNED, max(self._readings.log.head() - (0 if found is None else found.size), 0))

    def _audit(self) -> Iterator[Sample]:
        counted = self.findings()
        for code in FINDINGS.labels[0].values:
            yield Sample(FINDINGS, counted.get(code, 0), (code,))


class _Audited:
    """What the audit finds, looked for at most once in AUDIT_S: it costs more than to read an index."""

    def __init__(self, readings: Readings, clock: Clock) -> None:
        self._readings, self._clock = readings, clock
        self._looking = threading.Lock()
        self._found: Mapping[str, int] = {}
        self._until = 0.0

    def __call__(self) -> Mapping[str, int]:
        from tallystick.auditing import audit

        with self._looking:
            if monotonic() >= self._until:
                self._found = audit(self._readings, self._clock()).summary.by_code
                self._until = monotonic() + AUDIT_S
            return self._found


def _store(name: str, environment: Environment) -> Iterator[Sample]:
    info = environment.info()
    yield Sample(MAP_USED, info.used_bytes, (name,))
    yield Sample(MAP_LIMIT, info.map_bytes_max, (name,))
    yield Sample(READERS, info.readers, (name,))
    yield Sample(OLDEST_READER, info.oldest_reader_lag, (name,))


def check_metrics(metrics: Metrics, *, read_only: bool) -> None:
    """Raise `InvalidInput` when this cannot keep numbers, or there are none: what only reads commits nothing."""
    if read_only:
        raise InvalidInput("metrics", metrics, "None when the ledger is opened for reading: its owner has the numbers")
    if isinstance(metrics, type) or not all(callable(getattr(metrics, name, None)) for name in _METHODS):
        allowed = "something with add, observe and show, such as tallystick.prometheus.PrometheusMetrics()"
        raise InvalidInput("metrics", metrics, allowed)


def measure(metrics: Metrics, readings: Readings, system: System, settings: Config, clock: Clock) -> Gauges:
    """Let somebody keep the numbers of a ledger that is about to start; returns its gauges, to be closed.

    Raises `InvalidInput` when those of another ledger are kept there.
    """
    gauges = Gauges(readings, system, clock)
    gauges.show(metrics)
    meter = system.journal.meter = Meter(metrics)
    if system.courier is not None:
        kinds = {name: str(channel["kind"]) for name, channel in settings.channel.items()}

        def attempted(channel: str, fact: TaskFact) -> None:
            meter.attempted(kinds.get(channel, REGISTERED), fact)

        system.courier.attempted = attempted
    return gauges
