"""What no stream can tell: a fact that cannot follow is damage, and says where."""

import pytest

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import evolve, fold
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskHeld,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import Status
from tests.story import BEGIN_MS, STEP_MS, Story, created


def late(place: int = 0) -> TaskLateSignal:
    return TaskLateSignal(signal="fail", status=Status.SUCCEEDED, content={"error": f"boom {place}"})


def test_a_task_begins_with_its_creation() -> None:
    with pytest.raises(Corrupt, match=r"at position 1: .* begins with task-started\.1"):
        Story().happen([TaskStarted()])


def test_a_task_is_created_once_and_first() -> None:
    second = Story(created()).next_event(created())

    with pytest.raises(Corrupt, match=r"at position 2: .* is created at version 2"):
        evolve(None, second)
    with pytest.raises(Corrupt, match=r"at position 2: .* is created twice"):
        Story(created()).happen([created()])


@pytest.mark.parametrize(
    ("told", "data"),
    [
        ((), TaskProgressed()),
        ((TaskSucceeded(),), TaskStarted()),
        ((TaskSucceeded(),), TaskProgressed()),
        ((TaskSucceeded(),), TaskCancelRequested()),
        ((TaskSucceeded(),), TaskBackingMissed(evidence={})),
        ((TaskSucceeded(),), TaskBackingRestored(evidence={})),
        ((), late()),
        ((), TaskPruned()),
        ((TaskSucceeded(), TaskHeld()), TaskPruned()),
        ((TaskSucceeded(), TaskPruned()), TaskPruned()),
        ((TaskSucceeded(),), TaskPruned(status=Status.FAILED, ended_at=BEGIN_MS + 2 * STEP_MS)),
        ((TaskSucceeded(),), TaskPruned(status=Status.SUCCEEDED, ended_at=BEGIN_MS)),
        ((), TaskCleanupStamped(cleanup_after=1)),
        ((TaskLost(rule="gone", evidence={}),), TaskSucceeded()),
        ((TaskLost(rule="gone", evidence={}),), TaskSettled(status=Status.FAILED, reason="enough")),
        ((), TaskSettled(status=Status.RUNNING, reason="enough")),
        ((), TaskRecovered(status=Status.FAILED, corrects=1, signal="fail")),
    ],
)
def test_what_the_rules_never_write_is_damage(told: tuple[AnyFact, ...], data: AnyFact) -> None:
    story = Story(created(), *told)

    with pytest.raises(Corrupt, match="cannot follow") as damage:
        story.happen([data])
    assert story.position + 1 == damage.value.position


def test_a_stream_with_a_gap_is_damage() -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded())

    with pytest.raises(Corrupt, match=r"at position 3: .* has version 1, then 3"):
        fold([story.events[0], story.events[2]])


def test_an_empty_history_tells_nothing() -> None:
    assert fold([]) is None
