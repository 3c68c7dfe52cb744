"""The steps that settle what was found: what applying them leaves, and that there always is one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.flows import FlowCancelled
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.flows import intake as of_flows
from tallystick.ledger.intake import retried, settled, stamped, taken_note_of
from tallystick.ledger.lifecycle import NotifyPolicy
from tallystick.ledger.limits import RETENTION_TERMINAL_MS, STALE_QUEUED_MS, STALE_RUNNING_MS
from tallystick.ledger.upkeep.finding import Action, Code, Finding, Kind
from tallystick.ledger.upkeep.flows import Children, findings_of_flow
from tallystick.ledger.upkeep.plan import Step, settling, unsettled
from tallystick.ledger.upkeep.tasks import NO_SIGNS, Signs, findings_of_task
from tallystick.ledger.upkeep.treatment import TREATMENTS, found
from tests import strategies as some
from tests.announced import Announced
from tests.ledger.flows.some import tales
from tests.ledger.flows.tale import Tale
from tests.story import Story, created

WEEK_MS = RETENTION_TERMINAL_MS


def of(*codes: Code, kind: Kind = Kind.TASK, token: str = "a") -> list[Finding]:  # noqa: S107 - a name
    return [found(kind, code, f"it is {code}", token=token) for code in codes]


def steps(findings: list[Finding], *leaving: str, version: int = 7) -> list[Step]:
    return list(settling(findings, {"a": version, "b": 9}, leaving))


def test_what_somebody_takes_note_of_is_one_step() -> None:
    [step] = steps(of(Code.LOST, Code.UNDELIVERED, Code.INCONSISTENT_TIMESTAMPS))

    assert Action.NOTE is step.action
    assert ("lost", "undelivered", "inconsistent_timestamps") == step.codes
    assert "it is lost; it is undelivered; it is inconsistent_timestamps" == step.reason
    assert 7 == step.version


def test_the_end_comes_first_and_leaves_only_what_an_end_does_not_settle() -> None:
    found_of_it = of(Code.INCONSISTENT_TIMESTAMPS, Code.PROBE_FAILING, Code.STALE_RUNNING, Code.DELIVERY_FAILED)

    assert [Action.SETTLE, Action.RETRY, Action.NOTE] == [step.action for step in steps(found_of_it)]
    assert [] == unsettled(found_of_it, steps(found_of_it))


def test_nobody_notes_anything_about_a_flow_that_ends() -> None:
    found_of_it = of(Code.BLOCKED_TASK_MISSING, Code.STALE_RUNNING, Code.MISSING_LINKED_TASKS, kind=Kind.FLOW)

    [step] = steps(found_of_it)

    assert (Action.SETTLE, ("stale_running", "missing_linked_tasks")) == (step.action, step.codes)
    assert [] == unsettled(found_of_it, [step])


def test_what_is_pruned_or_ended_by_the_clock_needs_no_other_step() -> None:
    findings = [*of(Code.LOST), *of(Code.STALE_QUEUED, token="b")]

    assert ["b"] == [step.token for step in steps(findings, "a")]
    assert [] == unsettled(findings, steps(findings, "a"), ["a"])


def test_the_steps_come_in_the_order_of_the_findings() -> None:
    findings = [*of(Code.STALE_QUEUED, token="b"), *of(Code.LOST), *of(Code.DELIVERY_FAILED, token="b")]

    assert [("b", Action.SETTLE), ("b", Action.RETRY), ("a", Action.NOTE)] == [
        (step.token, step.action) for step in steps(findings)
    ]


@given(st.lists(st.tuples(st.sampled_from(sorted(TREATMENTS)), st.sampled_from("ab")), unique=True))
def test_whatever_is_found_together_there_is_one_step_for_each_subject_and_action(
    among: list[tuple[tuple[Kind, Code], str]],
) -> None:
    findings = [found(kind, code, "so", token=token) for (kind, code), token in among]

    taken = steps(findings)

    subjects = [(step.kind, step.token, step.action) for step in taken]
    assert len(set(subjects)) == len(subjects)
    assert [] == unsettled(findings, taken)


def fact_of(step: Step, now: int) -> Any:
    """Return what a step has recorded of a task or a flow."""
    facts: dict[tuple[Kind, Action], Any] = {
        (Kind.TASK, Action.SETTLE): lambda: settled("lost", step.reason),
        (Kind.TASK, Action.NOTE): lambda: taken_note_of(step.codes, step.reason),
        (Kind.TASK, Action.RETRY): lambda: retried(step.reason),
        (Kind.TASK, Action.STAMP): lambda: stamped(now + WEEK_MS),
        (Kind.FLOW, Action.SETTLE): lambda: of_flows.settled("lost", step.reason),
        (Kind.FLOW, Action.NOTE): lambda: of_flows.taken_note_of(step.codes, step.reason),
        (Kind.FLOW, Action.FINISH_CANCEL): FlowCancelled,
    }
    return facts[step.kind, step.action]()


@given(story=some.announced(pruned=False), later_ms=st.integers(0, 3 * WEEK_MS), is_unknown=st.booleans())
def test_every_step_can_be_taken_and_after_all_of_them_nothing_is_amiss(
    story: Announced, later_ms: int, *, is_unknown: bool
) -> None:
    """Whatever happened to a task: what is found of it is settled by what the plan says, with the version it names."""
    story.now_ms += later_ms
    signs = Signs(unknown_since=story.record.created_at) if is_unknown else NO_SIGNS
    found_of_it = list(findings_of_task(story.record, story.now_ms, kept_ms=WEEK_MS, signs=signs))

    for step in settling(found_of_it, {story.record.task_id: story.record.version}):
        if step.action is not Action.ASK:  # whoever is asked answers, and then it is known
            version = story.record.version
            answer = story.tell(fact_of(step, story.now_ms), after_ms=0, expected_version=version, actor="operator")
            assert isinstance(answer, tuple), answer
            assert answer

    assert [] == list(findings_of_task(story.record, story.now_ms, kept_ms=WEEK_MS))


@given(tale=tales(), later_ms=st.integers(0, 3 * WEEK_MS), is_missing=st.booleans(), count=st.integers(0, 1))
def test_every_step_about_a_flow_can_be_taken_and_after_all_of_them_nothing_is_amiss(
    *, tale: Tale, later_ms: int, is_missing: bool, count: int
) -> None:
    tale.now_ms += later_ms
    children = Children(count=count, heard_at=tale.record.created_at if count else 0, misses_blocked=is_missing)
    found_of_it = list(findings_of_flow(tale.record, tale.now_ms, children))

    for step in settling(found_of_it, {tale.record.flow_id: tale.record.revision}):
        answer = tale.tell(fact_of(step, tale.now_ms), after_ms=0, expected=tale.record.revision, actor="operator")
        assert isinstance(answer, tuple), answer
        assert answer

    assert [] == list(findings_of_flow(tale.record, tale.now_ms, children))


@pytest.mark.parametrize("notify", list(NotifyPolicy))
@given(
    st.integers(0, STALE_QUEUED_MS - 1_001),
    st.lists(st.integers(0, STALE_RUNNING_MS - 1), max_size=4),
    st.sampled_from([TaskSucceeded(summary="done"), TaskSucceeded(outcome="blocked")]),
)
def test_a_healthy_life_has_no_findings_at_any_moment(
    notify: NotifyPolicy, queued_ms: int, steps_ms: list[int], end: AnyFact
) -> None:
    story = Story(created(notify=notify))

    def look() -> list[Finding]:
        return list(findings_of_task(story.record, story.now_ms, kept_ms=WEEK_MS))

    life: list[tuple[AnyFact, int]] = [(TaskStarted(), queued_ms), *((TaskProgressed(), each) for each in steps_ms)]
    for fact, after_ms in [*life, (end, 0)]:
        story.now_ms += after_ms
        assert [] == look()
        story.tell(fact, after_ms=0)
        assert [] == look()
    story.now_ms += WEEK_MS - 1
    assert [] == look()
