"""Inferences: what the ledger itself concludes leaves no trace when it was wrong, and never speaks over a report."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tallystick.ledger.commands import Command
from tallystick.ledger.decide import MISSING_SINCE, RULE_DEAD, RULE_GRACE, decide
from tallystick.ledger.errors import Pruned, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.judge import inferred
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.refusal import NOTHING, Facts, Refusal
from tallystick.ledger.verdict import Verdict
from tests import strategies as some
from tests.story import TASK_ID, Story, created

SELDOM_ACTIVE_OR_NOT = settings(suppress_health_check=[HealthCheck.filter_too_much])
"""Of the stories that are drawn few are as a test wants them; there are enough."""

inferences: st.SearchStrategy[AnyFact] = st.one_of(
    some.misses,
    some.restorations,
    some.losses,
    st.builds(TaskLost, rule=st.just(RULE_GRACE), evidence=st.builds(dict, missingSince=st.none() | some.times)),
    some.outcomes,
)


def ask(story: Story, data: AnyFact) -> Facts | Refusal:
    """Return what becomes of an inference; nothing happens."""
    return decide(story.record_or_none, Command(data, "supervisor", inferred=True), token=TASK_ID)


def missed() -> Story:
    return Story(created(), TaskStarted(), TaskBackingMissed(evidence={}))


def by_grace(since: Any) -> TaskLost:
    return TaskLost(rule=RULE_GRACE, evidence={MISSING_SINCE: since})


@SELDOM_ACTIVE_OR_NOT
@given(some.stories(), inferences)
def test_an_inference_about_a_task_that_has_ended_leaves_no_trace(story: Story, data: AnyFact) -> None:
    assume(not story.record.is_active)
    answer = ask(story, data)

    if isinstance(answer, Refusal):
        assert answer.evidence is None
        assert type(answer.error) in {Refused, Pruned}
    elif answer != NOTHING:
        (recovered,) = answer
        assert isinstance(recovered, TaskRecovered)
        assert Status.LOST is story.record.status


@given(some.stories(st.one_of(some.misses, some.restorations, some.progress, some.starts)), inferences)
def test_an_inference_about_an_active_task_is_decided_as_a_report_is(story: Story, data: AnyFact) -> None:
    assume(story.record.is_active)
    assert repr(ask(story, data)) == repr(story.ask(data))


@SELDOM_ACTIVE_OR_NOT
@given(some.stories(), some.reports)
def test_a_report_that_comes_too_late_is_kept_and_an_inference_that_says_the_same_is_not(
    story: Story, data: AnyFact
) -> None:
    answer = story.ask(data)
    assume(isinstance(answer, Refusal) and answer.evidence is not None)
    silent = ask(story, data)
    assert isinstance(silent, Refusal)
    assert silent.evidence is None


@SELDOM_ACTIVE_OR_NOT
@given(some.stories(st.one_of(some.misses, some.restorations, some.progress, some.starts)), some.times)
def test_a_loss_by_grace_is_only_of_the_miss_that_it_names(story: Story, since: int) -> None:
    record = story.record
    assume(record.is_active and since != record.backing_missed_at)
    for named in (since, None, str(record.backing_missed_at)):
        if named is None and record.backing_missed_at is None:
            continue
        assert isinstance(ask(story, by_grace(named)), Refusal)
    if record.backing_missed_at is not None:
        assert (by_grace(record.backing_missed_at),) == ask(story, by_grace(record.backing_missed_at))
    dead = TaskLost(rule=RULE_DEAD, evidence={})
    assert (dead,) == ask(story, dead)


RETURNS: list[Callable[[Story], object]] = [
    lambda story: story.tell(TaskProgressed(message="here")),
    lambda story: story.tell(TaskBackingRestored(evidence={})),
]


@pytest.mark.parametrize("comes_back", RETURNS, ids=["progress", "a probe"])
@pytest.mark.parametrize("is_missed_again", [False, True])
def test_who_came_back_while_a_loss_was_on_its_way_is_not_lost(
    comes_back: Callable[[Story], object],
    is_missed_again: bool,  # noqa: FBT001
) -> None:
    story = missed()
    since = story.record.backing_missed_at or 0
    loss = inferred(story.record, Verdict.missing(), since + 300_000, grace_ms=300_000)
    assert loss is not None
    assert (loss,) == ask(story, loss)

    comes_back(story)
    if is_missed_again:
        story.tell(TaskBackingMissed(evidence={}))
    assert isinstance(ask(story, loss), Refusal)
    assert Status.RUNNING is story.record.status


def test_progress_ends_a_miss_and_says_so_before_it_is_told() -> None:
    story = missed()
    progress = TaskProgressed(message="here")
    assert (TaskBackingRestored(evidence={"signal": "progress"}), progress) == story.tell(progress)
    assert story.record.backing_missed_at is None
    assert (progress,) == story.tell(progress)


@given(some.stories(), some.progress)
def test_who_reports_progress_is_not_missing(story: Story, progress: TaskProgressed) -> None:
    answer = story.tell(progress)
    if not isinstance(answer, Refusal):
        assert story.record.backing_missed_at is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (TaskSucceeded(summary="42"), Status.SUCCEEDED),
        (TaskFailed(error="no"), Status.FAILED),
        (TaskTimedOut(), Status.TIMED_OUT),
        (TaskCancelled(stopped="2 processes"), Status.CANCELLED),
    ],
)
def test_what_a_runtime_has_on_record_recovers_a_lost_task_and_changes_no_other_end(
    data: AnyFact, status: Status
) -> None:
    lost = Story(created(), TaskStarted(), TaskLost(rule=RULE_DEAD, evidence={}))
    answer = ask(lost, data)
    assert not isinstance(answer, Refusal)
    assert [status] == [fact.status for fact in answer if isinstance(fact, TaskRecovered)]

    ended = Story(created(), TaskStarted(), TaskFailed(error="something else"))
    assert isinstance(ask(ended, data), Refusal)


def test_that_nobody_said_that_it_stopped_does_not_recover_a_lost_task() -> None:
    """It is an inference, too: nobody observed anything. A report of the same is one."""
    lost = Story(created(), TaskStarted(), TaskLost(rule=RULE_DEAD, evidence={}))
    guess = TaskCancelled(confirmed=False, stopped="nobody said that it stopped")
    answer = ask(lost, guess)
    assert isinstance(answer, Refusal)
    assert answer.evidence is None
    assert not isinstance(lost.ask(guess), Refusal)
