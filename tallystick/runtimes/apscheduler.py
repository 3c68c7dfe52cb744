"""APScheduler: every execution of every job of a scheduler as a `cron` task."""

import asyncio
import concurrent.futures
import hashlib
import os
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from apscheduler.events import (
    EVENT_JOB_ADDED,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_MODIFIED,
    EVENT_JOB_SUBMITTED,
    EVENT_JOBSTORE_ADDED,
    EVENT_SCHEDULER_STARTED,
    JobEvent,
    JobExecutionEvent,
    JobSubmissionEvent,
    SchedulerEvent,
)
from apscheduler.job import Job
from apscheduler.schedulers.base import BaseScheduler

from tallystick.actors.log import logger
from tallystick.aio import AsyncLedger
from tallystick.ledger import fields, intake
from tallystick.ledger.errors import NotFound
from tallystick.ledger.limits import KEY_BYTES_MAX, LABEL_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict
from tallystick.runtimes.history import HISTORY_BYTES_MAX, RunHistory
from tallystick.runtimes.reporter import Reporter
from tallystick.runtimes.runs import Run, Runs
from tallystick.sync import Ledger

log = logger("runtimes")

CLOSE_S_MAX = 10.0
BEGIN_S_MAX = 1.0  # until a scheduler has told that a run began which is at work already
NAMES_MAX = 10_000  # of jobs, removed ones too: the last run of a job is told after its removal
SUMMARY_BYTES_MAX = 400
ERROR_BYTES_MAX = 4_096
TRACE_LINES_MAX = 12  # of a trace back: the innermost frames are the last ones
ID_BYTES_MAX = KEY_BYTES_MAX // 2  # of a job, so that with the run's time and the scheduler's name it is a key

_EVENTS = (
    EVENT_SCHEDULER_STARTED
    | EVENT_JOBSTORE_ADDED
    | EVENT_JOB_ADDED
    | EVENT_JOB_MODIFIED
    | EVENT_JOB_SUBMITTED
    | EVENT_JOB_EXECUTED
    | EVENT_JOB_ERROR
    | EVENT_JOB_MISSED
    | EVENT_JOB_MAX_INSTANCES
)
_OF_A_RUN = frozenset({"runtime", "task", "label", "source_id", "run_id", "metadata"})
"""What is said of every run, and by nobody else."""

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 200


class RecordedScheduler:
    """Records what a scheduler of APScheduler 3 runs, from now until it is closed; as a context manager or by `close`.

    The scheduler never waits for the ledger: what it tells is sent on at once, whichever of its threads, or of its
    loop, it tells it on. What the ledger refuses is logged and counted (`refusals`, `last_error`, `unrecorded`), and
    reported again with the scheduler's next events.

    With `history`, a folder, ends are written there before the ledger is told. What the ledger does not hear, because
    it is full or because the process is killed a moment too early, is found there by `probe`.
    `name` tells the schedulers of one ledger apart.

    `about(job_id, run_id)` returns what else is said of a run when it is created, as `ledger.create` takes it: its
    owner and its origin, for those who are to be told, and its `child_session`, for a run in a session of its own.
    """

    def __init__(
        self,
        scheduler: BaseScheduler,
        ledger: Ledger | AsyncLedger,
        *,
        history: str | os.PathLike[str] | None = None,
        history_bytes_max: int = HISTORY_BYTES_MAX,
        name: str = "apscheduler",
        about: Callable[[str, str], Mapping[str, Any]] | None = None,
    ) -> None:
        self._scheduler, self._ledger = scheduler, ledger
        self._name = _fitting(fields.required_key("name", name), KEY_BYTES_MAX // 8)
        self._names: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()
        self._about = about
        self._is_closed = False
        reporter = Reporter(ledger)
        self._learn_all()
        known = None if history is None else RunHistory.open(history, bytes_max=history_bytes_max)
        self._runs = Runs(reporter, known)
        scheduler.add_listener(self._hear, _EVENTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Listen no more, and wait until what was heard is recorded or refused. Twice is allowed.

        Shut the scheduler down before: nobody hears how the runs end that are still at work. Close the ledger after.
        On a loop leave an `async with` instead, which does not block it.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._scheduler.remove_listener(self._hear)
        if not self._runs.close(CLOSE_S_MAX):
            log.error("run_reports_unanswered", timeout_s=CLOSE_S_MAX)

    def settled(self, timeout_s: float = CLOSE_S_MAX) -> bool:
        """Wait until all that was heard so far is recorded or refused; whether that was in time. It blocks."""
        return self._runs.reporter.quiet(timeout_s)

    def opened(
        self,
        job_id: str,
        kind: str,
        name: str,
        *,
        pid: int | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """The newest run of a job that is at work opened something that is to be closed when it ends: as `Task.opened`.

        For the job itself to call, where it runs; it does not wait for the ledger. Raises `InvalidInput`, and
        `NotFound` when no run of this job is at work.
        """
        run = self._runs.newest(_fitting(job_id, ID_BYTES_MAX), BEGIN_S_MAX)
        if run is None or run.told is None:
            raise NotFound(job_id, hint="No run of this job is at work.", of="Run")
        run.told.opened(kind, name, pid=pid, evidence=evidence)

    def install(self) -> Self:
        """Make `probe` the ledger's probe for cron runs, instead of any before. Returns itself."""
        self._ledger.probe("cron", self.probe)
        return self

    def probe(self, task: TaskRecord) -> Verdict:
        """Answer whether a run is still at work: alive, ended as the history knows, or missing.

        Unknown is what another scheduler runs, and a run that was at work when this was closed.
        """
        known = task.metadata or {}
        if task.run_id is None or known.get("scheduler") != self._name:
            return Verdict.unknown(f"no run of the scheduler {self._name!r}")
        evidence: dict[str, object] = {"scheduler": self._name, "job": task.source_id}
        end = self._runs.ended(task.run_id)
        if end is not None:
            return end.verdict(evidence)
        if not self._runs.at_work(task.run_id):
            return Verdict.missing({**evidence, "detail": "the scheduler does not have this run"})
        if self._is_closed:
            return Verdict.unknown({**evidence, "detail": "nobody listens to the scheduler any more"})
        if not self._is_counted(known.get("jobId") or task.source_id or ""):
            return Verdict.missing({**evidence, "detail": "no executor counts a run of this job"})
        return Verdict.alive(evidence)

    probe.recovers = True  # type: ignore[attr-defined]  # lost runs are asked about, too

    @property
    def refusals(self) -> int:
        """How many reports the ledger has refused."""
        return self._runs.refusals

    @property
    def unremembered(self) -> int:
        """How many ends the history could not take."""
        return self._runs.unremembered

    @property
    def last_error(self) -> BaseException | None:
        """Why the ledger or the history refused something, most recently."""
        return self._runs.last_error

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """The run ids of what has ended and was refused, and was not accepted since."""
        return self._runs.unrecorded

    def _hear(self, event: SchedulerEvent) -> None:
        """Hear of an event, on whichever thread the scheduler tells it."""
        match event:
            case JobSubmissionEvent():
                for time in event.scheduled_run_times:
                    self._hear_submission(event, time)
            case JobExecutionEvent():
                self._hear_end(event)
            case JobEvent():
                self._learn(self._scheduler.get_job(event.job_id, event.jobstore), event.jobstore)
            case _:
                self._learn_all()

    def _hear_submission(self, event: JobSubmissionEvent, time: datetime) -> None:
        if event.code == EVENT_JOB_SUBMITTED:
            self._runs.begin(self._run(event, time))
        else:
            run = self._run(event, time, has_begun=False)
            self._runs.end(run, "failed", error="skipped: the job was at work already, as often as it may be at once")

    def _hear_end(self, event: JobExecutionEvent) -> None:
        run = self._run(event, event.scheduled_run_time)
        if event.code == EVENT_JOB_EXECUTED:
            self._runs.end(run, "succeeded", summary=_shown(event.retval))
        elif event.code == EVENT_JOB_MISSED:
            self._runs.end(run, "failed", error="missed: it could not begin within its misfire grace time")
        elif isinstance(event.exception, _CANCELLED):
            self._runs.end(run, "cancelled", error="the scheduler was shut down, or the job was cancelled")
        else:
            self._runs.end(run, "failed", error=_in_words(event.exception, event.traceback))

    def _run(self, event: JobEvent, time: datetime, *, has_begun: bool = True) -> Run:
        """Say which run this is: the same job and time is the same run, whichever event tells of it."""
        job, scheduled = event.job_id, time.astimezone(UTC).isoformat()
        metadata = {"scheduler": self._name, "scheduledAt": scheduled}
        source = _fitting(job, ID_BYTES_MAX)
        if source != job:
            metadata["jobId"] = job
        if event.jobstore != "default":
            metadata["jobstore"] = event.jobstore
        where = [] if self._name == "apscheduler" else [self._name]
        where += [] if event.jobstore == "default" else [_fitting(event.jobstore, KEY_BYTES_MAX // 8)]
        # Only what was learned when the job was added: to ask the scheduler now could wait for a lock that it holds
        # while it waits, at its shutdown, for the very thread that tells this.
        label, task = self._names.get((event.jobstore, job), (job, job))
        run_id = f"{'/'.join((*where, source))}@{scheduled}"
        return Run(
            id=run_id,
            job=source,
            task=task,
            label=label,
            metadata=metadata,
            at=self._runs.reporter.now(),
            has_begun=has_begun,
            more=self._more(job, run_id),
        )

    def _more(self, job_id: str, run_id: str) -> Mapping[str, Any]:
        """Return what else is said of a run; a program that cannot say it does not keep it from being recorded."""
        try:
            said = {} if self._about is None else dict(self._about(job_id, run_id))
            intake.created(**{"runtime": "cron", "task": job_id, **said})
        except Exception as error:  # noqa: BLE001 - others wrote it
            log.error("run_not_described", run=run_id, error=str(error))  # noqa: TRY400
            return {}
        return {name: value for name, value in said.items() if name not in _OF_A_RUN}

    def _learn_all(self) -> None:
        for job in self._scheduler.get_jobs():
            self._learn(job, job._jobstore_alias)  # noqa: SLF001 - a job does not say in public where it is stored

    def _learn(self, job: Job | None, jobstore: str | None) -> None:
        """Remember what a job is called."""
        if job is not None:
            label = _fitting(job.name, LABEL_BYTES_MAX)
            self._names[jobstore or "default", job.id] = label, getattr(job, "func_ref", None) or label
            while len(self._names) > NAMES_MAX:
                self._names.popitem(last=False)

    def _is_counted(self, job_id: str) -> bool:
        """Whether an executor counts a run of this job.

        An executor whose pool broke, or that was cancelled before it began, says nothing; it only counts down.
        """
        executors = tuple(self._scheduler._executors.values())  # noqa: SLF001 - nothing public counts runs
        return any(executor._instances.get(job_id) for executor in executors)  # noqa: SLF001


def _fitting(text: str, bytes_max: int) -> str:
    """Return a text that fits, the same for the same text: what is too long or odd ends in a digest of all of it."""
    raw = text.encode(errors="replace")
    if len(raw) <= bytes_max and text.isprintable() and text.strip() == text and text:
        return text
    digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
    printable = "".join(character for character in text if character.isprintable()).strip()
    kept = printable.encode(errors="replace")[: bytes_max - len(digest) - 1].decode(errors="ignore")
    return f"{kept}#{digest}"


def _shown(value: Any) -> str | None:
    """Return what a job returned, in short."""
    if value is None:
        return None
    try:
        text = value if isinstance(value, str) else _SHORT.repr(value)
    except Exception as error:  # noqa: BLE001 - how it looks is not worth more than that it succeeded
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return fields.report("summary", text, bytes_max=SUMMARY_BYTES_MAX)


def _in_words(error: BaseException | None, trace: str | None) -> str:
    """Return what a job raised, and where: its text first, then the innermost frames."""
    if error is None:
        return "it raised, and nobody knows what"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of somebody else's
        text = ""
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = "\n".join((trace or "").splitlines()[-TRACE_LINES_MAX:])
    told = fields.report("error", f"{said[: ERROR_BYTES_MAX // 2]}\n{frames}".rstrip(), bytes_max=ERROR_BYTES_MAX)
    return told or type(error).__name__
