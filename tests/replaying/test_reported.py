"""Reported time: what had happened by a moment, as far as is known now, however late and in whatever order it came."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import Ledger, NotFound
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import (
    TaskHeld,
    TaskLost,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.reported import Reported
from tallystick.moments import By, Told, When
from tallystick.past import past
from tallystick.testing import HandClock
from tests import strategies as some
from tests.face.parts import ORDINARY
from tests.projections.flow_histories import flow_histories, own_records
from tests.projections.histories import STREAMS, histories, logged, records_of
from tests.story import BEGIN_MS, STREAM, Story, created

moments = st.integers(BEGIN_MS - 4, BEGIN_MS + 45)


def reported(events: list[Event], at: int) -> tuple[Reported, list[Event]]:
    """What had happened by a moment, and the events that count for it."""
    known = Reported(at)
    return known, [taken for event in events for taken in known.take(event)]


@given(histories())
def test_when_all_has_happened_it_is_what_is_known_now(events: list[Event]) -> None:
    known, counted = reported(events, BEGIN_MS + 10**9)

    assert records_of(events) == known.records
    assert events == counted


@given(flow_histories())
def test_when_all_has_happened_flows_are_what_is_known_now_too(events: list[Event]) -> None:
    assert own_records(events) == reported(events, BEGIN_MS + 10**9)[0].flows


@given(histories(), moments)
def test_nothing_counts_that_had_not_happened_but_a_loss_that_was_corrected(events: list[Event], at: int) -> None:
    known, counted = reported(events, at)

    corrected = {event.data.corrects for event in counted if isinstance(event.data, TaskRecovered)}
    assert all(event.occurred_at <= at or event.position in corrected for event in counted)
    for record in known.records.values():
        times = (record.created_at, record.started_at, record.ended_at, record.last_event_at, record.pruned_at)
        assert max(time for time in times if time is not None) <= at


@given(histories(), moments)
def test_what_counts_is_in_the_order_of_the_log_and_each_event_once(events: list[Event], at: int) -> None:
    _, counted = reported(events, at)

    for stream in STREAMS:
        positions = [event.position for event in counted if event.stream == stream]
        assert positions == sorted(set(positions))


@given(st.lists(some.reports, max_size=6), st.integers(-1, 10))
def test_what_is_reported_as_it_happens_is_the_same_by_both_times(told: list[Any], seconds: int) -> None:
    story = Story(created())
    for data in told:
        story.tell(data)
    at = BEGIN_MS + seconds * 1_000

    by_then = [event for event in story.events if event.recorded_at <= at]
    assert records_of(by_then) == reported(story.events, at)[0].records


def test_a_start_that_was_told_late_had_happened() -> None:
    story = Story(created())
    story.tell(TaskStarted(), occurred_at=BEGIN_MS + 1_500, after_ms=60_000)

    assert "running" == reported(story.events, BEGIN_MS + 2_000)[0].records[STREAM].status
    assert "queued" == reported(story.events, BEGIN_MS + 1_400)[0].records[STREAM].status
    assert {} == reported(story.events, BEGIN_MS)[0].records


def test_progress_before_the_start_is_left_out() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskProgressed(message="half"), occurred_at=BEGIN_MS + 1_500)

    known, counted = reported(story.events, BEGIN_MS + 1_700)

    assert ("queued", None) == (known.records[STREAM].status, known.records[STREAM].progress_summary)
    assert ["task-created.1"] == [event.type for event in counted]


def test_a_late_signal_does_not_end_a_task_before_its_end() -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded())
    story.tell(TaskSucceeded(summary="another"), occurred_at=BEGIN_MS + 2_500)

    assert 4 == len(story.events)
    assert "running" == reported(story.events, BEGIN_MS + 2_600)[0].records[STREAM].status


@pytest.mark.parametrize("loss", [TaskLost(rule="r", evidence={}), TaskSettled(status=Status.LOST, reason="x")])
def test_an_end_that_was_seen_later_had_happened_although_it_was_lost_meanwhile(loss: Any) -> None:
    story = Story(created(), TaskStarted(), loss)  # lost at 3 s
    story.tell(TaskSucceeded(summary="done"), occurred_at=BEGIN_MS + 2_500)

    known, counted = reported(story.events, BEGIN_MS + 2_600)

    record = known.records[STREAM]
    assert ("succeeded", "done", BEGIN_MS + 2_500) == (record.status, record.terminal_summary, record.ended_at)
    assert ["task-created.1", "task-started.1", "task-lost.1", "task-recovered.1"] == [
        event.type.replace("settled", "lost") for event in counted
    ]
    assert (story.record.version, story.record.position) == (record.version, record.position)
    assert "running" == reported(story.events, BEGIN_MS + 2_400)[0].records[STREAM].status


def test_a_gap_in_a_history_is_named_and_nothing_behind_it_counts() -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded())

    known, counted = reported([story.events[0], story.events[2]], BEGIN_MS + 10**6)

    assert [story.events[0]] == counted
    assert ({STREAM: 3}, "queued") == (
        {stream: error.position for stream, error in known.skipped.items()},
        known.records[STREAM].status,
    )


def test_nothing_follows_a_pruning_and_a_pruning_tells_what_is_behind_a_gap() -> None:
    story = Story(created(), TaskSucceeded())
    story.happen([TaskPruned(status=Status.SUCCEEDED, ended_at=story.record.ended_at)])
    story.happen([TaskHeld()])
    whole, _ = reported(story.events, BEGIN_MS + 10**6)
    gap, _ = reported([story.events[0], story.events[3]], BEGIN_MS + 10**6)

    for known in (whole, gap):
        assert (Status.SUCCEEDED, None) == (known.records[STREAM].status, known.records[STREAM].held_at)
        assert known.records[STREAM].pruned_at is not None
    assert reported([story.events[0], story.events[3]], BEGIN_MS)[0].records == {}


# On every kind of ledger.


def test_both_times_can_be_asked_for(any_ledger: Ledger, clock: HandClock) -> None:
    begin = clock()
    task = any_ledger.create(**ORDINARY)
    clock.advance(60_000)
    task.start(occurred_at=begin + 10)
    task.succeed("done", occurred_at=begin + 50_000)

    def status(at: int, by: str) -> str:
        return any_ledger.state_at(task.id, at=at, by=by).status

    assert ("queued", "running", "succeeded") == (
        status(begin + 55_000, "recorded"),
        status(begin + 40_000, "reported"),
        status(begin + 50_000, "reported"),
    )
    then = any_ledger.replay(at=begin + 40_000, by="reported")
    assert ("reported", "running", 1) == (then.by, then.get(task.id).status, then.counts.active)
    assert any_ledger.state_at(task.id, at=begin + 40_000, by="reported") == then.get(task.id)


def test_what_was_known_at_a_position_of_what_had_happened_can_be_asked(any_ledger: Ledger, clock: HandClock) -> None:
    begin = clock()
    task = any_ledger.create(**ORDINARY)
    clock.advance(1_000)
    task.start(occurred_at=begin)

    assert "queued" == any_ledger.state_at(task.id, at=begin, position=1, by="reported").status
    assert "running" == any_ledger.state_at(task.id, at=begin, position=2, by="reported").status
    assert "queued" == any_ledger.replay(at=begin, position=1, by="reported").get(task.id).status


def test_what_had_not_happened_by_then_is_not_found(any_ledger: Ledger, clock: HandClock) -> None:
    task = any_ledger.create(**ORDINARY)

    with pytest.raises(NotFound, match="It had not been created then"):
        any_ledger.state_at(task.id, at=clock() - 1, by="reported")


def test_a_flow_is_what_its_tasks_were_by_the_same_time(any_ledger: Ledger, clock: HandClock) -> None:
    begin = clock()
    task = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    flow = task.record.parent_flow_id
    assert flow is not None
    clock.advance(60_000)
    task.start(occurred_at=begin + 10)

    assert "queued" == any_ledger.state_at(flow, at=begin + 9, by="reported").status
    assert "running" == any_ledger.state_at(flow, at=begin + 10, by="reported").status
    assert "queued" == any_ledger.state_at(flow, at=begin + 10).status
    assert "running" == any_ledger.replay(at=begin + 10, by="reported").flow(flow).status


@given(histories(), moments)
def test_one_task_and_all_of_them_are_asked_the_same(events: list[Event], at: int) -> None:
    log = logged(events)
    when = When(None, at, By.REPORTED)
    then = past(log, when)
    for stream in STREAMS:
        record = Told(log, when).task(stream)
        known = {task.stream: task for task in then.list(limit=1_000).tasks}
        assert (None if record is None or record.pruned_at is not None else record) == known.get(stream)
