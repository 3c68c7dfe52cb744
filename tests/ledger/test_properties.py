"""What holds of every history that reports can lead to, whatever the order they come in."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt, Pruned, Refused, WrongVersion
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve, fold
from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import (
    TaskCreated,
    TaskHeld,
    TaskLateSignal,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskStarted,
)
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.lifecycle import ACTIVE, ALLOWED, TERMINAL, Status
from tallystick.ledger.limits import COUNT_MAX, LATE_SIGNALS_KEPT
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Refusal
from tests import strategies as some
from tests.story import Story

FINAL = TERMINAL - {Status.LOST}
LATE_FIELDS = {"version", "position", "late_signals", "late_signal_count"}

to_bytes = msgspec.msgpack.Encoder().encode
to_record = msgspec.msgpack.Decoder(TaskRecord).decode
to_event = msgspec.msgpack.Decoder(Event).decode


def records(story: Story) -> list[TaskRecord]:
    """Return what was known after each event of a story."""
    known: list[TaskRecord] = []
    for event in story.events:
        known.append(evolve(known[-1] if known else None, event))
    return known


def changed(before: TaskRecord, after: TaskRecord) -> set[str]:
    """Return the fields in which two records differ."""
    return {name for name in TaskRecord.__struct_fields__ if getattr(before, name) != getattr(after, name)}


def answer_in_short(answer: object) -> object:
    """Return an answer without the place where it was kept, which the first answer cannot know."""
    if not isinstance(answer, Refusal):
        return "admitted"
    return type(answer.error), {name: value for name, value in answer.error.data.items() if name != "position"}


@given(some.stories())
def test_every_step_of_every_history_is_one_that_the_table_allows(story: Story) -> None:
    known = records(story)

    assert Status.QUEUED is known[0].status
    for event, before, after in zip(story.events[1:], known, known[1:], strict=False):
        if before.status is not after.status:
            assert after.status in ALLOWED[before.status]
            assert (before.status is Status.LOST) == isinstance(event.data, TaskRecovered)


@given(some.stories())
def test_what_has_ended_stays_as_it_ended(story: Story) -> None:
    known = records(story)
    told = {
        "status",
        "ended_at",
        "ended_by",
        "ended_at_position",
        "error",
        "terminal_summary",
        "terminal_outcome",
        "artifacts",
        "usage",
        "started_at",
        "cancel_requested_at",
        "cancel_confirmed",
    }

    for before, after in pairwise(known):
        if before.status in FINAL:
            assert not told & changed(before, after)


@given(some.stories())
def test_a_record_says_when_it_ended_exactly_if_it_has_ended(story: Story) -> None:
    for record in records(story):
        ended = record.status in TERMINAL
        assert ended == (record.ended_at is not None)
        assert ended == (record.ended_by is not None)
        assert ended == (record.ended_at_position is not None)
        assert not (ended and record.backing_missed_at is not None)
        assert record.is_active == (record.status in ACTIVE)


@given(some.stories(), some.tellings(), st.data())
def test_a_decision_needs_the_record_and_nothing_else(story: Story, telling: some.Telling, data: st.DataObject) -> None:
    """However the prefix was folded, live or from bytes, at once or in parts: the same command, the same answer."""
    cut = data.draw(st.integers(1, len(story.events)), label="the prefix")
    prefix = story.events[:cut]
    stored = [to_event(to_bytes(event)) for event in prefix]

    live = Story.of(prefix, record=records(story)[cut - 1], now_ms=story.now_ms)
    read = Story.of(stored, record=fold(stored), now_ms=story.now_ms)
    revived = Story.of(stored, record=to_record(to_bytes(fold(stored))), now_ms=story.now_ms)

    answers = [to_told(each.ask(telling.data, occurred_at=telling.occurred_at)) for each in (live, read, revived)]
    assert answers[0] == answers[1] == answers[2]


def to_told(answer: object) -> object:
    """Return an answer as something that can be compared: errors have no equality of their own."""
    if isinstance(answer, Refusal):
        return type(answer.error), to_bytes(answer.error.data), answer.evidence
    return answer


@given(some.stories(), st.data())
def test_a_replay_in_any_batches_gives_the_same_bytes(story: Story, data: st.DataObject) -> None:
    live = to_bytes(story.record)
    cuts = data.draw(st.lists(st.integers(0, len(story.events))).map(sorted), label="where batches end")

    record: TaskRecord | None = None
    for start, end in zip([0, *cuts], [*cuts, len(story.events)], strict=True):
        batch = [to_event(to_bytes(event)) for event in story.events[start:end]]
        record = fold(batch, record)
        record = None if record is None else to_record(to_bytes(record))

    assert live == to_bytes(record)


@given(some.stories())
def test_an_event_never_touches_the_record_that_it_is_applied_to(story: Story) -> None:
    record: TaskRecord | None = None
    for event in story.events:
        before = to_bytes(record)
        after = evolve(record, event)
        assert before == to_bytes(record)
        record = after


@given(some.stories(), some.tellings(some.reports.filter(lambda fact: not isinstance(fact, TaskProgressed))))
def test_the_same_signal_twice_is_written_once_and_answered_alike(story: Story, telling: some.Telling) -> None:
    first = story.tell(telling.data, occurred_at=telling.occurred_at)
    known = story.record

    again = story.tell(telling.data, occurred_at=telling.occurred_at)

    assert known == story.record
    assert answer_in_short(first) == answer_in_short(again)


@given(some.stories(some.unfinished, pruned=False), some.outcomes)
def test_a_signal_that_ended_a_task_may_come_again_with_the_version_that_it_expected(
    story: Story, outcome: AnyFact
) -> None:
    version = story.record.version
    story.tell(outcome, expected_version=version)
    ended = story.record

    assert NOTHING == story.tell(outcome, expected_version=version)
    assert ended == story.record


@given(some.stories(some.outcomes, pruned=False), some.tellings())
def test_a_late_signal_changes_nothing_but_the_count_of_late_signals(story: Story, telling: some.Telling) -> None:
    before = story.record
    answer = story.tell(telling.data, occurred_at=telling.occurred_at)
    assume(isinstance(answer, Refusal) and answer.evidence is not None)

    beside = {"work_version"}  # what came beside the work since then is no other version of it any more
    assert {"version", "position", "late_signals", "late_signal_count"} == changed(before, story.record) - beside
    assert (before.late_signal_count or 0) + 1 == story.record.late_signal_count
    assert isinstance(answer, Refusal)
    assert isinstance(answer.error, Refused)
    assert answer.evidence == story.events[-1].data


@given(st.lists(some.failures, min_size=2, max_size=LATE_SIGNALS_KEPT, unique_by=to_bytes))
def test_a_late_signal_that_comes_again_names_where_it_was_kept(late: list[AnyFact]) -> None:
    story = Story(some.CREATED, TaskStarted(), some.SUCCEEDED)
    kept = {}
    for fact in late:
        story.tell(fact)
        kept[to_bytes(fact)] = story.events[-1].position

    for fact in late:
        again = story.tell(fact)
        assert isinstance(again, Refusal)
        assert isinstance(again.error, Refused)
        assert kept[to_bytes(fact)] == again.error.position
        assert again.evidence is None
    assert len(late) == story.record.late_signal_count


@given(some.stories(), some.tellings(), st.integers(-2, 2))
def test_an_expected_version_lets_pass_only_what_knows_the_record(
    story: Story, telling: some.Telling, drift: int
) -> None:
    version = story.record.version
    expected = max(0, version + drift)
    since = story.record.work_version or version
    indifferent = story.ask(telling.data, occurred_at=telling.occurred_at)
    careful = story.ask(telling.data, occurred_at=telling.occurred_at, expected_version=expected)

    if since <= expected <= version or to_told(indifferent) == to_told(careful):
        assert to_told(indifferent) == to_told(careful)
        assert since <= expected <= version or not written(indifferent), "a stale command was admitted"
    else:
        assert isinstance(careful, Refusal)
        assert isinstance(careful.error, WrongVersion)
        assert (expected, version, story.record) == (
            careful.error.expected,
            careful.error.actual,
            careful.error.current,
        )
        assert careful.evidence is None


def written(answer: object) -> bool:
    """Whether an answer comes with something to write."""
    return answer.evidence is not None if isinstance(answer, Refusal) else answer != NOTHING


@given(some.creations(), st.one_of(some.successes, some.progress), st.none() | some.times)
def test_what_only_running_work_can_report_brings_its_start_along(
    created: TaskCreated, report: AnyFact, occurred_at: int | None
) -> None:
    story = Story(created)

    answer = story.tell(report, occurred_at=occurred_at)

    assert (TaskStarted(implied=True), report) == answer
    start, reported = story.events[-2:]
    assert (start.occurred_at, start.recorded_at) == (reported.occurred_at, reported.recorded_at)
    assert story.record.started_at == reported.occurred_at


@given(some.stories())
def test_usage_is_the_sum_of_what_was_reported(story: Story) -> None:
    expected: Usage = {}
    for event in story.events:
        for name, amount in (getattr(event.data, "usage", None) or {}).items():
            expected[name] = min(expected.get(name, 0) + amount, COUNT_MAX)

    assert expected == (story.record.usage or {})


@given(some.stories(pruned=False), some.creations())
def test_a_creation_that_comes_again_fills_blanks_and_overwrites_nothing(story: Story, again: TaskCreated) -> None:
    before = story.record
    story.tell(again)
    after = story.record

    moved = changed(before, after)
    filled = moved - {"version", "work_version", "position", "last_event_at", "root_task_id", "metadata"}
    if before.parent_flow_id == mirror_of(before.task_id):
        filled -= {"parent_flow_id"}  # it may leave what only mirrors it
    assert {None} >= {getattr(before, name) for name in filled - {"further_keys"}}
    assert (after.metadata or {}).items() >= (before.metadata or {}).items()
    if "root_task_id" in moved:
        assert before.parent_task_id is None

    assert NOTHING == story.tell(again)
    assert after == story.record


@given(some.stories(pruned=False))
def test_only_what_has_ended_and_is_not_held_is_pruned(story: Story) -> None:
    before = story.record

    answer = story.tell(TaskPruned(reason="retention"))

    if before.is_active or before.held_at is not None or before.resources:
        assert isinstance(answer, Refusal)
        assert isinstance(answer.error, Refused)
        assert before == story.record
    else:
        assert (TaskPruned(reason="retention", status=before.status, ended_at=before.ended_at),) == answer
        assert {"version", "position", "pruned_at"} == changed(before, story.record) - {"work_version"}


@given(some.stories(some.outcomes), some.tellings(st.one_of(some.reports, some.prunings)))
def test_a_tombstone_answers_everything_and_never_changes(story: Story, telling: some.Telling) -> None:
    if story.record.is_active:
        story.tell(some.SUCCEEDED)
    if story.record.pruned_at is None:
        story.tell(TaskPruned())
    assume(story.record.pruned_at is not None)  # what left something open is kept
    before = story.record

    answer = story.tell(telling.data, occurred_at=telling.occurred_at, expected_version=before.version)

    assert isinstance(answer, Refusal)
    assert isinstance(answer.error, Pruned)
    assert (before.task_id, before.status, before.ended_at, before.pruned_at) == (
        answer.error.token,
        answer.error.status,
        answer.error.ended_at,
        answer.error.pruned_at,
    )
    assert before == story.record


@given(some.stories())
def test_a_hold_lasts_until_it_is_released_whatever_happens(story: Story) -> None:
    held = False
    for event, record in zip(story.events, records(story), strict=True):
        held = isinstance(event.data, TaskHeld) or (held and record.held_at is not None)
        assert held == (record.held_at is not None)
        assert not (held and record.pruned_at is not None)


@given(some.stories())
def test_a_record_names_the_late_signals_that_its_history_has(story: Story) -> None:
    late = [event.position for event in story.events if isinstance(event.data, TaskLateSignal)]

    assert late[-LATE_SIGNALS_KEPT:] == [position for _, position in story.record.late_signals]
    assert (len(late) or None) == story.record.late_signal_count


@given(some.stories())
def test_a_gap_or_a_repetition_in_a_stream_is_damage(story: Story) -> None:
    assume(len(story.events) > 1)
    with pytest.raises(Corrupt):
        fold([story.events[0], replace(story.events[1], version=3)])
    with pytest.raises(Corrupt):
        fold([*story.events, story.events[-1]])
