"""What a task has open: opened and closed by the work, cleaned up once by others when the work has ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt, InvalidInput, Refused
from tallystick.ledger.events import TaskFact
from tallystick.ledger.evolve import evolve, fold
from tallystick.ledger.facts.resources import (
    TaskCleanedUp,
    TaskCleanupBegun,
    TaskResourceClosed,
    TaskResourceOpened,
)
from tallystick.ledger.facts.tasks import TaskHeld, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.limits import RESOURCES_MAX
from tallystick.ledger.refusal import Refusal
from tallystick.ledger.resources import Resource
from tests import leftovers
from tests import strategies as some
from tests.ledger.stories import THEN_MS, ended, running
from tests.story import STEP_MS, Story, created, differences, evidence, refusal

TAB = TaskResourceOpened(kind="browser_tab", name="tab-17", evidence={"profile": "work"})
CLOSED = TaskResourceClosed(kind="browser_tab", name="tab-17")
CLEANED = TaskCleanedUp(closed=("browser_tab tab-17",))


def left_open() -> Story:
    return Story(created(), TaskStarted(), TAB, TaskSucceeded())


def test_what_the_work_opens_is_known_until_it_is_closed() -> None:
    story = running()
    story.tell(TAB)
    tab = Resource("browser_tab", "tab-17", THEN_MS + STEP_MS, {"profile": "work"})
    assert [tab] == [*story.record.resources]
    assert () == story.ask(TAB)
    story.tell(CLOSED)

    assert [] == [*story.record.resources]
    assert () == story.ask(CLOSED)


def test_work_that_is_queued_may_have_something_open_already() -> None:
    story = Story(created(), TAB)

    assert 1 == len(story.record.resources)


def test_a_cleanup_begins_once_when_the_work_has_ended_and_has_left_something_open() -> None:
    story = left_open()
    refusal(running().ask(TaskCleanupBegun()), Refused)
    assert () == ended().ask(TaskCleanupBegun())
    assert (TaskCleanupBegun(),) == story.tell(TaskCleanupBegun())

    assert () == story.ask(TaskCleanupBegun())
    assert story.now_ms == story.record.cleanup_begun_at


def test_a_cleanup_ends_once_and_then_nothing_is_remembered_of_it() -> None:
    story = left_open()
    refusal(running().ask(CLEANED), Refused)
    assert () == story.ask(CLEANED)
    story.tell(TaskCleanupBegun())
    assert (CLEANED,) == story.tell(CLEANED)

    assert ((), None) == (story.record.resources, story.record.cleanup_begun_at)
    assert () == story.ask(CLEANED)
    assert () == story.ask(TaskCleanupBegun())


def test_neither_the_outcome_nor_the_version_that_somebody_knows_changes_by_it() -> None:
    story = left_open()
    seen = story.record
    assert {"cleanup_begun_at": story.now_ms, "work_version": seen.version} == differences(story, TaskCleanupBegun())
    story.tell(TaskCleanupBegun())
    story.tell(CLEANED)

    assert not isinstance(story.ask(TaskHeld(), expected_version=seen.version), Refusal)


def test_what_is_opened_after_the_end_is_a_late_signal_and_what_is_closed_then_is_nothing_new() -> None:
    late = evidence(ended().ask(TAB))

    assert late is not None
    assert ("open", {"kind": "browser_tab", "name": "tab-17", "evidence": {"profile": "work"}}) == (
        late.signal,
        late.content,
    )
    assert () == left_open().ask(CLOSED)


def test_a_task_has_no_more_open_than_its_bound_and_better_evidence_is_no_more() -> None:
    story = running()
    for number in range(RESOURCES_MAX):
        story.tell(TaskResourceOpened(kind="tab", name=f"{number}"))

    refusal(story.ask(TAB), InvalidInput)
    better = TaskResourceOpened(kind="tab", name="3", evidence={"window": 1})
    assert (better,) == story.tell(better)
    assert RESOURCES_MAX == len(story.record.resources)


def test_a_task_that_left_something_open_is_not_pruned_before_that_is_settled() -> None:
    story = left_open()
    refusal(story.ask(TaskPruned()), Refused)
    story.tell(TaskCleanupBegun())
    refusal(story.ask(TaskPruned()), Refused)
    story.tell(CLEANED)

    assert isinstance(story.ask(TaskPruned()), tuple)


@pytest.mark.parametrize("fact", [TaskCleanupBegun(), CLEANED])
def test_a_log_in_which_work_is_cleaned_up_before_its_end_is_damaged(fact: TaskFact) -> None:
    story = running()
    with pytest.raises(Corrupt):
        evolve(story.record, story.next_event(fact))


@given(
    some.stories(
        st.one_of(leftovers.openings, leftovers.closings, leftovers.cleanups, some.outcomes, some.starts), most=30
    )
)
def test_whatever_is_told_a_cleanup_begins_at_most_once_and_ends_as_often_as_it_begins(story: Story) -> None:
    kinds = [type(fact) for fact in story.facts]

    assert kinds.count(TaskCleanupBegun) <= 1
    assert kinds.count(TaskCleanedUp) <= kinds.count(TaskCleanupBegun)
    assert fold(story.events) == story.record_or_none
    if kinds.count(TaskCleanedUp):
        assert () == story.record.resources
