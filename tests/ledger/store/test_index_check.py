"""The index of the streams is held to the records exactly: nothing that differs adds up to what does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.ids import ID_BYTES, new_id
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.verify import Kind, verify
from tests.ledger.store import forger, raw
from tests.ledger.store.make import Author, event, stream_id
from tests.ledger.store.sound import SIZE, found, history, verified, write


def swap(path: Path, one: tuple[bytes, int], other: tuple[bytes, int]) -> None:
    """Have two streams have each other's position."""
    with raw.opened(path) as database:
        streams = database(keys.STREAMS)
        for (stream, position), (_, wanted) in ((one, other), (other, one)):
            streams.remove(stream, keys.event_key(position))
            streams[stream] = keys.event_key(wanted)


@given(ids=st.lists(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), min_size=2, max_size=2, unique=True))
def test_two_streams_that_have_each_other_s_event_are_always_found(
    tmp_path_factory: pytest.TempPathFactory, ids: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("swapped")
    one, other = ids
    with DiskLog.open(path) as log:
        events = [event(1), event(2), event(3)]
        log.append([_of(events[0], one), _of(events[1], other), _of(events[2], new_id())])
    assert verified(path).ok
    swap(path, (one, 1), (other, 2))

    assert [(1, Kind.INDEX), (2, Kind.INDEX)] == found(path)


def _of(known: Event, stream: bytes) -> Event:
    return replace(known, stream=stream)


@pytest.mark.parametrize("gap", [1, 63, 64, 65, 300])
def test_a_long_stream_is_followed_to_its_end(tmp_path: Path, gap: int) -> None:
    size = 5_000
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[position % gap and position for position in range(size)]))
    assert verified(tmp_path).ok

    of_zero = [position + 1 for position in range(size) if not position % gap]
    cut = of_zero[len(of_zero) // 2]
    with raw.opened(tmp_path) as database:
        database(keys.STREAMS).remove(stream_id(0), keys.event_key(cut))

    wrong = [position for position in of_zero if position >= cut]
    assert len(wrong) == verified(tmp_path).problem_count
    assert [(position, Kind.INDEX) for position in wrong][:1_000] == found(tmp_path)


def test_a_long_stream_is_not_read_again_for_each_of_its_events() -> None:
    class Counting(MemoryLog):
        rows = 0

        def positions(self, streams: Sequence[bytes]) -> Mapping[bytes, Sequence[int]]:
            found = super().positions(streams)
            self.rows += sum(map(len, found.values()))
            return found

        def positions_behind(self, stream: bytes, position: int, count: int) -> Sequence[int]:
            found = MemoryLog.positions(self, [stream])[stream]
            start = found.index(position) + 1
            self.rows += len(found[start : start + count])
            return found[start : start + count]

    log = Counting()
    log.append(Author().write(*[position % 40 for position in range(20_000)]))

    assert verify(log).ok
    assert log.rows <= 3 * 20_000


def test_a_long_stream_goes_on_behind_records_that_are_damaged(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[1] * 6_000))
    for position in (1_500, 1_501, 2_900, 2_901):
        raw.cut_record(tmp_path, position)

    assert [(position, Kind.MISSING) for position in (1_500, 1_501, 2_900, 2_901)] == found(tmp_path)


def test_a_row_of_an_unknown_stream_for_an_event_of_another_is_found_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path, 4_000)
    with raw.opened(tmp_path) as database:
        database(keys.STREAMS)[stream_id(99_999)] = keys.event_key(3_001)

    assert [(3_001, Kind.INDEX)] == found(tmp_path)
    assert f"version 1 of {stream_id(99_999).hex()[:8]}" in verified(tmp_path).problems[0].detail


@pytest.mark.parametrize("value", [b"x", bytes(7), bytes(9), bytes(16), b"\xff" * 24])
def test_a_row_of_another_length_is_found_and_raises_nothing(tmp_path: Path, value: bytes) -> None:
    write(tmp_path)
    with raw.opened(tmp_path) as database:
        streams = database(keys.STREAMS)
        for position in range(41, 45):
            streams.remove(stream_id(10), keys.event_key(position))
        streams[stream_id(10)] = value

    verification = verified(tmp_path)

    assert {41, 42, 43, 44} <= {problem.position for problem in verification.problems}
    assert SIZE == verification.events


@pytest.mark.parametrize(("position", "version"), [(1, 2), (42, 1), (44, 3), (SIZE, 5), (SIZE, 2**32 - 1)])
def test_an_event_that_says_another_version_than_its_place_is_found(
    tmp_path: Path, position: int, version: int
) -> None:
    write(tmp_path)
    events, _ = history()
    bodies = [encode(event) for event in events]
    bodies[position - 1] = encode(replace(events[position - 1], version=version))
    forger.put_records(tmp_path, bodies)
    forger.mend_tree(tmp_path)

    assert [(position, Kind.INDEX)] == [place for place in found(tmp_path) if place[1] is Kind.INDEX]


def test_a_lonely_event_that_says_another_version_than_the_first_is_found(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append([event(1)])
    forger.put_records(tmp_path, [encode(event(1, version=2))])
    forger.mend_tree(tmp_path)

    assert [(1, Kind.INDEX)] == found(tmp_path)


@pytest.mark.parametrize("version", [1, 5_111, 5_990, 5_992, 7_000])
def test_an_event_of_a_long_stream_that_says_another_version_is_found(tmp_path: Path, version: int) -> None:
    events = Author().write(*[1] * 6_000)
    with DiskLog.open(tmp_path) as log:
        log.append(events)
    bodies = [encode(event) for event in events]
    bodies[5_990] = encode(replace(events[5_990], version=version))
    forger.put_records(tmp_path, bodies)
    forger.mend_tree(tmp_path)

    assert [(5_991, Kind.INDEX)] == found(tmp_path)
