"""What the ledger itself says of what it was told has no secret, and the marks of what it repeats."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Stopped, Verdict
from tallystick.ledger.decide import MISSING_SINCE
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.flows import FlowCreated
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskCancelled,
    TaskCancelRequested,
    TaskLateSignal,
    TaskLost,
    TaskRecovered,
)
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.watched import watched
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.redacting.parts import SECRET, failing, named
from tests.redacting.test_hooks import is_nowhere

CANCEL_IS_OVER, GRACE = 30_000, 300_000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ledger(folder: Path, clock: HandClock) -> Iterator[Ledger]:
    with tallystick.open(folder, clock=clock, redact_stored=named) as ledger:
        yield ledger
        assert ledger.verify().ok
    assert is_nowhere(folder)


def running(ledger: Ledger, runtime: str = "subagent", **more: Any) -> Task:
    task = ledger.create(**{"runtime": runtime, "task": "work", "owner": "agent:main:main", "notify": "silent", **more})
    task.start()
    return task


def last(ledger: Ledger, kind: type[Fact], token: str) -> Any:
    return [event.data for event in ledger.timeline(token) if isinstance(event.data, kind)][-1]


def marks(ledger: Ledger, kind: type[Fact], token: str) -> tuple[str, ...]:
    found: tuple[str, ...] = last(ledger, kind, token).redacted
    return found


def judged(ledger: Ledger, verdict: object) -> None:
    """Have the probe of subagents answer this, or raise it."""

    def probe(_task: object) -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    ledger.probe("subagent", probe)
    ledger.sweep()


# What probes say.


def test_what_proves_a_death_has_no_secret_and_the_event_says_that_it_had(ledger: Ledger) -> None:
    task = running(ledger)

    judged(ledger, Verdict.dead({"detail": f"401 {SECRET}", "status": 401}))

    lost = last(ledger, TaskLost, task.id)
    assert ({"detail": f"401 {REDACTED}", "status": 401}, f"401 {REDACTED}") == (lost.evidence, lost.error)
    assert {"evidence", "error"} == set(lost.redacted)


def test_a_grace_is_counted_from_a_miss_whatever_was_taken_out_of_its_evidence(
    ledger: Ledger, clock: HandClock
) -> None:
    task = running(ledger)
    ledger.redact(failing(ValueError()), stored=True)
    judged(ledger, Verdict.missing({"at": f"/?key={SECRET}"}))
    missed, missed_at = last(ledger, TaskBackingMissed, task.id), clock()
    clock.advance(GRACE)

    ledger.sweep()

    lost = last(ledger, TaskLost, task.id)
    assert ({"at": REDACTED}, ("evidence",)) == (missed.evidence, missed.redacted)
    assert (REDACTED, missed_at) == (lost.evidence["at"], lost.evidence[MISSING_SINCE])


@pytest.mark.parametrize("answer", [Verdict.unknown(f"401 {SECRET}"), OSError(f"401 {SECRET}")], ids=["said", "raised"])
def test_that_a_probe_cannot_tell_is_noted_and_logged_without_the_secret_why(
    ledger: Ledger, answer: object, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running(ledger)

    with caplog.at_level(logging.ERROR):
        judged(ledger, answer)

    with DiskLog.open(folder / "log", readonly=True) as log:
        [unknown] = watched(log).unknown.values()
    assert f"401 {REDACTED}" in (unknown.detail or "")
    assert SECRET not in "".join(map(repr, map(vars, caplog.records)))


def test_that_a_canceller_failed_is_logged_and_recorded_without_the_secret_why(
    ledger: Ledger, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(_task: object) -> Stopped:
        raise OSError(f"401 {SECRET}")

    ledger.canceller("subagent", stop)
    task = running(ledger)
    task.cancel(wait_ms=0)
    with caplog.at_level(logging.ERROR):
        ledger.sweep()
    clock.advance(CANCEL_IS_OVER)

    ledger.sweep()

    cancelled = last(ledger, TaskCancelled, task.id)
    assert (f"the canceller failed: OSError: 401 {REDACTED}", ("stopped",)) == (cancelled.stopped, cancelled.redacted)
    assert SECRET not in "".join(map(repr, map(vars, caplog.records)))


# What is said again.


def test_a_cancel_that_nobody_confirmed_says_why_with_the_mark_of_the_request(ledger: Ledger, clock: HandClock) -> None:
    task = running(ledger)
    task.cancel(f"it leaks {SECRET}", wait_ms=0)
    clock.advance(CANCEL_IS_OVER)

    ledger.sweep()

    cancelled = last(ledger, TaskCancelled, task.id)
    assert (f"it leaks {REDACTED}", ("reason",)) == (cancelled.reason, cancelled.redacted)


def test_a_loss_that_was_a_cancel_says_why_with_the_mark_of_the_request(ledger: Ledger) -> None:
    task = running(ledger)
    task.cancel(f"it leaks {SECRET}", wait_ms=0)
    task.settle("lost", "nobody knows")

    task.cancelled(stopped="all of it")

    recovered = last(ledger, TaskRecovered, task.id)
    assert (f"it leaks {REDACTED}", ("error",)) == (recovered.error, recovered.redacted)


def test_who_says_late_why_it_was_cancelled_says_it_with_the_mark_of_the_request(ledger: Ledger) -> None:
    task = running(ledger)
    reason = task.cancel(f"it leaks {SECRET}", wait_ms=0).cancel_reason
    task.succeed()

    with pytest.raises(tallystick.Refused):
        task.cancelled(reason)

    late = last(ledger, TaskLateSignal, task.id)
    assert ({"reason": f"it leaks {REDACTED}"}, ("content",)) == (late.content, late.redacted)


def test_what_came_late_has_its_mark_on_the_signal_and_none_among_what_it_said(ledger: Ledger) -> None:
    task = running(ledger)
    task.succeed()

    with pytest.raises(tallystick.Refused):
        task.fail(f"it leaks {SECRET}")

    late = last(ledger, TaskLateSignal, task.id)
    assert ({"error": f"it leaks {REDACTED}"}, ("content",)) == (late.content, late.redacted)


def test_who_says_the_same_word_without_having_had_a_secret_gets_no_mark(ledger: Ledger) -> None:
    task = running(ledger)
    task.cancel(f"it says {REDACTED}", wait_ms=0)

    task.cancelled(f"it says {REDACTED}")

    assert () == marks(ledger, TaskCancelled, task.id)


def test_why_it_was_cancelled_has_no_mark_for_what_stood_beside_a_secret(ledger: Ledger) -> None:
    task = running(ledger, metadata={"env": "a", "key": SECRET})
    task.cancel("somebody asked for it", wait_ms=0)

    task.cancelled("somebody asked for it")

    assert () == marks(ledger, TaskCancelled, task.id)


def test_what_a_flow_asks_of_its_tasks_has_the_mark_of_what_it_was_told(ledger: Ledger) -> None:
    flow = ledger.flows.create(owner="agent:main:main", goal="g", controller="bot")
    task = running(ledger, flow=flow.id)

    flow.cancel(f"it leaks {SECRET}", wait_ms=0)
    ledger.sweep()

    asked = last(ledger, TaskCancelRequested, task.id)
    assert ("with its flow", True, ("reason",)) == (asked.reason[:13], asked.reason.endswith(REDACTED), asked.redacted)


@pytest.mark.parametrize("field", ["task", "label"])
def test_the_goal_of_a_flow_that_mirrors_a_task_has_the_mark_of_what_that_says(ledger: Ledger, field: str) -> None:
    marked, plain = (
        running(ledger, notify="done_only", **{field: text}) for text in (f"use {SECRET}", f"use {REDACTED}")
    )

    for task in marked, plain:
        ledger.flows.cancel(mirror_of(task.id), wait_ms=0)

    assert (("goal",), ()) == (
        marks(ledger, FlowCreated, mirror_of(marked.id)),
        marks(ledger, FlowCreated, mirror_of(plain.id)),
    )
