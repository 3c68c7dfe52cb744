"""A log that says that it is longer than what is stored of it can be is named, and nothing reads it for ever."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store import keys, misplaced
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.tree import TILE_WIDTH, Edge
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.store import raw
from tests.ledger.store.make import Author
from tests.ledger.store.sound import SIZE, history, write

FAR = 2**50
STEPS_MAX = 1_000  # slices; nobody could wait for 2 ** 40

Forge = Callable[[Path], None]


def edge_far(path: Path) -> None:
    with raw.opened(path) as database:
        database(keys.META)[keys.EDGE] = Edge(FAR, (b"x" * 32,)).to_bytes()


def record_far(path: Path) -> None:
    with raw.opened(path) as database:
        database(keys.EVENTS)[keys.event_key(FAR)] = b"far"


def edge_and_record_far(path: Path) -> None:
    edge_far(path)
    record_far(path)


def edge_gone_and_record_far(path: Path) -> None:
    record_far(path)
    with raw.opened(path) as database:
        del database(keys.META)[keys.EDGE]


def archived_far(path: Path) -> None:
    edge_far(path)
    with raw.opened(path) as database:
        database(keys.META)[keys.ARCHIVED] = keys.event_key(FAR)


FORGED = [edge_far, edge_and_record_far, edge_gone_and_record_far, archived_far]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


def verified(path: Path, *checkpoints: TreeHead) -> Verification:
    steps = []

    def told(done: int, _: int) -> None:
        steps.append(done)
        assert len(steps) < STEPS_MAX, "it goes on for ever"

    with DiskLog.open(path, readonly=True) as log:
        return verify(log, checkpoint=checkpoints, progress=told)


@pytest.mark.parametrize("forge", FORGED)
def test_an_end_that_is_too_far_for_what_is_stored_is_one_that_was_cut_off(folder: Path, forge: Forge) -> None:
    forge(folder)

    verification = verified(folder)

    detail = f"the log ends at {SIZE}; its tree has {FAR} records"
    assert (False, SIZE, SIZE + 1) == (verification.ok, verification.events, verification.first_bad)
    assert [detail] == [problem.detail for problem in verification.problems if problem.kind is Kind.CUT_OFF]


def test_an_edge_that_is_gone_and_a_record_that_is_too_far_are_named(folder: Path) -> None:
    edge_gone_and_record_far(folder)

    named = [(problem.position, problem.kind) for problem in verified(folder).problems]

    assert {(0, Kind.TREE), (0, Kind.ADDED), (SIZE + 1, Kind.CUT_OFF)} <= set(named)


def test_an_archive_that_is_said_to_reach_too_far_is_named(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.META)[keys.ARCHIVED] = keys.event_key(FAR)

    verification = verified(folder)

    assert [(0, Kind.ARCHIVE)] == [(problem.position, problem.kind) for problem in verification.problems]
    assert SIZE == verification.events


@pytest.mark.parametrize("forge", FORGED)
def test_what_changed_in_such_a_log_is_named_too(folder: Path, forge: Forge) -> None:
    raw.change_record(folder, 100, raw.flipped)
    forge(folder)

    verification = verified(folder)

    assert (100, SIZE - 1) == (verification.first_bad, verification.events)
    assert (100, Kind.CHANGED) in [(problem.position, problem.kind) for problem in verification.problems]


@pytest.mark.parametrize("forge", FORGED)
def test_such_a_log_is_read_to_where_its_records_can_end_and_takes_no_more(folder: Path, forge: Forge) -> None:
    forge(folder)

    with DiskLog.open(folder, readonly=True) as log:
        assert SIZE == log.head()
        assert history()[0] == list(islice(log.read(), STEPS_MAX))
    with pytest.raises(Corrupt):
        DiskLog.open(folder)


def test_an_edge_that_fits_its_tiles_and_no_record_takes_no_more(folder: Path) -> None:
    edge_far(folder)
    with raw.opened(folder) as database:  # one hash on the level of 256 ** 6 records, four times
        key, value = keys.tile_item(6, 0, b"x" * 32 * 4)
        database(keys.TILES)[key] = value

    with pytest.raises(Corrupt, match=f"says that it has {FAR} records"):
        DiskLog.open(folder)


@pytest.mark.parametrize("forge", FORGED)
def test_a_record_that_was_cut_out_of_such_a_log_is_named(folder: Path, forge: Forge) -> None:
    raw.cut_record(folder, 300)
    forge(folder)

    verification = verified(folder)

    assert (300, Kind.MISSING) in [(problem.position, problem.kind) for problem in verification.problems]


def test_a_checkpoint_of_such_a_size_is_not_fitted_by_it(folder: Path) -> None:
    edge_and_record_far(folder)

    kinds = [problem.kind for problem in verified(folder, TreeHead(FAR - 1, bytes(32))).problems]

    assert Kind.CUT_OFF in kinds


def test_a_tree_that_lost_all_its_tiles_is_still_held_to_every_record(tmp_path: Path) -> None:
    write(tmp_path, 3_000)
    with raw.opened(tmp_path) as database:
        tiles = database(keys.TILES)
        for key, _ in tiles.rows():
            del tiles[key]

    assert 3_000 == verified(tmp_path).events


@pytest.mark.parametrize("forge", FORGED)
def test_nothing_is_said_of_the_records_that_are_as_they_were_written(folder: Path, forge: Forge) -> None:
    forge(folder)

    assert {0, SIZE + 1} == {problem.position for problem in verified(folder).problems}


def test_records_that_are_gone_are_all_counted_and_the_first_of_them_named(tmp_path: Path) -> None:
    write(tmp_path, 4_000)
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(5, 2_005):
            del events[keys.event_key(position)]

    verification = verified(tmp_path)

    assert (2_000, 5) == (verification.problem_count, verification.first_bad)
    assert list(range(5, 1_005)) == [problem.position for problem in verification.problems]
    assert {Kind.MISSING} == {problem.kind for problem in verification.problems}


def test_such_an_end_takes_no_time_when_no_more_runs_are_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misplaced, "RUNS_MAX", 0)
    edge_far(folder)

    verification = verified(folder)

    assert (SIZE, SIZE + 1) == (verification.events, verification.first_bad)
    assert FAR - SIZE + 1 == verification.problem_count  # with the edge


def test_a_long_log_that_lost_almost_all_of_its_records_ends_where_its_tiles_say(tmp_path: Path) -> None:
    size = TILE_WIDTH**2 + 1_000
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*range(size)))
        root = log.tree_head().root_hash
    with raw.opened(tmp_path) as database:
        events = database(keys.EVENTS)
        for position in range(11, size + 1):
            del events[keys.event_key(position)]
        events[keys.event_key(size - 1)] = b"one"

    with DiskLog.open(tmp_path, readonly=True) as log:
        assert size == log.head()
    verification = verified(tmp_path)
    assert (10, 11, root) == (verification.events, verification.first_bad, verification.root_hash)


def test_a_record_that_is_too_far_hides_no_record_that_is_not(folder: Path) -> None:
    with raw.opened(folder) as database:
        events = database(keys.EVENTS)
        for position in (SIZE + 1, SIZE + 3, FAR):
            events[keys.event_key(position)] = b"behind"
        del database(keys.META)[keys.EDGE]

    with DiskLog.open(folder, readonly=True) as log:
        assert SIZE + 3 == log.head()
    assert SIZE == verified(folder).events


def test_keys_that_are_no_positions_do_not_hide_where_such_a_log_ends(folder: Path) -> None:
    edge_and_record_far(folder)
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(SIZE) + b"!"] = b"stranger"

    with DiskLog.open(folder, readonly=True) as log:
        assert SIZE == log.head()


@pytest.mark.parametrize("has_edge", [True, False])
def test_an_end_at_the_last_position_that_there_can_be_is_one_that_was_cut_off(folder: Path, *, has_edge: bool) -> None:
    end = keys.POSITION_MAX
    with raw.opened(folder) as database:
        database(keys.EVENTS)[keys.event_key(end)] = b"far"
        if has_edge:
            database(keys.META)[keys.EDGE] = Edge(end, (b"x" * 32,) * end.bit_count()).to_bytes()
        else:
            del database(keys.META)[keys.EDGE]

    verification = verified(folder)

    named = [(problem.position, problem.kind) for problem in verification.problems]
    assert (SIZE, SIZE + 1) == (verification.events, verification.first_bad)
    assert {(0, Kind.ADDED), (SIZE + 1, Kind.CUT_OFF)} <= set(named)
