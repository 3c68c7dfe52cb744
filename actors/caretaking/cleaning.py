"""Cleaning: closes what tasks have left open when they ended, each thing once, and says what became of it."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from tallystick.actors.caretaking.closers import Closers
from tallystick.actors.caretaking.pen import Pen, Written
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.supervision import in_words
from tallystick.ledger import fields
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun
from tallystick.ledger.ids import id_text
from tallystick.ledger.limits import CLOSING_ERROR_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.resources import OpenResource, Resource
from tallystick.ledger.stopped import Stopped

log = logger("actors")

MS_PER_S = 1_000
KEY = "cleanup"

INTERRUPTED = "interrupted: the process that was closing it ended, and nobody knows how far it got"
"""What is recorded of what an earlier owner began to close: it is not closed twice."""


class Closed(Struct, frozen=True):
    """A closer has answered, or something took its answer's place."""

    stream: bytes
    label: str
    answer: Any


class _Job(Struct, eq=False):
    """A task whose things are being closed."""

    stream: bytes
    open: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    is_unwritten: bool = False

    def outcome(self) -> TaskCleanedUp:
        """Say what became of it."""
        return TaskCleanedUp(closed=tuple(self.closed), failed=self.failed or None)


class Cleaning:
    """Calls closers on the crew when it is durable that they are called. Owned by one thread."""

    def __init__(self, closers: Closers, crew: Crew, pen: Pen, put: Callable[[Closed], None], *, limit_ms: int) -> None:
        self._closers, self._crew, self._pen, self._put = closers, crew, pen, put
        self._limit_s = limit_ms / MS_PER_S
        self._jobs: dict[bytes, _Job] = {}

    def is_busy(self) -> bool:
        """Whether something is being closed, or written of it."""
        return any(not job.is_unwritten for job in self._jobs.values())

    def is_behind(self) -> bool:
        """Whether something could not be written, and is to be written again."""
        return any(job.is_unwritten for job in self._jobs.values())

    def see_to(self, record: TaskRecord) -> None:
        """Close what a task that has ended left open, if nobody does or did."""
        stream = record.stream
        if stream in self._jobs or record.is_active or not record.resources:
            return
        job = self._jobs[stream] = _Job(stream)
        if record.cleanup_begun_at is None:
            self._pen.write(stream, KEY, TaskCleanupBegun)
        else:
            job.failed.update((resource.label, INTERRUPTED) for resource in record.resources)
            self._write(job)

    def written(self, written: Written) -> None:
        """Take note that a cleanup is begun, or that it is over."""
        job = self._jobs[written.stream]
        if isinstance(written.fact, TaskCleanedUp):
            if written.is_decided:
                del self._jobs[written.stream]
            else:
                job.is_unwritten = True
        elif written.error is not None or written.record is None or written.record.cleanup_begun_at is None:
            del self._jobs[written.stream]  # it is not begun: whoever looks again finds it
        else:
            self._close_all(job, written.record)

    def rewrite(self) -> None:
        """Write again what could not be written."""
        for job in [job for job in self._jobs.values() if job.is_unwritten]:
            job.is_unwritten = False
            self._write(job)

    def answered(self, message: Closed) -> None:
        """Take a closer's answer."""
        job = self._jobs[message.stream]
        problem = _problem(message.answer)
        job.open.discard(message.label)
        if problem is None:
            job.closed.append(message.label)
        else:
            job.failed[message.label] = problem
            log.error("resource_not_closed", task=id_text(job.stream), resource=message.label, error=problem)
        if not job.open:
            self._write(job)

    def _close_all(self, job: _Job, record: TaskRecord) -> None:
        for resource in record.resources:
            if self._closers.of(resource.kind) is None:
                job.failed[resource.label] = f"nobody closes what is a {resource.kind}"[:CLOSING_ERROR_BYTES_MAX]
            else:
                job.open.add(resource.label)
        for resource in record.resources:
            if resource.label in job.open:
                self._close(resource, record)
        if not job.open:
            self._write(job)

    def _close(self, resource: Resource, record: TaskRecord) -> None:
        stream, label = record.stream, resource.label
        closer = self._closers.of(resource.kind)
        assert closer is not None, "it was there a moment ago, and nobody takes one away"
        self._crew.call(
            f"close {resource.kind}",
            stream + label.encode(),
            closer,
            OpenResource(
                kind=resource.kind,
                name=resource.name,
                evidence=resource.evidence or {},
                task_id=record.task_id,
                session=record.child_session_key,
            ),
            limit_s=self._limit_s,
            done=lambda answer: self._put(Closed(stream, label, answer)),
        )

    def _write(self, job: _Job) -> None:
        self._pen.write(job.stream, KEY, job.outcome)


def _problem(answer: object) -> str | None:
    """Return why something is not known to be closed, None when it is."""
    if isinstance(answer, BaseException):
        said = in_words(answer)
    elif isinstance(answer, Stopped) and not answer.confirmed:
        said = answer.detail or "nobody said that it was closed"
    else:
        return None
    return fields.report("error", said, bytes_max=CLOSING_ERROR_BYTES_MAX, controls=False) or type(answer).__name__
