"""An archive that somebody made anew is found by the tree of the log, and with that by a checkpoint that was kept."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.archive.deletion import delete
from tallystick.ledger.store import keys
from tallystick.ledger.store.codec import encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.tree import leaf_hashes, root_from_leaves
from tallystick.ledger.store.verify import Kind, Verification, verify
from tests.ledger.archive.shelves import SEGMENT, SIZE, seal
from tests.ledger.store import raw
from tests.ledger.store.make import stream_id
from tests.ledger.store.sound import history

FORGED = 303


def make(path: Path, forged: int | None = None) -> TreeHead:
    """A log of which two segments are archived; perhaps one of its events is another one."""
    events, claims = history(SIZE)
    if forged is not None:
        events[forged - 1] = replace(events[forged - 1], actor="somebody else")
    with DiskLog.open(path) as log:
        log.append(events, claims)
        seal(log)
        return log.tree_head()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound")
    make(path)
    return path


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "log"))


def held(path: Path, *checkpoints: TreeHead) -> Verification:
    with DiskLog.open(path, readonly=True) as log:
        return verify(log, checkpoint=checkpoints)


def kinds(found: Verification) -> list[tuple[int, Kind]]:
    return [(problem.position, problem.kind) for problem in found.problems]


def kept(size: int) -> TreeHead:
    """What the tree was when the log had so many events."""
    events, _ = history(SIZE)
    return TreeHead(size, root_from_leaves(leaf_hashes([encode(event) for event in events[:size]])))


@given(size=st.integers(0, SIZE))
def test_a_checkpoint_of_before_something_was_archived_fits(sound: Path, size: int) -> None:
    assert [] == kinds(held(sound, kept(size)))


@pytest.mark.parametrize("size", [1, 300, 511, 512, 513, 1_024, SIZE])
def test_a_checkpoint_is_held_to_the_hashes_of_a_segment_that_was_deleted(folder: Path, size: int) -> None:
    with DiskLog.open(folder) as log:
        delete(log, log.archive.entries()[0], by="ada", at=1, reason="over")

    found = held(folder, kept(size))

    assert ([], SEGMENT) == (kinds(found), found.deleted)


def test_of_records_that_were_deleted_the_index_must_have_as_many_rows(folder: Path) -> None:
    with DiskLog.open(folder) as log:
        delete(log, log.archive.entries()[0], by="ada", at=1, reason="over")
    with raw.opened(folder) as database:
        database(keys.STREAMS).remove(stream_id(70), keys.event_key(282))

    found = held(folder)

    assert [(257, Kind.INDEX)] == kinds(found)
    assert "of the 255 rows for positions 257 to 512" in found.problems[0].detail


def test_an_archive_that_was_written_anew_with_its_whole_log_is_forked_from_a_checkpoint(tmp_path: Path) -> None:
    make(tmp_path, FORGED)

    assert [] == kinds(held(tmp_path))
    assert [(1, Kind.FORKED)] == kinds(held(tmp_path, kept(SEGMENT)))
    assert [(301, Kind.FORKED)] == kinds(held(tmp_path, kept(300), kept(SIZE)))


def test_the_archive_of_another_log_does_not_fit_the_tree(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", FORGED)
    shutil.rmtree(folder / "archive")
    shutil.copytree(tmp_path / "other" / "archive", folder / "archive")

    found = held(folder)

    assert (257, Kind.TILE) in kinds(found)
    assert (False, 257) == (found.ok, found.first_bad)
    assert any("not that of positions 257 to 512" in problem.detail for problem in found.problems)


def test_a_log_whose_archive_begins_later_than_its_records_left_is_missing_those_between(folder: Path) -> None:
    with raw.opened(folder) as database:
        database(keys.META)[keys.ARCHIVED] = keys.event_key(SEGMENT)

    found = held(folder)

    assert {(position, Kind.MISSING) for position in range(SEGMENT + 1, 2 * SEGMENT + 1)} <= set(kinds(found))
    assert SEGMENT + 1 == found.first_bad


def test_a_log_that_was_cut_off_where_its_archive_ends_says_so(folder: Path) -> None:
    with raw.opened(folder) as database:
        events = database(keys.EVENTS)
        for key, _ in events.rows():
            del events[key]

    assert [(2 * SEGMENT + 1, Kind.CUT_OFF)] == kinds(held(folder))
