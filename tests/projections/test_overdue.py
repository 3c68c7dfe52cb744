"""Overdue: each question has what a look at every record would find, wherever the read models stand."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import event as happened
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import (
    TaskCleanupStamped,
    TaskHeld,
    TaskNoted,
    TaskProgressed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import Runtime, Status
from tallystick.ledger.limits import STALE_BUCKET_MS, STALE_RUNNING_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Transaction
from tallystick.ledger.upkeep.times import contradiction
from tallystick.projections import overdue
from tallystick.projections.catch_up import catch_up
from tallystick.projections.check import check
from tallystick.projections.due import Due, DueKind, DueRules, dues_of, marks_of
from tallystick.projections.overdue import Over
from tallystick.projections.reader import Reader
from tallystick.projections.seen import Seen
from tests.projections.flow_histories import reader_of, standings
from tests.projections.histories import STREAMS, caught_up_views, live, logged, views_folder
from tests.projections.long_histories import MINUTE_MS, long_histories, moments
from tests.story import BEGIN_MS, Story, created

few = settings(max_examples=60)

Question: TypeAlias = Callable[[Seen, int], list[TaskRecord]]
Filter: TypeAlias = Callable[[TaskRecord, int], bool]
Age: TypeAlias = Callable[[TaskRecord], int]

TASKS: dict[str, tuple[Question, Filter, Age]] = {
    "queued_since": (
        overdue.queued_since,
        lambda record, at: record.status is Status.QUEUED and record.created_at <= at,
        lambda record: record.created_at,
    ),
    "silent_since": (
        overdue.silent_since,
        lambda record, at: record.status is Status.RUNNING and record.last_event_at <= at,
        lambda record: record.last_event_at // STALE_BUCKET_MS,
    ),
    "lost": (
        lambda seen, _: overdue.lost(seen),
        lambda record, _: record.status is Status.LOST,
        lambda record: record.created_at,
    ),
    "with_failed_messages": (
        lambda seen, _: overdue.with_failed_messages(seen),
        lambda record, _: (
            any(each.is_stuck for each in record.outbox)
            or (record.ended_at is not None and record.delivery_status == "failed")
        ),
        lambda _: 0,
    ),
    "with_messages_on_their_way": (
        overdue.with_messages_on_their_way,
        lambda record, at: (
            record.ended_at is not None and record.ended_at <= at and any(each.is_sent for each in record.outbox)
        ),
        lambda _: 0,
    ),
    "ended_after": (
        overdue.ended_after,
        lambda record, at: record.ended_at is not None and record.ended_at > at and record.cleanup_after is None,
        lambda record: record.ended_at or 0,
    ),
    "contradicted": (
        lambda seen, _: overdue.contradicted(seen),
        lambda record, _: contradiction(record) is not None and "inconsistent_timestamps" not in record.noted,
        lambda record: record.created_at,
    ),
}


@pytest.mark.parametrize("question", TASKS)
@few
@given(long_histories(), standings, moments)
def test_a_question_about_tasks_has_what_a_look_at_every_record_would_find_the_oldest_first(
    question: str, events: list[Event], standing: tuple[int, ...], at: int
) -> None:
    ask, passes, age = TASKS[question]
    expected = [record for record in live(events) if passes(record, at)]
    with reader_of(events, standing) as reader:
        found = reader.answer(lambda seen: ask(seen, at))

    assert sorted(record.task_id for record in expected) == sorted(record.task_id for record in found)
    assert all(record in expected for record in found)
    assert sorted(map(age, found)) == list(map(age, found))
    happened(f"found: {len(found)}")


LIMITED: tuple[Callable[[Seen, int | None], list[TaskRecord]], ...] = (
    lambda seen, limit: overdue.queued_since(seen, BEGIN_MS * 2, limit),
    lambda seen, limit: overdue.silent_since(seen, BEGIN_MS * 2, limit),
    lambda seen, limit: overdue.with_messages_on_their_way(seen, BEGIN_MS * 2, limit),
    lambda seen, limit: overdue.ended_after(seen, 0, limit),
    overdue.lost,
    overdue.with_failed_messages,
    overdue.contradicted,
)


@few
@given(long_histories(), standings, st.integers(0, 3))
def test_a_limit_leaves_out_what_comes_last(events: list[Event], standing: tuple[int, ...], limit: int) -> None:
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        for ask in LIMITED:
            assert ask(seen, None)[:limit] == ask(seen, limit)


RULES = DueRules(
    retention={(None, Status.FAILED): None, (Runtime.CRON, Status.SUCCEEDED): 0},
    retention_default=40 * MINUTE_MS,
    retention_lost=5 * MINUTE_MS,
)


@few
@given(long_histories(), standings, moments, st.integers(1, 3))
def test_what_is_over_comes_once_in_slices_that_go_on_where_the_last_one_ended(
    events: list[Event], standing: tuple[int, ...], at: int, limit: int
) -> None:
    expected = sorted(
        Due(over_at, kind, record.stream)
        for record in live(events)
        for over_at, kind in dues_of(record, RULES)
        if kind is DueKind.RETENTION and over_at <= at
    )
    found: list[Over] = []
    with reader_of(events, standing) as reader, reader.snapshot() as seen:
        while some := overdue.over(seen, at, limit, RULES, found[-1].due if found else None):
            found.extend(some)
            assert len(some) <= limit

    assert expected == [each.due for each in found]
    assert [each.due.stream for each in found] == [each.record.stream for each in found]
    happened(f"over: {len(found)}")


# What it costs, and what is spelled out.


def test_a_task_that_is_heard_of_stays_where_it_is_for_ten_minutes() -> None:
    story = Story(created(), TaskStarted(), TaskProgressed(message="on it"))
    begin = story.record.last_event_at - story.record.last_event_at % STALE_BUCKET_MS
    before = marks_of(story.record)
    story.tell(TaskProgressed(message="more"), occurred_at=begin + STALE_BUCKET_MS - 1)
    same = marks_of(story.record)
    story.tell(TaskProgressed(message="more"), occurred_at=begin + STALE_BUCKET_MS)

    assert before == same
    assert before != marks_of(story.record)


@pytest.mark.parametrize("seen_by_views", [0, 2, 100])
def test_a_stamp_counts_instead_of_what_the_rules_say_unless_they_keep_for_ever(
    tmp_path: Path, seen_by_views: int
) -> None:
    stamp = BEGIN_MS + 77_000
    story = Story(created(), TaskSucceeded(), TaskCleanupStamped(cleanup_after=stamp), stream=STREAMS[0])
    log = logged(story.events)
    with caught_up_views(tmp_path, log, until=min(seen_by_views, len(story.events))) as views:
        reader = Reader(log, views)
        found = reader.answer(lambda seen: overdue.over(seen, stamp, 10, DueRules(retention_default=0)))
        before = reader.answer(lambda seen: overdue.over(seen, stamp - 1, 10, DueRules(retention_default=0)))
        for_ever = reader.answer(lambda seen: overdue.over(seen, 2 * stamp, 10, DueRules(retention_default=None)))

    assert [Over(Due(stamp, DueKind.RETENTION, STREAMS[0]), story.record)] == found
    assert ([], []) == (before, for_ever)


@few
@given(long_histories(), st.integers(1, 4))
def test_the_marks_of_hours_are_the_same_however_the_log_was_cut(events: list[Event], slice_events: int) -> None:
    log = logged(events)
    with views_folder() as folder, caught_up_views(folder, log, slice_events=slice_events) as views:
        assert check(views, log, "due").ok


def test_what_moves_a_mark_moves_it_whatever_the_views_have_seen(tmp_path: Path) -> None:
    """A word after ten minutes, and a note of times that contradict each other."""
    story = Story(created(), begin_ms=BEGIN_MS)
    story.tell(TaskStarted(), occurred_at=BEGIN_MS - MINUTE_MS)
    story.tell(TaskProgressed(message="on it"), after_ms=STALE_BUCKET_MS)
    story.tell(TaskNoted(codes=("inconsistent_timestamps",)))
    with caught_up_views(tmp_path, logged(story.events), slice_events=1) as views:
        assert check(views, logged(story.events), "due").ok


@pytest.mark.parametrize("stamps", [[], [TaskCleanupStamped(cleanup_after=BEGIN_MS)]], ids=["by the rules", "stamped"])
def test_what_is_held_is_not_over_before_it_is_released(tmp_path: Path, stamps: list[TaskCleanupStamped]) -> None:
    story = Story(created(), TaskSucceeded(), *stamps, TaskHeld(), stream=STREAMS[0])
    held = len(story.events)
    story.tell(TaskReleased())
    log = logged(story.events[:held])
    with caught_up_views(tmp_path, log) as views:
        reader = Reader(log, views)
        while_held = reader.answer(lambda seen: overdue.over(seen, 2 * BEGIN_MS, 10))
        log.append(story.events[held:])
        catch_up(views, log)
        released = reader.answer(lambda seen: overdue.over(seen, 2 * BEGIN_MS, 10))

    assert ([], [STREAMS[0]]) == (while_held, [each.due.stream for each in released])


def test_a_mark_without_its_row_sends_the_question_to_the_log(tmp_path: Path) -> None:
    story = Story(created(), TaskStarted(), stream=STREAMS[0])
    log = logged(story.events)
    with caught_up_views(tmp_path, log) as views:
        with views.read() as sight:
            assert sight is not None
            rows = sight.tables["board"][0]
        views.environment.write_batch(lambda txn: txn.delete(STREAMS[0], db=rows))
        reader = Reader(log, views)

        assert [story.record] == reader.answer(lambda seen: overdue.silent_since(seen, BEGIN_MS + STALE_RUNNING_MS))
        assert reader.damage is not None


def test_no_question_reads_the_rows_of_tasks_with_which_nothing_is_amiss(tmp_path: Path) -> None:
    """Whoever reads one of them finds it damaged, and the reader would have to ask the log."""
    now = BEGIN_MS + 2 * STALE_RUNNING_MS
    stale = Story(created(), TaskStarted(), stream=STREAMS[0])
    healthy = Story(created(), TaskStarted(), stream=STREAMS[1], position=2, begin_ms=now - 1_000)
    done = Story(created(), TaskStarted(), TaskSucceeded(), stream=STREAMS[2], position=4)
    log = logged([*stale.events, *healthy.events, *done.events])
    with caught_up_views(tmp_path, log) as views:
        with views.read() as sight:
            assert sight is not None
            rows = sight.tables["board"][0]

        def spoil(txn: Transaction) -> None:
            for stream in STREAMS[1:3]:
                txn.put(stream, b"\xc1", db=rows)

        views.environment.write_batch(spoil)
        reader = Reader(log, views)
        until = now - STALE_RUNNING_MS
        found = reader.answer(lambda seen: [ask(seen, until) for ask, _, _ in TASKS.values()])
        over = reader.answer(lambda seen: overdue.over(seen, now, 10))

    assert [stale.record] == [record for records in found for record in records]
    assert ([], None) == (over, reader.damage)
