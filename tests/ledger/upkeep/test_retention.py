"""Until when a task or a flow is kept, and by which rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryFailed
from tallystick.ledger.facts.resources import TaskResourceOpened
from tallystick.ledger.facts.tasks import TaskHeld, TaskPruned, TaskReleased, TaskStarted, TaskSucceeded
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.flows.mirror import mirrored
from tallystick.ledger.intake import stamped
from tallystick.ledger.lifecycle import FlowStatus, Status
from tallystick.ledger.limits import FUTURE_END_MS, RETENTION_TERMINAL_MS
from tallystick.ledger.upkeep.deeds import command_of
from tallystick.ledger.upkeep.finding import Action, Kind
from tallystick.ledger.upkeep.plan import pruning
from tallystick.ledger.upkeep.retention import Family, Keeping, Rule, keeping, keeping_flow, keeping_mirror
from tallystick.ledger.upkeep.times import cleanup_time
from tests import strategies as some
from tests.announced import Announced, asked
from tests.ledger.flows.tale import Tale
from tests.ledger.upkeep.cases import NAME
from tests.story import OTHER_ID, TASK_ID, Story, created

WEEK_MS = RETENTION_TERMINAL_MS
DONE = (TaskStarted(), TaskSucceeded())


def kept(story: Story, after_ms: int = WEEK_MS, **more: Any) -> Keeping:
    """Return why a task that has just done its last thing is kept a while later, as long as a week."""
    return keeping(story.record, story.now_ms + after_ms, **{"kept_ms": WEEK_MS, **more})


def test_a_task_is_kept_for_seven_days_and_not_a_millisecond_longer() -> None:
    story = Story(created(), *DONE)
    until = (story.record.ended_at or 0) + WEEK_MS

    assert Keeping(Rule.RETENTION, "its retention ends 7 d after its end", until) == kept(story, WEEK_MS - 1)
    assert Keeping(Rule.OVER, "its retention ended 7 d after its end", until) == kept(story, WEEK_MS)
    assert until == cleanup_time(story.record, story.now_ms, WEEK_MS)


def test_what_is_kept_for_no_time_is_over_at_once() -> None:
    assert kept(Story(created(), *DONE), 0, kept_ms=0).is_over


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ((), Rule.ACTIVE),
        ((TaskStarted(),), Rule.ACTIVE),
        ((*DONE, TaskHeld()), Rule.HELD),
        ((TaskStarted(), TaskResourceOpened(kind="tab", name="t-1"), TaskSucceeded()), Rule.RESOURCES),
    ],
)
def test_who_still_needs_a_task_keeps_it_however_old_it_is(told: tuple[AnyFact, ...], rule: Rule) -> None:
    why = kept(Story(created(), *told), 10 * WEEK_MS)

    assert (rule, None) == (why.rule, why.until)


def test_a_release_lets_go_of_what_was_held() -> None:
    assert kept(Story(created(), *DONE, TaskHeld(), TaskReleased())).is_over


def test_a_task_is_kept_while_its_message_is_on_its_way_and_not_once_it_is_given_up() -> None:
    told = Announced(asked(), *DONE)
    assert Rule.UNDELIVERED is kept(told).rule

    told.tell(DeliveryFailed(delivery=NAME, attempt=3, error="410 Gone"))

    waits = kept(told)
    assert Rule.UNDELIVERED is waits.rule
    assert "waits in the session agent:main:main" in waits.reason


def test_what_belongs_together_is_kept_together() -> None:
    story, flow = Story(created(), *DONE), Tale().record

    assert Rule.FLOW is kept(story, family=Family(flow=flow)).rule
    assert flow.flow_id in kept(story, family=Family(flow=flow)).reason
    assert Rule.BELOW is kept(story, family=Family(active_below=OTHER_ID)).rule
    of_mirror = kept(story, 1_000 * WEEK_MS, family=Family(another=OTHER_ID))
    assert (Rule.FLOW, None) == (of_mirror.rule, of_mirror.until)
    assert OTHER_ID in of_mirror.reason


def test_a_flow_that_mirrors_tasks_is_kept_as_its_first_one_unless_it_goes_on() -> None:
    story = Story(created(), *DONE)
    mirror, first = mirrored(story.record, story.record, None), kept(story, 1)
    running = mirrored(story.record, replace(story.record, status=Status.RUNNING, ended_at=None), None)

    assert Keeping(Rule.ACTIVE, "it is running") == keeping_mirror(running, TASK_ID, first)
    told = keeping_mirror(mirror, TASK_ID, first)
    assert (first.rule, first.until) == (told.rule, told.until)
    assert f"it goes with its first task {TASK_ID}: {first.reason}" == told.reason
    assert keeping_mirror(mirror, TASK_ID, kept(story)).is_over


def test_nothing_ends_what_is_kept_for_ever() -> None:
    story = Story(created(), *DONE)

    assert Rule.FOREVER is kept(story, 1_000 * WEEK_MS, kept_ms=None).rule
    assert cleanup_time(story.record, story.now_ms, None) is None


def test_what_ended_in_the_future_waits_for_a_stamp_and_is_kept_until_then() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskSucceeded(), occurred_at=story.now_ms + 1_000 * WEEK_MS)
    assert Rule.MISSING_CLEANUP is kept(story).rule

    story.tell(stamped(story.now_ms + WEEK_MS))

    assert Rule.RETENTION is kept(story, WEEK_MS - 1_001).rule
    assert kept(story, WEEK_MS - 1_000).is_over


def test_an_end_that_lies_ahead_by_what_clocks_differ_counts_as_reported() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskSucceeded(), occurred_at=story.now_ms + 1_000 + FUTURE_END_MS)

    assert Rule.RETENTION is kept(story, 0).rule
    assert Rule.MISSING_CLEANUP is keeping(story.record, story.now_ms - 1, kept_ms=WEEK_MS).rule


@pytest.mark.parametrize("told", [of_flows.waiting({"for": "x"}), of_flows.waiting(None, blocked="a key"), None])
def test_a_flow_that_waits_is_blocked_or_works_is_never_pruned(told: Any) -> None:
    tale = Tale() if told is None else Tale(told)

    assert Rule.ACTIVE is keeping_flow(tale.record, tale.now_ms + 1_000 * WEEK_MS, kept_ms=WEEK_MS).rule


def test_a_blocked_flow_needs_its_tasks_as_long_as_somebody_can_resume_it() -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded(outcome="blocked"))
    waits = Tale(of_flows.waiting(None, blocked="a key")).record
    mirror = mirrored(story.record, story.record, None)
    later = story.now_ms + 1_000 * WEEK_MS

    assert [FlowStatus.BLOCKED] * 2 == [waits.status, mirror.status]
    assert Rule.FLOW is keeping(story.record, later, kept_ms=WEEK_MS, family=Family(waits)).rule
    assert keeping(story.record, later, kept_ms=WEEK_MS, family=Family(mirror)).is_over


def test_a_flow_that_has_ended_is_kept_as_long_as_a_task() -> None:
    tale = Tale(of_flows.finished())

    assert Rule.RETENTION is keeping_flow(tale.record, tale.now_ms + WEEK_MS - 1, kept_ms=WEEK_MS).rule
    assert keeping_flow(tale.record, tale.now_ms + WEEK_MS, kept_ms=WEEK_MS).is_over
    assert Rule.FOREVER is keeping_flow(tale.record, tale.now_ms + WEEK_MS, kept_ms=None).rule


def test_the_step_that_prunes_names_the_version_that_was_looked_at() -> None:
    story, tale = Story(created(), *DONE), Tale(of_flows.finished())
    of_task = pruning(story.record, kept(story), as_of=7)
    of_flow = pruning(tale.record, keeping_flow(tale.record, tale.now_ms + WEEK_MS, kept_ms=WEEK_MS))

    assert (Kind.TASK, story.record.task_id, story.record.version) == (of_task.kind, of_task.token, of_task.version)
    assert (Kind.FLOW, tale.record.flow_id, tale.record.revision) == (of_flow.kind, of_flow.token, of_flow.version)
    assert Action.PRUNE is of_task.action is of_flow.action
    assert (7, None) == (of_task.as_of, of_flow.as_of)
    assert (7, 3) == (command_of(of_task, "keeper", 3).as_of, command_of(of_task, "keeper", 3).expected_version)
    assert of_task.is_automatic


@given(some.announced(pruned=False), st.integers(0, 2 * WEEK_MS))
def test_what_is_over_is_what_the_task_itself_lets_go(story: Announced, after_ms: int) -> None:
    """Whatever happened to a task: its own rules and those of retention agree about what must stay."""
    lets_go = isinstance(story.ask(TaskPruned()), tuple)
    long_after = keeping(story.record, story.record.last_event_at + 1_000 * WEEK_MS, kept_ms=0)

    assert lets_go == (long_after.is_over or long_after.rule is Rule.MISSING_CLEANUP)
    why = kept(story, after_ms)
    assert lets_go or not why.is_over
    assert not why.is_over or (why.until is not None and why.until <= story.now_ms + after_ms)


@given(some.announced(pruned=False), st.integers(0, 2 * WEEK_MS), st.integers(0, WEEK_MS))
def test_what_is_over_stays_over(story: Announced, after_ms: int, more_ms: int) -> None:
    record = replace(story.record, cleanup_after=None)
    before = keeping(record, story.now_ms + after_ms, kept_ms=WEEK_MS)

    assert not before.is_over or keeping(record, story.now_ms + after_ms + more_ms, kept_ms=WEEK_MS).is_over
