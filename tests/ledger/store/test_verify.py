"""Verification names the first record that is not as it was written and what else is wrong; the rest stays readable."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger import limits
from tallystick.ledger.claims import claims_of
from tallystick.ledger.errors import Corrupt, InvalidInput, StoreError
from tallystick.ledger.events import Event, Fact
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Damaged
from tallystick.ledger.store.tree import leaf_hashes, root_from_leaves
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.store import raw
from tests.ledger.store.make import Author, event, stream_id
from tests.story import created

SIZE = 600  # two full tiles, the second one at 257, and 88 leaves in the last, from 513 on


class Dreamed(Fact, frozen=True, tag="task-dreamed.7"):
    """A fact that a newer version may know."""


def history(size: int = SIZE) -> tuple[list[Event], dict[bytes, bytes]]:
    """Tasks of four events each, created one after the other, with the claims of their runs."""
    author = Author()
    events: list[Event] = []
    claims: dict[bytes, bytes] = {}
    for number in range(size // 4):
        creation = created(run_id=f"run-{number}")
        events += author.write(number, data=creation)
        events += author.write(number, number, number)
        claims |= dict.fromkeys(claims_of(creation), stream_id(number))
    return events, claims


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


def write(path: Path, size: int = SIZE) -> None:
    with DiskLog.open(path) as log:
        log.append(*history(size))


def verified(path: Path) -> Verification:
    with DiskLog.open(path, readonly=True) as log:
        return verify(log)


def found(path: Path) -> list[tuple[int, Kind]]:
    return [(problem.position, problem.kind) for problem in verified(path).problems]


def test_a_log_that_nobody_touched_is_sound(folder: Path) -> None:
    events, _ = history()
    root = root_from_leaves(leaf_hashes([encode(event) for event in events]))

    assert Verification(
        ok=True, events=SIZE, head=SIZE, root_hash=root, first_bad=None, problem_count=0, problems=()
    ) == verified(folder)


def test_a_log_in_memory_is_verified_alike(folder: Path) -> None:
    log = MemoryLog()
    log.append(*history())

    assert verified(folder) == verify(log)


def test_who_waits_is_told_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    log = MemoryLog()
    log.append(Author().write(*range(2_500)))

    verify(log, progress=lambda done, size: told.append((done, size)))

    assert [(1_024, 2_500), (2_048, 2_500), (2_500, 2_500)] == told


# Records.


@pytest.mark.parametrize("position", [1, 100, 256, 257, 513, 590, SIZE])
def test_a_changed_record_is_named_and_the_others_are_read(folder: Path, position: int) -> None:
    raw.change_record(folder, position, lambda body: body.replace(b"\xa4test", b"\xa4best"))

    verification = verified(folder)

    assert [(position, Kind.CHANGED)] == found(folder)
    assert (False, position, SIZE - 1) == (verification.ok, verification.first_bad, verification.events)


def test_every_changed_record_is_named_the_first_one_first(folder: Path) -> None:
    for position in (400, 30, 31):
        raw.change_record(folder, position, lambda body: body.replace(b"\xa4test", b"\xa4best"))

    assert [(30, Kind.CHANGED), (31, Kind.CHANGED), (400, Kind.CHANGED)] == found(folder)
    assert 30 == verified(folder).first_bad


@pytest.mark.parametrize("position", [2, 300, SIZE])
def test_a_record_that_is_no_event_any_more_is_quarantined_and_named(folder: Path, position: int) -> None:
    raw.change_record(folder, position, lambda _: b"not a record")

    with DiskLog.open(folder, readonly=True) as log:
        records = list(log.read())
        damaged = records.pop(position - 1)
        assert isinstance(damaged, Damaged)
        assert [event for event in history()[0] if event.position != position] == records
        task = log.stream(stream_id((position - 1) // 4))
        assert damaged in task
        assert 4 == len(task)
    assert [(position, Kind.CHANGED)] == found(folder)
    assert damaged.detail in verified(folder).problems[0].detail


@pytest.mark.parametrize("position", [1, 255, 514])
def test_a_record_that_is_cut_out_is_named(folder: Path, position: int) -> None:
    raw.cut_record(folder, position)

    with DiskLog.open(folder, readonly=True) as log:
        gap = Damaged(position, "there is no record")
        assert SIZE == log.head()
        assert gap == list(log.read())[position - 1]
        assert [gap] == list(log.read(after=position - 1, until=position))
        assert gap in log.stream(stream_id((position - 1) // 4))
        assert SIZE - 1 == len(list(log.bodies()))
    assert [(position, Kind.MISSING)] == found(folder)
    assert SIZE - 1 == verified(folder).events


def test_records_that_are_cut_off_the_end_are_named_and_their_positions_not_given_again(folder: Path) -> None:
    for position in (598, 599, 600):
        raw.cut_record(folder, position)

    assert [(598, Kind.MISSING), (599, Kind.MISSING), (600, Kind.MISSING)] == found(folder)
    with DiskLog.open(folder) as log:
        log.append([event(601, 900)])
        assert [598, 599, 600, 601] == [record.position for record in log.read(after=597)]


def test_a_long_end_that_is_cut_off_is_one_problem(tmp_path: Path) -> None:
    write(tmp_path, 3_000)
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(1_000, 3_001):
            del events[keys.event_key(position)]

    problems = verified(tmp_path).problems

    assert [*range(1_000, 1_026)] == sorted({problem.position for problem in problems if problem.position})
    assert 999 == verified(tmp_path).events


def test_records_that_changed_places_are_named(folder: Path) -> None:
    with raw.opened(folder) as database:
        events = database(keys.EVENTS)
        one, other = keys.event_key(10), keys.event_key(20)
        events[one], events[other] = events[other], events[one]

    assert [(10, Kind.MOVED), (20, Kind.MOVED)] == found(folder)


def test_records_behind_the_end_are_named_and_nothing_is_appended_to_them(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(SIZE + 1)] = encode(event(SIZE + 1, 900))
        database(keys.EVENTS)[b"\xffstranger"] = b"what is this"

    assert [(0, Kind.ADDED), (SIZE + 1, Kind.ADDED)] == found(folder)
    with DiskLog.open(folder) as log:
        assert SIZE == log.head()
        assert SIZE == len(list(log.read()))
        with pytest.raises(Corrupt, match="another record"):
            log.append([event(SIZE + 1, 901)])


def test_a_strange_key_among_the_records_is_found_and_hinders_nobody(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(5) + b"!"] = b"what is this"

    with DiskLog.open(folder, readonly=True) as log:
        assert history()[0] == list(log.read())
    assert [(0, Kind.ADDED)] == found(folder)


def test_a_record_of_a_newer_version_is_unreadable_and_not_changed(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append([event(1), event(2, 1, 2, data=Dreamed()), event(3, 1, 3)])  # type: ignore[arg-type]

    assert [(2, Kind.UNREADABLE)] == found(tmp_path)
    assert "task-dreamed.7" in verified(tmp_path).problems[0].detail


def test_what_is_wrong_is_counted_beyond_what_is_named(tmp_path: Path) -> None:
    write(tmp_path, 2_000)
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(5, 1_505):
            events[keys.event_key(position)] = b"gone"

    verification = verified(tmp_path)

    assert 1_500 == verification.problem_count
    assert limits.PROBLEMS_KEPT_MAX == len(verification.problems)
    assert (5, 500) == (verification.first_bad, verification.events)


def test_a_whole_history_that_is_written_anew_has_another_root(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    events, claims = history()
    events[299] = event(300, 74, 4, data=events[0].data)
    with DiskLog.open(other) as log:
        log.append(events, claims)

    assert verified(other).root_hash != verified(folder).root_hash


# Hashes.


@pytest.mark.parametrize(
    ("key", "at", "expected"),
    [
        (keys.tile_key(0, 0), 7, (9, Kind.TILE)),  # the first hash is in the key
        (keys.tile_key(0, 1), 254, (512, Kind.TILE)),
        (keys.tile_key(1, 0), 0, (257, Kind.TILE)),
    ],
)
def test_a_changed_hash_of_a_tile_is_named(folder: Path, key: bytes, at: int, expected: tuple[int, Kind]) -> None:
    with raw.opened(folder) as database:
        [(key, hashes)] = [row for row in database(keys.TILES).rows() if row[0].startswith(key)]
        database(keys.TILES)[key] = raw.flipped(hashes, 32 * at)

    assert [expected] == found(folder)
    assert SIZE == verified(folder).events


def test_a_changed_hash_of_the_last_tile_is_named(folder: Path) -> None:
    with raw.opened(folder) as database:
        meta = database(keys.META)
        meta[keys.tail_key(1)] = raw.flipped(meta[keys.tail_key(1)], 0)

    assert [(513 + 32, Kind.TILE)] == found(folder)


@pytest.mark.parametrize(("level", "index", "position"), [(0, 0, 1), (0, 1, 257), (1, 0, 1)])
def test_a_missing_tile_is_named(folder: Path, level: int, index: int, position: int) -> None:
    with raw.opened(folder) as database:
        tiles = database(keys.TILES)
        for key, _ in tiles.rows():
            if key.startswith(keys.tile_key(level, index)):
                del tiles[key]

    assert [(position, Kind.TILE)] == found(folder)
    assert SIZE == verified(folder).events


def test_a_missing_tail_is_named_and_nothing_is_appended_to_it(folder: Path) -> None:
    with raw.opened(folder) as database:
        del database(keys.META)[keys.tail_key(2)]

    assert [(513, Kind.TILE)] == found(folder)
    with pytest.raises(Corrupt, match="tile 0/2"):
        DiskLog.open(folder)


@pytest.mark.parametrize("edge", [None, b"", b"short", b"\x00\x00\x00\x00\x00\x00\x02\x58" + bytes(32 * 4)])
def test_a_log_without_its_edge_is_read_and_changed_records_are_still_named(folder: Path, edge: bytes | None) -> None:
    raw.change_record(folder, 100, raw.flipped)
    with raw.opened(folder) as database:
        del database(keys.META)[keys.EDGE]
        if edge is not None:
            database(keys.META)[keys.EDGE] = edge

    assert [(0, Kind.TREE), (100, Kind.CHANGED)] == found(folder)
    with DiskLog.open(folder, readonly=True) as log:
        assert SIZE == log.head()
        assert SIZE - 1 == sum(isinstance(record, Event) for record in log.read())
        if edge is None or len(edge) < 32:
            with pytest.raises(Corrupt, match="edge"):
                log.tree_head()
    if edge is None or len(edge) < 32:
        with pytest.raises(Corrupt, match="edge"):
            DiskLog.open(folder)


def test_a_log_that_lost_its_edge_and_ends_in_strange_keys_still_ends_at_its_last_record(folder: Path) -> None:
    with raw.opened(folder) as database:
        del database(keys.META)[keys.EDGE]
        database(keys.EVENTS)[b"\xffstranger"] = b""

    with DiskLog.open(folder, readonly=True) as log:
        assert SIZE == log.head()


# The index of the streams.


def test_an_event_that_the_index_lacks_is_named_and_so_are_those_that_moved_up(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.STREAMS).remove(stream_id(10), keys.event_key(43))

    assert [(43, Kind.INDEX), (44, Kind.INDEX)] == found(folder)
    assert "nobody's" in verified(folder).problems[0].detail
    assert "version 3" in verified(folder).problems[1].detail


def test_an_event_that_the_index_has_twice_is_named_and_not_taken_for_its_stream(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.STREAMS)[stream_id(10)] = keys.event_key(1)
        database(keys.STREAMS)[b"no id"] = keys.event_key(600)

    assert {1, 41, 42, 43, 44, 600} == {problem.position for problem in verified(folder).problems}
    with DiskLog.open(folder, readonly=True) as log:
        stranger, *own = log.stream(stream_id(10))
    assert isinstance(stranger, Damaged)
    assert "belongs to" in stranger.detail
    assert history()[0][40:44] == own


def test_an_index_that_goes_beyond_the_log_is_found_and_the_stream_goes_on(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.STREAMS)[stream_id(10)] = keys.event_key(9_999)

    assert [(0, Kind.INDEX)] == found(folder)
    with DiskLog.open(folder) as log, pytest.raises(Corrupt, match="the index of the streams contradicts the head"):
        log.append([event(SIZE + 1, 10, 5)])


def test_an_index_that_is_gone_is_named_window_by_window(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[stream for stream in range(700) for _ in range(100)]))
    with raw.opened(tmp_path) as database:
        streams = database(keys.STREAMS)
        for number in range(700):
            del streams[stream_id(number)]

    verification = verified(tmp_path)

    assert 64 * 1_024 + 5 == verification.problem_count
    assert 70_000 == verification.events


# Claims.


def test_claims_that_are_gone_or_belong_to_nobody_are_named(folder: Path) -> None:
    _, claims = history()
    first, second, third, *_ = claims
    with raw.opened(folder) as database:
        del database(keys.CLAIMS)[first]
        database(keys.CLAIMS)[second] = stream_id(9_999)
        database(keys.CLAIMS)[third] = stream_id(9)
        database(keys.CLAIMS)[b"no digest"] = b"no id"

    assert [(0, Kind.CLAIM), (0, Kind.CLAIM), (1, Kind.CLAIM), (5, Kind.CLAIM), (9, Kind.CLAIM)] == found(folder)


def test_a_claim_that_a_later_creation_took_over_is_fine(tmp_path: Path) -> None:
    creation = created(run_id="again")
    [claim] = claims_of(creation)
    with DiskLog.open(tmp_path) as log:
        log.append([event(1, 1, data=creation)], {claim: stream_id(1)})
        log.append([event(2, 2, data=creation)], {claim: stream_id(2)})

        assert verify(log).ok


# Anything.


@pytest.fixture(scope="module")
def sound_rows(tmp_path_factory: pytest.TempPathFactory) -> raw.Rows:
    path = tmp_path_factory.mktemp("sound")
    write(path, 300)
    return raw.all_rows(path)


@given(at=st.integers(0, 10_000), new=st.none() | st.binary(max_size=200), flip=st.booleans())
def test_whatever_happens_to_a_row_is_found_and_nothing_crashes(
    sound_rows: raw.Rows, tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes | None, *, flip: bool
) -> None:
    path = tmp_path_factory.mktemp("damaged")
    name, key, value = sound_rows[at % len(sound_rows)]
    place, body = bytes.fromhex(key), bytes.fromhex(value)
    if flip and body:
        new = raw.flipped(body, at % len(body))
    if name == "streams" and new is not None:
        new = new.ljust(8)[:8]  # LMDB keeps these at one length
    write(path, 300)
    with raw.opened(path) as database:
        rows = database(name.encode())
        rows.remove(place, body)
        if new is not None:
            rows[place] = new

    if (name, place) == ("meta", keys.FORMAT) and new != body:
        with pytest.raises((StoreError, InvalidInput)):
            DiskLog.open(path, readonly=True)
        return
    with DiskLog.open(path, readonly=True) as log:
        verification = verify(log)
        assert verification.ok == (new == body)
        if name == "events" and new != body:
            assert int(key, 16) == verification.first_bad
        records = list(log.read())
        assert list(range(1, log.head() + 1)) == [record.position for record in records]
        for number in range(75):
            log.stream(stream_id(number))
