"""Stopping: who is being stopped, by whom, and what is to be recorded when that is done."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.supervision import Supervision, in_words
from tallystick.ledger import intake
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.tasks import TaskCancelled, TaskTimedOut
from tallystick.ledger.ids import id_text
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.stopped import Stopped

log = logger("actors")

MS_PER_S = 1_000


class Purpose(StrEnum):
    """Why work is to stop."""

    CANCEL = "cancel"
    """Somebody asked for it."""

    LAST = "last"
    """Somebody asked for it, and nobody has said in time that it stopped."""

    DEADLINE = "deadline"
    """Its time is over."""


class StopAnswered(Struct, frozen=True):
    """A canceller has answered, or something took its answer's place."""

    stream: bytes
    record: TaskRecord
    purpose: Purpose
    answer: Any


class Stopping:
    """Calls cancellers on the crew, each task's one at a time, and turns their answers into facts."""

    def __init__(
        self,
        supervision: Supervision,
        crew: Crew,
        put: Callable[[StopAnswered], None],
        *,
        limit_ms: int,
    ) -> None:
        self._supervision, self._crew, self._put = supervision, crew, put
        self._limit_ms = limit_ms
        self._under_way: dict[bytes, Purpose] = {}
        self._tried: dict[bytes, str | None] = {}

    def is_busy(self) -> bool:
        """Whether a canceller is at work."""
        return bool(self._under_way)

    def is_under_way(self, stream: bytes) -> bool:
        """Whether a canceller is at work on this task: what it finds gone then, it stopped itself."""
        return stream in self._under_way

    def forget(self, stream: bytes) -> None:
        """The task has ended."""
        self._tried.pop(stream, None)

    def stop(self, stream: bytes, record: TaskRecord, purpose: Purpose) -> TaskFact | None:
        """Have the work behind a task stopped; returns what is to be recorded now, if anything is."""
        if stream in self._under_way:
            return None  # whoever is at it stops it for all reasons
        canceller = self._supervision.canceller(record)
        if canceller is None or (purpose is Purpose.LAST and stream in self._tried):
            return self._unstopped(stream, record, purpose)
        self._under_way[stream] = purpose
        self._crew.call(
            f"stop {record.runtime.value}",
            stream,
            canceller,
            record,
            limit_s=max(self._limit_ms, 1) / MS_PER_S,
            done=lambda answer: self._put(StopAnswered(stream, record, purpose, answer)),
        )
        return None

    def answered(self, message: StopAnswered) -> TaskFact | None:
        """Take a canceller's answer; returns what is to be recorded of the task, if anything is."""
        stream, record, purpose = message.stream, message.record, message.purpose
        self._under_way.pop(stream, None)
        kind = f"stop {record.runtime.value}"
        self._supervision.asked[kind] += 1
        stopped = message.answer
        if not isinstance(stopped, Stopped):
            self._supervision.failed[kind] += 1
            stopped = Stopped(confirmed=False, detail=f"the canceller failed: {_in_words(stopped)}")
            error = self._supervision.words(stopped.detail or "")
            log.error("canceller_failed", task=id_text(stream), runtime=record.runtime.value, error=error)
        if purpose is Purpose.DEADLINE:
            return _timed_out(record, stopped)
        if stopped.confirmed:
            return TaskCancelled(reason=record.cancel_reason, stopped=stopped.detail)
        self._tried[stream] = stopped.detail
        return self._unstopped(stream, record, purpose)

    def _unstopped(self, stream: bytes, record: TaskRecord, purpose: Purpose) -> TaskFact | None:
        """Nobody could stop it: a cancel waits for whoever runs the work to say so, until its time is over."""
        if purpose is Purpose.DEADLINE:
            return _timed_out(record, Stopped(confirmed=False, detail="nobody could stop it"))
        if purpose is Purpose.LAST:
            detail = self._tried.get(stream) or "nobody said that it stopped"
            return TaskCancelled(reason=record.cancel_reason, confirmed=False, stopped=detail)
        return None


def _timed_out(record: TaskRecord, stopped: Stopped) -> TaskTimedOut:
    """What is told of an end by a deadline: stopped, or only that its time is over."""
    what = (
        f"stopped after {record.timeout_ms} ms" if stopped.confirmed else f"its time of {record.timeout_ms} ms is over"
    )
    return intake.timed_out(f"{what}: {stopped.detail}" if stopped.detail else what)


def _in_words(answer: object) -> str:
    if isinstance(answer, BaseException):
        return in_words(answer)
    return f"it answered {type(answer).__name__}, not Stopped"
