"""Several processes that replay a log together come to what one comes to alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tallystick
from tallystick import replayers
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import begun, evolve, grow
from tallystick.ledger.facts.tasks import TaskHeld, TaskPruned, TaskReleased, TaskSucceeded
from tallystick.ledger.store.codec import encode, first_after, read_records, read_share, share_of
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Body, EventLog, Stored
from tallystick.moments import By, When
from tallystick.projections.change import changes_of
from tallystick.replaying import Misplaced, Replay, Replayed, Share, folded, position_at, replayed
from tallystick.testing import HandClock
from tests import strategies as some
from tests.face.parts import ORDINARY
from tests.ledger.archive.shelves import write
from tests.projections.flow_histories import flow_histories
from tests.projections.histories import histories, logged
from tests.story import BEGIN_MS, Story, created

shares = st.integers(1, 3)


def parts(told: Replayed | None) -> object:
    """What a replay came to, as values that can be compared."""
    assert told is not None
    skipped = {stream: (error.detail, error.position) for stream, error in told.skipped.items()}
    return told.position, told.records, told.flows, skipped, sorted(told.damaged)


def joined(log: EventLog, when: When, until: int, of: int) -> Replayed:
    """What the shares come to together, each folded here."""
    parts = [folded(log, when, until, share=Share(number, of)) for number in range(of)]
    whole = Replayed(until, {}, {}, {}, [])
    for part in parts:
        whole.records.update(part.records)
        whole.flows.update(part.flows)
        whole.skipped.update(part.skipped)
        whole.damaged.extend(part.damaged)
    return whole


@given(st.one_of(histories(), flow_histories()), shares, st.integers(0, 25))
def test_the_shares_of_a_log_are_the_whole_of_it(events: list[Event], of: int, until: int) -> None:
    log = logged(events)
    until = min(until, len(events))

    for when in (When(until), When(until, BEGIN_MS, By.REPORTED)):
        alone, together = folded(log, when, until), joined(log, when, until, of)
        assert parts(alone) == parts(together)


@given(some.stories())
def test_a_record_that_is_grown_is_what_evolves(story: Story) -> None:
    first, *others = story.events
    record, grown = evolve(None, first), begun(first)
    for event in others:
        record = evolve(record, event)
        grow(grown, event)
        assert record == grown

    before = evolve(None, first)
    with pytest.raises(Corrupt):
        grow(grown, replace(others[-1] if others else first, version=1))
    assert (record, evolve(None, first)) == (grown, before)


class Broken(MemoryLog):
    """A log in which records are what a disk has made of them."""

    def __init__(self, bodies: list[Body]) -> None:
        super().__init__()
        self.stored = bodies

    def head(self) -> int:
        return len(self.stored)

    def records(self, first: int, last: int) -> list[Body]:
        return self.stored[first - 1 : last]

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        end = self.head() if until is None else min(until, self.head())
        return iter(read_records(after + 1, self.stored[after:end]))


@given(st.one_of(histories(), flow_histories()), shares, st.data())
def test_what_is_damaged_costs_no_more_than_it_does_for_a_read_model(
    events: list[Event], of: int, data: st.DataObject
) -> None:
    bodies: list[Body] = [encode(event) for event in events]
    for _ in range(data.draw(st.integers(0, 2)) if bodies else 0):
        place = data.draw(st.integers(0, len(bodies) - 1))
        body = bodies[place] or b""
        assert isinstance(body, bytes)
        bodies[place] = data.draw(
            st.sampled_from([None, b"", body[:20], bytes(200), bodies[0] or b""]) | st.binary(max_size=40)
        )
    log = Broken(bodies)
    expected = changes_of(log.read(), lambda _: None)
    try:
        together = joined(log, When(), len(bodies), of)
    except Misplaced:
        together = folded(log, When(), len(bodies))

    for found in (folded(log, When(), len(bodies)), together):
        assert {stream: change.after for stream, change in expected.changes.tasks.items()} == found.records
        assert {stream: change.after for stream, change in expected.changes.flows.items()} == found.flows
        assert sorted(expected.damaged) == sorted(found.damaged)
        places = {stream: error.position for stream, error in found.skipped.items()}
        assert {stream: error.position for stream, error in expected.skipped.items()} == places


def test_what_goes_on_after_its_pruning_is_left_out_and_named() -> None:
    story = Story(created(), TaskSucceeded(), TaskPruned())
    record = story.record
    story.happen([TaskHeld(), TaskReleased()])

    told = folded(logged(story.events), When(), len(story.events))

    assert {story.stream: record} == told.records
    assert {story.stream: 5} == {stream: error.position for stream, error in told.skipped.items()}


@given(st.integers(1, 300), st.integers(1, 70_000), st.integers(1, 3))
def test_every_record_is_in_one_share_whatever_bytes_its_position_takes(count: int, first: int, of: int) -> None:
    events = [
        Event(first + number, bytes(15) + bytes([number % 256]), 1, 0, 0, "a", created()) for number in range(count)
    ]
    bodies = [encode(event) for event in events]

    found = [read_share(first, bodies, number, of) for number in range(of)]

    assert events == sorted((event for part in found for event in part), key=lambda event: event.position)
    assert all(share_of(event.stream, of) == number for number, part in enumerate(found) for event in part)  # type: ignore[union-attr]


def test_a_record_that_is_gone_moves_no_other_into_another_share() -> None:
    events = [Event(number, bytes(14) + bytes([7, number]), 1, 0, 0, "a", created()) for number in range(1, 9)]
    bodies: list[Body] = [encode(event) for event in events]
    bodies[3], bodies[5] = None, b""

    for number, gone in ((0, [4, 6]), (1, [])):
        found = read_share(1, bodies, number, 2)
        kept = [event for event in events if event.position % 2 == number and event.position not in (4, 6)]
        assert kept == [each for each in found if isinstance(each, Event)]
        assert gone == [each.position for each in found if not isinstance(each, Event)]


def test_a_record_that_hides_whose_it_is_is_not_folded_in_another_share() -> None:
    """The same event, packed otherwise: only whoever decodes it knows its stream."""
    import msgspec

    event = Event(1, bytes(15) + b"\x01", 1, 0, 0, "a", created())
    plain = encode(event)
    raw = msgspec.msgpack.decode(plain)
    long = b"\x97" + b"\xcd\x00\x01" + plain[2:]  # the position in three bytes instead of one
    assert raw == msgspec.msgpack.decode(long)
    log = Broken([long])

    with pytest.raises(Misplaced):
        joined(log, When(), 1, 2)


@given(histories(), st.integers(BEGIN_MS - 2, BEGIN_MS + 45))
def test_a_moment_is_the_position_before_the_first_event_that_was_recorded_later(events: list[Event], at: int) -> None:
    later = [event.position for event in events if event.recorded_at > at]
    expected = later[0] - 1 if later else len(events)

    assert expected == position_at(logged(events), at)


def test_a_record_that_cannot_be_read_was_recorded_at_no_time() -> None:
    event = Event(1, bytes(16), 1, 0, 10, "a", created())
    broken = encode(event)[:-3] + b"\xc1\xc1\xc1"

    assert 2 == first_after(1, [broken, encode(replace(event, position=2))], 5)
    assert first_after(1, [None, broken], 5) is None


# With other processes.


@pytest.fixture
def ledger_folder(folder: Path) -> Path:
    with tallystick.open(folder, clock=HandClock()) as ledger, ledger.batch() as batch:
        for number in range(40):
            task = batch.create(**{**ORDINARY, "task": str(number), "notify": "state_changes"})
            task.start()
            task.progress("half")
            if number % 3:
                task.succeed("done")
        ledger.flows.create(owner="a", goal="release", controller="bot").claim("build")
    return folder


def test_processes_come_to_what_one_comes_to(ledger_folder: Path) -> None:
    with DiskLog.open(ledger_folder / "log") as log:
        head = log.head()
        told: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            told.append((done, total))

        for when in (When(), When(head // 2), When(None, BEGIN_MS, By.REPORTED)):
            until = head if when.position is None else when.position
            place = ledger_folder / "log"
            together = replayers.together(log, when, until, folder=place, processes=3, progress=progress)
            assert parts(folded(log, when, until)) == parts(together)
            assert (until, until) == told[-1]


def test_a_process_that_cannot_do_its_part_leaves_the_whole_to_this_one(ledger_folder: Path, tmp_path: Path) -> None:
    with DiskLog.open(ledger_folder / "log", readonly=True) as log:
        assert replayers.together(log, When(), 5, folder=tmp_path / "none", processes=2, progress=None) is None


def test_processes_read_an_archive_as_if_it_were_in_the_log(tmp_path: Path) -> None:
    twin = write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log", readonly=True) as log:
        together = replayers.together(log, When(), log.head(), folder=tmp_path / "log", processes=2, progress=None)

    assert parts(folded(twin, When(), twin.head())) == parts(together)


def test_a_small_log_is_replayed_by_one_process(ledger_folder: Path, tmp_path: Path) -> None:
    with DiskLog.open(ledger_folder / "log", readonly=True) as log:
        alone = parts(replayed(log, When()))
        assert alone == parts(replayed(log, When(), folder=tmp_path / "none", processes=2))
        replay = Replay(log)
        replay.advance()
        assert alone == parts(replay.done())
