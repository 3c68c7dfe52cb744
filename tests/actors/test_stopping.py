"""Stopping: what is recorded of work that somebody, or its deadline, wants to end, whatever its canceller answers."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.leases import Leases
from tallystick.actors.watching.stopping import Purpose, StopAnswered, Stopping
from tallystick.actors.watching.supervision import Canceller, Supervision
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskCancelled, TaskCancelRequested, TaskStarted, TaskTimedOut
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import ERROR_BYTES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.stopped import Stopped
from tests.actors.parts import PATIENCE_S, HandClock, fail, reached
from tests.story import STREAM, Story, created

CANCEL, LAST, DEADLINE = Purpose.CANCEL, Purpose.LAST, Purpose.DEADLINE


class Stops:
    """A `Stopping`, what it is told, and one running task that somebody wants stopped."""

    def __init__(self, *, limit_ms: int = 600_000) -> None:
        self.crew = Crew()
        self.calls: list[str] = []
        self.supervision = Supervision(Leases(HandClock()), kill=self.by("kill", Stopped(detail="killed")))
        self.messages: SimpleQueue[StopAnswered] = SimpleQueue()
        self.stopping = Stopping(self.supervision, self.crew, self.messages.put, limit_ms=limit_ms)

    def by(self, name: str, answer: Any) -> Canceller:
        def stop(_: TaskRecord) -> Any:
            self.calls.append(name)
            return fail(answer) if isinstance(answer, BaseException) else answer

        return stop

    def canceller(self, answer: Any) -> None:
        self.supervision.set_canceller(Runtime.SUBAGENT, self.by("registered", answer))

    def ask(self, purpose: Purpose, record: TaskRecord) -> AnyFact | None:
        return self.stopping.stop(STREAM, record, purpose)

    def answer(self) -> AnyFact | None:
        return self.stopping.answered(self.messages.get(timeout=PATIENCE_S))

    def whole(self, purpose: Purpose, record: TaskRecord) -> AnyFact | None:
        """Ask, and wait for the canceller if there is one."""
        fact = self.ask(purpose, record)
        return self.answer() if self.stopping.is_busy() else fact


@pytest.fixture
def stops() -> Iterator[Stops]:
    stops = Stops()
    yield stops
    stops.crew.close()
    with suppress(Empty):
        raise AssertionError(stops.messages.get_nowait())


def task(backing: dict[str, Any] | None = None) -> TaskRecord:
    story = Story(created(timeout_ms=5_000), TaskStarted(backing=backing), TaskCancelRequested(reason="enough"))
    return story.record


def confirmed(detail: str | None) -> TaskCancelled:
    return TaskCancelled(reason="enough", stopped=detail)


def unconfirmed(detail: str) -> TaskCancelled:
    return TaskCancelled(reason="enough", confirmed=False, stopped=detail)


def late(detail: str) -> TaskTimedOut:
    return TaskTimedOut(error=f"stopped after 5000 ms: {detail}")


def overdue(detail: str) -> TaskTimedOut:
    """An end by a deadline of work that nobody could stop: it may still run."""
    return TaskTimedOut(error=f"its time of 5000 ms is over: {detail}")


NOBODY = object()
FAILED = "the canceller failed: ValueError: no"


@pytest.mark.parametrize(
    ("answer", "purpose", "expected"),
    [
        (Stopped(detail="2 processes"), CANCEL, confirmed("2 processes")),
        (Stopped(detail="2 processes"), LAST, confirmed("2 processes")),
        (Stopped(detail="2 processes"), DEADLINE, late("2 processes")),
        (Stopped(), DEADLINE, TaskTimedOut(error="stopped after 5000 ms")),
        (Stopped(confirmed=False, detail="asked it"), CANCEL, None),
        (Stopped(confirmed=False, detail="asked it"), LAST, unconfirmed("asked it")),
        (Stopped(confirmed=False), LAST, unconfirmed("nobody said that it stopped")),
        (Stopped(confirmed=False, detail="asked it"), DEADLINE, overdue("asked it")),
        (ValueError("no"), CANCEL, None),
        (ValueError("no"), LAST, unconfirmed(FAILED)),
        (ValueError("no"), DEADLINE, overdue(FAILED)),
        (True, LAST, unconfirmed("the canceller failed: it answered bool, not Stopped")),
        (NOBODY, CANCEL, None),
        (NOBODY, LAST, unconfirmed("nobody said that it stopped")),
        (NOBODY, DEADLINE, overdue("nobody could stop it")),
    ],
)
def test_what_is_recorded_follows_from_the_answer_and_the_purpose(
    stops: Stops, answer: Any, purpose: Purpose, expected: AnyFact | None
) -> None:
    if answer is not NOBODY:
        stops.canceller(answer)
    assert expected == stops.whole(purpose, task())
    assert not stops.stopping.is_busy()


def test_a_canceller_that_was_tried_in_vain_is_not_asked_again_when_the_time_is_over(stops: Stops) -> None:
    stops.canceller(Stopped(confirmed=False, detail="asked it"))
    assert stops.whole(CANCEL, task()) is None
    assert unconfirmed("asked it") == stops.ask(LAST, task())
    assert ["registered"] == stops.calls
    stops.stopping.forget(STREAM)
    assert unconfirmed("asked it") == stops.whole(LAST, task())
    assert ["registered", "registered"] == stops.calls


def test_one_canceller_at_a_time_is_at_work_on_a_task_for_whatever_reasons(stops: Stops) -> None:
    gate = threading.Event()
    stops.supervision.set_canceller(Runtime.SUBAGENT, lambda _: Stopped() if reached(gate) else None)  # type: ignore[arg-type,return-value]
    assert stops.ask(CANCEL, task()) is None
    assert stops.stopping.is_under_way(STREAM)
    for purpose in Purpose:
        assert stops.ask(purpose, task()) is None
    gate.set()
    assert confirmed(None) == stops.answer()
    assert not stops.stopping.is_under_way(STREAM)


def test_a_canceller_that_hangs_is_given_up_at_its_limit() -> None:
    stops = Stops(limit_ms=20)
    gate = threading.Event()
    stops.supervision.set_canceller(Runtime.SUBAGENT, lambda _: Stopped() if reached(gate) else None)  # type: ignore[arg-type,return-value]
    assert stops.whole(CANCEL, task()) is None
    assert unconfirmed("the canceller failed: Unanswered: no answer within 0.02 s") == stops.ask(LAST, task())
    assert overdue("the canceller failed: Unanswered: the last call of it has not come back") == stops.whole(
        DEADLINE, task()
    )
    gate.set()
    stops.crew.close()


@pytest.mark.parametrize(
    "answer", [ValueError("\ud800" * 50_000), Stopped(detail="é" * 50_000)], ids=["error", "detail"]
)
def test_what_a_canceller_says_at_length_fits_into_a_fact(stops: Stops, answer: Any) -> None:
    stops.canceller(answer)
    fact = stops.whole(DEADLINE, task())
    assert isinstance(fact, TaskTimedOut)
    assert fact.error is not None
    assert len(fact.error.encode()) <= ERROR_BYTES_MAX
