"""The past of a whole ledger is asked as the present is, and answers what the present would have answered then."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import InvalidInput, Ledger, NotFound, Pruned
from tallystick.ledger.events import Event
from tallystick.ledger.facts.deliveries import DeliveryDelivered
from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tallystick.ledger.told import deliveries_of
from tallystick.moments import When
from tallystick.past import past
from tallystick.testing import HandClock
from tests.announced import Announced, asked
from tests.face.parts import ORDINARY, OWNER
from tests.projections.flow_histories import all_flows, flow_histories
from tests.projections.histories import STREAMS, histories, live, logged, records_of
from tests.projections.test_reader import passes, queries

positions = st.integers(0, 20)


@given(histories(), positions)
def test_the_past_has_the_tasks_that_a_list_had_shown_then(events: list[Event], position: int) -> None:
    then = past(logged(events), When(position))
    told = events[:position]

    assert live(told) == then.list(limit=1_000).tasks
    assert len(live(told)) == then.counts.total
    assert Counter(record.status for record in live(told)) == {k: n for k, n in then.counts.by_status.items() if n}
    assert min(position, len(events)) == then.position


@given(histories(), positions, queries)
def test_every_filter_lets_through_what_it_had_let_through_then(
    events: list[Event], position: int, filters: dict[str, Any]
) -> None:
    expected = [record for record in live(events[:position]) if passes(record, filters)]

    assert expected[: filters.get("limit", 50)] == past(logged(events), When(position)).list(**filters).tasks


@given(histories(), positions)
def test_the_messages_of_a_task_are_as_they_were(events: list[Event], position: int) -> None:
    then = past(logged(events), When(position))
    for stream in STREAMS:
        told = [event for event in events[:position] if event.stream == stream]
        record = records_of(told).get(stream)
        if record is not None and record.pruned_at is None:
            assert deliveries_of(told) == then.deliveries(record.task_id)
    expected = {
        message.id
        for record in live(events[:position])
        for message in deliveries_of(event for event in events[:position] if event.stream == record.stream)
        if message.is_open
    }
    assert expected == {message.id for message in then.deliveries(limit=1_000)}


@given(flow_histories(), positions)
def test_the_past_has_the_flows_of_then(events: list[Event], position: int) -> None:
    then = past(logged(events), When(position))

    assert all_flows(events[:position]) == then.flows(limit=1_000).flows
    for flow in all_flows(events[:position]):
        assert flow == then.flow(flow.flow_id)


def test_what_is_written_afterwards_is_not_in_the_past(any_ledger: Ledger, clock: HandClock) -> None:
    first = any_ledger.create(**ORDINARY)
    first.start()
    pages, counts = [any_ledger.list()], [any_ledger.counts()]
    clock.advance(10)
    asked_at = clock()
    clock.advance(10)
    first.succeed("done")
    any_ledger.create(**ORDINARY)
    pages.append(any_ledger.list())
    counts.append(any_ledger.counts())

    earlier, now = any_ledger.replay(at=asked_at), any_ledger.replay()
    first.hold("more is written")

    assert pages == [earlier.list(), now.list()]
    assert counts == [earlier.counts, now.counts]
    assert ("running", first.id) == (earlier.get(first.id).status, earlier.find(OWNER).task_id)
    assert (asked_at, "recorded", None) == (earlier.at, earlier.by, now.at)
    assert earlier.position < now.position == len(list(any_ledger.events())) - 1


def test_a_message_that_is_done_with_now_waited_then(any_ledger: Ledger) -> None:
    task = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    task.succeed("done")
    position = list(any_ledger.events())[-1].position
    [queued] = any_ledger.deliveries()
    any_ledger.dismiss(task.id)

    assert [] == any_ledger.deliveries() == any_ledger.replay().deliveries()
    assert [queued] == any_ledger.replay(position=position).deliveries()
    assert ["dismissed"] == [message.status for message in any_ledger.replay().deliveries(task.id)]
    assert 1 == any_ledger.replay(position=position).outbox.queued
    with pytest.raises(InvalidInput, match="limit"):
        any_ledger.replay().deliveries(limit=0)


def test_of_several_messages_those_that_had_not_arrived_are_listed() -> None:
    story = Announced(asked(notify="state_changes"), TaskStarted())
    [started] = story.names
    story.tell(TaskSucceeded(summary="42 tallies"))
    story.tell(DeliveryDelivered(delivery=started))
    log = logged(story.events)

    assert [started] == [message.name for message in past(log, When(3)).deliveries()]
    assert story.names == [message.name for message in past(log, When()).deliveries()]
    assert [started, *story.names] == [message.name for message in past(log, When()).deliveries(story.record.task_id)]


def test_by_reported_time_nothing_was_told_of_what_had_not_happened(any_ledger: Ledger, clock: HandClock) -> None:
    task = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    begin = clock()
    clock.advance(60_000)
    task.succeed("done")

    then, now = any_ledger.replay(at=begin, by="reported"), any_ledger.replay(at=clock(), by="reported")

    assert ([], []) == (then.deliveries(), then.deliveries(task.id))
    assert ["session_queued"] == [message.status for message in now.deliveries(task.id)]


def test_what_was_pruned_by_then_is_said_to_be(any_owner: Ledger, clock: HandClock) -> None:
    any_ledger = any_owner
    task = any_ledger.create(**ORDINARY)
    task.succeed()
    clock.advance(8 * 24 * 3_600_000)
    any_ledger.sweep()

    with pytest.raises(Pruned):
        any_ledger.replay().get(task.id)
    assert "succeeded" == any_ledger.replay(position=3).get(task.id).status
    with pytest.raises(NotFound):
        any_ledger.replay(position=0).get(task.id)
    with pytest.raises(NotFound):
        any_ledger.replay().flow(task.id)


def test_a_past_can_be_paged_with_cursors(any_ledger: Ledger) -> None:
    ids = [any_ledger.create(**{**ORDINARY, "task": str(number)}).id for number in range(5)]
    position = len(list(any_ledger.events()))
    any_ledger.create(**ORDINARY)
    then = any_ledger.replay(position=position)

    first = then.list(limit=3)
    second = then.list(limit=3, cursor=first.next_cursor)

    assert sorted(ids, reverse=True) == [task.task_id for page in (first, second) for task in page.tasks]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"at": 1, "position": 1}, "at: 1 is not allowed; give a position or a moment, not both."),
        ({"position": -1}, "position: -1 is not allowed"),
        ({"at": -1}, "at: -1 is not allowed"),
        ({"by": "heard"}, "by: 'heard' is not allowed; give recorded or reported."),
        ({"by": "reported"}, "by: 'reported' is not allowed; give a moment"),
    ],
)
def test_a_moment_that_cannot_be_meant_is_refused(given: dict[str, object], says: str, any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)

    for ask in (lambda: any_ledger.replay(**given), lambda: any_ledger.state_at(task.id, **given)):  # type: ignore[arg-type]
        with pytest.raises(InvalidInput) as refused:
            ask()
        assert str(refused.value).startswith(says)
