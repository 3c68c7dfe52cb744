"""Replaying: the state of every task, from the events alone, as of any position."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.store.memory import MemoryLog
from tallystick.moments import When
from tallystick.past import past
from tallystick.projections.change import changes_of
from tallystick.replaying import Replay, position_at
from tests.projections.histories import STREAMS, histories, logged, records_of
from tests.story import BEGIN_MS, Story, created


@given(histories(), st.integers(0, 20))
def test_a_replay_knows_every_task_as_its_events_tell_it(events: list[Event], position: int) -> None:
    replay = Replay(logged(events))

    replay.advance(position)
    assert records_of(events[:position]) == replay.records
    replay.advance()
    assert records_of(events) == replay.records
    assert len(events) == replay.position


@given(histories(), st.integers(0, 20), st.integers(0, 20))
def test_what_changed_between_two_positions_is_what_a_projection_is_told(
    events: list[Event], one: int, other: int
) -> None:
    first, last = sorted((one, other))
    replay = Replay(logged(events))
    replay.advance(first)

    changes = replay.changes(last)

    assert changes_of(events[first:last], records_of(events[:first]).get).changes == changes
    assert records_of(events[:last]) == replay.records


def log_of(*stories: Story, others: Sequence[Event] = ()) -> MemoryLog:
    """A log with the events of several stories, which follow each other."""
    return logged([*(event for story in stories for event in story.events), *others])


def test_an_event_that_cannot_follow_is_skipped_and_named() -> None:
    story = Story(created(), stream=STREAMS[0])
    [first] = story.events
    orphan = Event(2, STREAMS[1], 1, BEGIN_MS, BEGIN_MS, "teller", Story(created()).events[0].data)
    again = Event(3, STREAMS[0], 2, BEGIN_MS, BEGIN_MS, "teller", first.data)  # created twice
    replay = Replay(log_of(story, others=[orphan, again]))

    replay.advance()

    assert {
        stream: evolve(None, event) for stream, event in ((STREAMS[0], first), (STREAMS[1], orphan))
    } == replay.records
    assert {STREAMS[0]: 3} == {stream: error.position for stream, error in replay.skipped.items()}


def test_progress_is_told_as_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.replaying.SLICE_EVENTS", 2)
    stories = [Story(created(), stream=stream, position=place) for place, stream in enumerate(STREAMS)]
    log = log_of(*stories)
    told: list[tuple[int, int]] = []

    replay = Replay(log)
    replay.advance(3, lambda done, total: told.append((done, total)))
    changes = replay.changes(progress=lambda done, total: told.append((done, total)))

    assert [(2, 3), (3, 3), (1, 1)] == told
    assert [STREAMS[3]] == list(changes.tasks)


def test_a_task_that_changes_in_several_slices_has_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.replaying.SLICE_EVENTS", 1)
    from tallystick.ledger.intake import started, succeeded

    story = Story(created(), started(None), succeeded("42 tallies"), stream=STREAMS[0])
    replay = Replay(log_of(story))
    replay.advance(1)
    [change] = replay.changes().tasks.values()

    assert change.before is not None
    assert ("queued", "succeeded") == (change.before.status, change.after.status)


def test_what_was_pruned_is_known_and_not_shown() -> None:
    from tallystick.ledger.facts.tasks import TaskPruned
    from tallystick.ledger.intake import succeeded

    log = log_of(Story(created(), succeeded(None), TaskPruned(), stream=STREAMS[0]))
    replay = Replay(log)
    replay.advance()
    then = past(log, When())

    assert STREAMS[0] in replay.records
    assert ([], 0) == (then.list().tasks, then.counts.total)


def test_a_moment_before_everything_has_no_position() -> None:
    log = log_of(Story(created(), stream=STREAMS[0]))
    [event] = log.read()
    assert isinstance(event, Event)

    assert (0, 1) == (position_at(log, event.recorded_at - 1), position_at(log, event.recorded_at))
