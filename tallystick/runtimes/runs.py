"""The runs: what a scheduler has at work, what it has ended, and what of that the ledger does not have yet."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

from msgspec import Struct

from tallystick.actors.log import logger
from tallystick.ledger.errors import (
    Closed,
    ForkedStore,
    InvalidInput,
    NotFound,
    NotOwner,
    Pruned,
    Refused,
    TallystickError,
)
from tallystick.ledger.events import AnyFact
from tallystick.ledger.verdict import Outcome
from tallystick.runtimes.history import RunEnd, RunHistory
from tallystick.runtimes.reporter import Reported, Reporter
from tallystick.runtimes.scribe import Scribe
from tallystick.tracking import own_backing

log = logger("runtimes")

K = TypeVar("K")

AT_WORK_MAX = 10_000  # an executor whose pool breaks never says how a run ended
ENDED_MAX = 10_000  # remembered to recognise a beginning that is told after its end
UNTOLD_MAX = 10_000  # ends that the ledger has refused, or not answered yet
AGAIN_AT_ONCE = 8  # refused runs that are reported again with each event

_FOR_GOOD = (Closed, ForkedStore, InvalidInput, NotOwner, Pruned)  # repeating it changes nothing


class Run(Struct, eq=False):
    """One execution of a job: what the ledger is told of it, and how far that is."""

    id: str
    job: str
    task: str
    label: str
    metadata: dict[str, str]
    at: int
    has_begun: bool = True
    more: Mapping[str, Any] = {}
    end: RunEnd | None = None
    told: Reported | None = None
    is_refused: bool = False


class Runs:
    """Reports runs to a ledger as their scheduler tells of them, from any of its threads, and never waits.

    What was told of one run is recorded in this order: created, started, ended, whatever order it came in. An end goes
    into the history first, if there is one. What the ledger refuses is logged, counted, and reported again with the
    next events, unless the ledger is closed: reporting a run twice is the same as once.
    """

    def __init__(self, reporter: Reporter, history: RunHistory | None) -> None:
        self.reporter, self.history = reporter, history
        self.refusals = self.unremembered = 0
        self.last_error: BaseException | None = None
        self._changing = threading.RLock()  # held for moments: an answer may come while something is sent
        self._begun = threading.Condition(self._changing)
        self._at_work: OrderedDict[str, Run] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._untold: OrderedDict[str, Run] = OrderedDict()
        self._refused: OrderedDict[str, Run] = OrderedDict()
        self._scribe = None if history is None else Scribe(history, self._written, self._forget, reporter.words)

    def begin(self, run: Run) -> None:
        """A run was handed to whatever executes it. It may have ended already."""
        with self._changing:
            if run.id in self._ended or run.id in self._at_work:
                return
            _keep(self._at_work, run.id, run, AT_WORK_MAX)
            self._report(run)
            self._begun.notify_all()
        self._again()

    def end(
        self,
        run: Run,
        status: Literal["succeeded", "failed", "cancelled"],
        *,
        summary: str | None = None,
        error: str | None = None,
    ) -> None:
        """A run has ended. `run` is what is known of it, in case that its beginning was not told yet, or never is."""
        with self._changing:
            if run.id in self._ended:
                return
            _keep(self._ended, run.id, None, ENDED_MAX)
            run = self._at_work.pop(run.id, run)
            run.end = end = RunEnd(run.id, status, self.reporter.now(), summary, error)
            dropped = _keep(self._untold, run.id, run, UNTOLD_MAX)
        if dropped is not None:
            self._refused.pop(dropped.id, None)
            log.error("run_forgotten", run=dropped.id)
        if self._scribe is None:
            self._tell(end)
        else:
            self.reporter.expect()
            self._scribe.put(end)
        self._again()

    def at_work(self, run_id: str) -> bool:
        """Whether a run was begun and has not ended."""
        return run_id in self._at_work

    def newest(self, job: str, timeout_s: float) -> Run | None:
        """Return the run of a job that began last of those at work; wait for one that is just beginning."""
        with self._begun:
            self._begun.wait_for(lambda: self._newest(job) is not None, timeout_s)
            return self._newest(job)

    def _newest(self, job: str) -> Run | None:
        return next((run for run in reversed(self._at_work.values()) if run.job == job), None)

    def ended(self, run_id: str) -> RunEnd | None:
        """Return how a run ended, as far as this process or the history knows."""
        with self._changing:
            run = self._untold.get(run_id)
        if run is not None:
            return run.end
        return None if self.history is None else self.history.get(run_id)

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """The runs that have ended and that the ledger has refused, so far."""
        with self._changing:
            return tuple(run.id for run in self._untold.values() if run.is_refused)

    def close(self, timeout_s: float) -> bool:
        """Wait until all that was told is recorded or refused; whether that was in time."""
        if self._scribe is not None:
            self._scribe.close(timeout_s)
        return self.reporter.quiet(timeout_s)

    def _written(self, end: RunEnd) -> None:
        """The history has an end: now the ledger may hear it."""
        try:
            self._tell(end)
        finally:
            self.reporter.answered()

    def _report(self, run: Run) -> None:
        """Report that a run was asked for, and, if it is so, that it has begun."""
        try:
            run.told = self.reporter.create(
                partial(self._heard, run),
                occurred_at=run.at,
                runtime="cron",
                task=run.task,
                label=run.label,
                source_id=run.job,
                run_id=run.id,
                metadata=run.metadata,
                **run.more,
            )
            if run.has_begun:
                run.told.start(backing=own_backing(), occurred_at=run.at)
        except TallystickError as error:
            self._heard(run, None, error)

    def _tell(self, end: RunEnd) -> None:
        """Report how a run ended, and all that comes before if the ledger does not have it."""
        with self._changing:
            run = self._untold.get(end.run_id)
            if run is None:
                return
            self._refused.pop(run.id, None)
            run.is_refused = False
            if run.told is None or run.told.is_refused:
                self._report(run)
            if run.told is None or run.told.is_refused:
                return
            match end.status:
                case "succeeded":
                    run.told.succeed(end.summary, occurred_at=end.ended_at)
                case "failed":
                    run.told.fail(end.error or "", occurred_at=end.ended_at)
                case "cancelled":
                    run.told.cancelled(end.error, stopped=end.summary, occurred_at=end.ended_at)

    def _heard(self, run: Run, fact: AnyFact | None, error: BaseException | None) -> None:
        """Hear what became of a report. That a task cannot do that any more is no loss: the ledger knows its end."""
        if error is None or isinstance(error, Refused):
            if isinstance(fact, Outcome):
                with self._changing:
                    self._untold.pop(run.id, None)
            return
        with self._changing:
            run.is_refused = True
            if run.end is not None and not isinstance(error, _FOR_GOOD):
                self._refused[run.id] = run
            if isinstance(error, NotFound) and run.told is not None and run.told.is_refused:
                return  # it follows from the refusal of the creation, which was heard
            self.refusals += 1
            self.last_error = error
        log.error("run_unrecorded", run=run.id, error=str(error))

    def _forget(self, count: int, error: OSError | None) -> None:
        """The history did not take ends; the ledger is told all the same."""
        self.unremembered += count
        self.last_error = error or self.last_error
        log.error("run_history_failed", runs=count, error=str(error or "too many ends wait"))

    def _again(self) -> None:
        """Report some of what was refused once more."""
        for end in self._taken_again():
            self._tell(end)

    def _taken_again(self) -> Iterator[RunEnd]:
        for _ in range(min(AGAIN_AT_ONCE, len(self._refused))):
            with self._changing:
                run = self._refused.popitem(last=False)[1] if self._refused else None
            if run is not None and run.end is not None:
                yield run.end


def _keep(kept: OrderedDict[str, K], key: str, value: K, most: int) -> K | None:
    """Remember something, and return what is forgotten for it."""
    kept[key] = value
    return kept.popitem(last=False)[1] if len(kept) > most else None
