"""The judge: no verdict, time, grace or jump of the clock loses a task before its grace is over."""

from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.decide import MISSING_SINCE, RULE_DEAD, RULE_GRACE
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskLost,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.judge import GRACE_MS, WATCHED_SINCE, inferred
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import DURATION_MS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import Refusal
from tallystick.ledger.verdict import Finding, Verdict
from tests import strategies as some
from tests.story import BEGIN_MS, Story, created

OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled")

moments = st.one_of(some.times, st.integers(BEGIN_MS - 10_000, BEGIN_MS + 10_000))
graces = st.one_of(st.integers(0, DURATION_MS_MAX), st.integers(0, 10_000))
evidence = some.evidence.filter(lambda seen: "\0" not in "".join(map(str, seen.values())))
verdicts = st.one_of(
    st.builds(Verdict.alive, evidence),
    st.builds(Verdict.missing, evidence),
    st.builds(Verdict.missing, evidence),
    st.builds(Verdict.dead, evidence),
    st.builds(Verdict.unknown, evidence),
    st.builds(Verdict.ended, st.sampled_from(OUTCOMES), evidence, summary=st.none() | some.words),
)
stories = some.stories(st.one_of(some.reports, some.starts, some.misses, some.misses))


def running(*facts: AnyFact) -> TaskRecord:
    return Story(created(), TaskStarted(), *facts).record


def missed() -> TaskRecord:
    return running(TaskBackingMissed(evidence={}))


@given(stories, verdicts, moments, graces, moments)
def test_a_loss_comes_by_proof_or_when_the_grace_is_over_since_the_miss_and_since_somebody_watched(
    story: Story, verdict: Verdict, now: int, grace_ms: int, watching_since: int
) -> None:
    record = story.record
    fact = inferred(record, verdict, now, grace_ms=grace_ms, watching_since=watching_since)

    if isinstance(fact, TaskLost):
        assert record.is_active
        if verdict.finding is Finding.DEAD:
            assert RULE_DEAD == fact.rule
        else:
            assert (Finding.MISSING, RULE_GRACE) == (verdict.finding, fact.rule)
            assert record.backing_missed_at is not None
            assert now >= record.backing_missed_at + grace_ms
            assert now >= watching_since + grace_ms
            assert record.backing_missed_at == fact.evidence[MISSING_SINCE]


@given(stories, verdicts, moments, graces, moments)
def test_nothing_is_inferred_of_a_task_that_has_ended_but_how_a_lost_one_did(
    story: Story, verdict: Verdict, now: int, grace_ms: int, watching_since: int
) -> None:
    record = story.record
    fact = inferred(record, verdict, now, grace_ms=grace_ms, watching_since=watching_since)

    if not record.is_active and fact is not None:
        assert (Status.LOST, None) == (record.status, record.pruned_at)
        assert (Finding.ENDED, verdict.outcome) == (verdict.finding, fact)


@given(stories, evidence, moments, graces, moments)
def test_who_cannot_tell_changes_nothing(
    story: Story, seen: Evidence, now: int, grace_ms: int, watching_since: int
) -> None:
    verdict = Verdict.unknown(seen)
    assert inferred(story.record, verdict, now, grace_ms=grace_ms, watching_since=watching_since) is None


@given(stories, verdicts, moments, graces, moments)
def test_what_is_inferred_of_a_task_is_never_refused_on_what_was_known_then(
    story: Story, verdict: Verdict, now: int, grace_ms: int, watching_since: int
) -> None:
    fact = inferred(story.record, verdict, now, grace_ms=grace_ms, watching_since=watching_since)

    if fact is not None:
        assert not isinstance(story.ask(fact), Refusal)


@given(
    looks=st.lists(st.tuples(verdicts, st.integers(-20_000, 20_000), st.booleans()), max_size=12),
    grace_ms=st.integers(1, 10_000),
)
@example(looks=[(Verdict.missing(), 0, False), (Verdict.missing(), 10_000, True)], grace_ms=10_000)
def test_wherever_the_clock_jumps_a_loss_without_proof_has_a_whole_grace_of_watching_behind_it(
    looks: list[tuple[Verdict, int, bool]], grace_ms: int
) -> None:
    """A jump that somebody noticed begins the watch anew, as a restart does; what was missing stays missing."""
    story = Story(created(), TaskStarted())
    watching_since = story.now_ms
    missing_since: int | None = None
    for verdict, passed_ms, is_jump in looks:
        story.now_ms += passed_ms
        if is_jump:
            watching_since = story.now_ms
        now = story.now_ms
        fact = inferred(story.record, verdict, now, grace_ms=grace_ms, watching_since=watching_since)
        if isinstance(fact, TaskBackingMissed):
            missing_since = now
        if isinstance(fact, TaskLost) and fact.rule == RULE_GRACE:
            assert missing_since is not None
            assert now - missing_since >= grace_ms
            assert now - watching_since >= grace_ms
        if fact is not None:
            story.tell(fact, after_ms=0)


def test_a_miss_begins_the_grace_and_a_second_one_within_it_adds_nothing() -> None:
    seen: Evidence = {"pid": 4711}
    assert TaskBackingMissed(evidence=seen) == inferred(running(), Verdict.missing(seen), BEGIN_MS, grace_ms=0)

    record = missed()
    since = record.backing_missed_at or 0
    before, after = (inferred(record, Verdict.missing(seen), since + ms, grace_ms=300) for ms in (299, 300))
    assert before is None
    told: Evidence = {**seen, MISSING_SINCE: since, WATCHED_SINCE: since, GRACE_MS: 300}
    assert TaskLost(rule=RULE_GRACE, evidence=told) == after


def test_time_in_which_nobody_watched_does_not_count_for_a_grace() -> None:
    record = missed()
    since = record.backing_missed_at or 0
    opened = since + 86_400_000

    for now, is_lost in ((opened, False), (opened + 299, False), (opened + 300, True)):
        fact = inferred(record, Verdict.missing(), now, grace_ms=300, watching_since=opened)
        assert is_lost == isinstance(fact, TaskLost)


@pytest.mark.parametrize("record", [running(), missed(), Story(created()).record], ids=["running", "missed", "queued"])
def test_what_is_proved_dead_is_lost_at_once_and_says_why(record: TaskRecord) -> None:
    expected = TaskLost(rule=RULE_DEAD, evidence={"detail": "pid 4711 is another's"}, error="pid 4711 is another's")
    assert expected == inferred(record, Verdict.dead("pid 4711 is another's"), 0, grace_ms=DURATION_MS_MAX)
    assert TaskLost(rule=RULE_DEAD, evidence={"detail": 7}) == inferred(
        record, Verdict.dead({"detail": 7}), 0, grace_ms=0
    )


def test_what_is_back_is_restored_and_what_never_was_away_is_left_alone() -> None:
    alive = Verdict.alive({"pid": 4711})
    assert TaskBackingRestored(evidence={"pid": 4711}) == inferred(missed(), alive, 0, grace_ms=0)
    assert inferred(running(), alive, 0, grace_ms=0) is None


@pytest.mark.parametrize("record", [running(), missed(), Story(created()).record], ids=["running", "missed", "queued"])
def test_an_active_task_ends_as_its_runtime_says(record: TaskRecord) -> None:
    verdict = Verdict.ended("timed_out", error="an hour is over")
    assert TaskTimedOut(error="an hour is over") == inferred(record, verdict, 0, grace_ms=0)


def test_a_lost_task_is_recovered_as_its_runtime_says_and_a_pruned_one_is_left_alone() -> None:
    lost = Story(created(), TaskStarted(), TaskLost(rule=RULE_DEAD, evidence={}))
    verdict = Verdict.ended("succeeded", summary="42 tallies")
    assert TaskSucceeded(summary="42 tallies") == inferred(lost.record, verdict, 0, grace_ms=0)

    pruned = [running(), lost.record]
    lost.tell(TaskPruned())
    pruned = [lost.record, *(replace(record, pruned_at=1) for record in pruned)]
    found = chain.from_iterable((Verdict.missing(), Verdict.dead(), Verdict.alive(), verdict) for _ in pruned)
    assert {None} == {inferred(record, each, 2, grace_ms=0) for record, each in zip(pruned * 4, found, strict=True)}
