"""Verification finds what is wrong beside the records: in the tree, in the index of the streams, in the claims."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.claims import claims_of
from tallystick.ledger.errors import Corrupt, InvalidInput, StoreError, WrongVersion
from tallystick.ledger.events import Event
from tallystick.ledger.store import keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import Damaged
from tallystick.ledger.store.tree import TILE_WIDTH
from tallystick.ledger.store.verify import Kind, verify
from tests.ledger.store import raw
from tests.ledger.store.make import Author, event, stream_id
from tests.ledger.store.sound import SIZE, found, history, verified, write
from tests.story import created


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


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


def test_a_changed_hash_of_a_full_tile_above_the_lowest_is_named(tmp_path: Path) -> None:
    size = TILE_WIDTH**2 + 1
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*range(size)))
    with raw.opened(tmp_path) as database:
        tiles = database(keys.TILES)
        [(key, hashes)] = [row for row in tiles.rows() if row[0].startswith(keys.tile_key(1, 0))]
        tiles[key] = raw.flipped(hashes, 32 * 100)

    assert [(101 * TILE_WIDTH + 1, Kind.TILE)] == found(tmp_path)


def test_a_tile_under_a_key_that_is_none_is_missing(folder: Path) -> None:
    with raw.opened(folder) as database:
        tiles = database(keys.TILES)
        [(key, hashes)] = [row for row in tiles.rows() if row[0].startswith(keys.tile_key(0, 1))]
        del tiles[key]
        tiles[key[:-1]] = hashes

    assert [(257, Kind.TILE)] == found(folder)


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


def test_an_index_that_leads_behind_the_log_takes_no_event(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.STREAMS).remove(stream_id(10), keys.event_key(44))
        database(keys.STREAMS)[stream_id(10)] = keys.event_key(9_999)

    assert [(0, Kind.INDEX), (44, Kind.INDEX)] == found(folder)
    with DiskLog.open(folder) as log:
        with pytest.raises(WrongVersion, match="found 3"):
            log.append([event(SIZE + 1, 10, 5)])
        assert Damaged(9_999, "there is no record") == log.stream(stream_id(10))[-1]
        log.append([event(SIZE + 1, 11, 5)])


def test_an_index_that_is_gone_is_named_event_by_event_and_then_window_by_window(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[stream for stream in range(700) for _ in range(100)]))
    with raw.opened(tmp_path) as database:
        streams = database(keys.STREAMS)
        for number in range(700):
            del streams[stream_id(number)]

    verification = verified(tmp_path)

    assert 65_536 + 18 == verification.problem_count
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


def test_a_claim_of_a_stream_whose_index_is_no_position_is_named(folder: Path) -> None:
    first, *_ = history()[1]
    with raw.opened(folder) as database:
        database(keys.CLAIMS)[first] = stream_id(9_999)
        database(keys.STREAMS)[stream_id(9_999)] = b"odd"

    assert [(0, Kind.INDEX), (1, Kind.CLAIM)] == found(folder)


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
