"""Nothing is published that does not lead to the checkpoint, and nothing that was published is taken back."""

from pathlib import Path

import pytest

from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved, StoreError
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.tiles import Place
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.keys import EVENTS, TILES, event_key, tile_key
from tallystick.ledger.store.tree import HASH_BYTES, TILE_WIDTH
from tallystick.tiles import write_tiles
from tests.ledger.archive import test_deletion as deletion
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.store.make import Author
from tests.ledger.store.raw import opened
from tests.proofs.logs import SIZE, checkpoint_at, contents, export, grow, wanted
from tests.proofs.parts import KEY, flipped


def test_a_history_that_was_written_anew_is_not_published_over_the_old_one(
    log: DiskLog, folder: Path, tmp_path: Path
) -> None:
    export(log, folder)
    before = contents(folder)

    with DiskLog.open(tmp_path / "anew") as anew:
        anew.append(Author().write(10**9))
        grow(anew, 2_000)
        with pytest.raises(NotProved, match="does not go on from the 1400 records that are published") as refused:
            export(anew, folder, 2_000)

    assert "root" == refused.value.what
    assert before == contents(folder)


def test_the_tiles_of_one_log_do_not_go_into_the_folder_of_another(log: DiskLog, folder: Path) -> None:
    export(log, folder)
    before = contents(folder)

    with pytest.raises(InvalidInput, match=f"without the tiles of {KEY.name}"):
        write_tiles(log, folder, checkpoint_at(log, SIZE, SigningKey("else.example", bytes(32))))
    assert before == contents(folder)


def test_what_was_published_is_not_taken_back(log: DiskLog, folder: Path) -> None:
    export(log, folder)
    before = contents(folder)

    with pytest.raises(InvalidInput, match="at least 1400"):
        export(log, folder, 1_399)
    assert before == contents(folder)


def test_a_checkpoint_that_the_log_does_not_have_is_not_published(log: DiskLog, folder: Path) -> None:
    root = log.tree_head().root_hash
    with pytest.raises(InvalidInput, match="at most 1400 records"):
        write_tiles(log, folder, sign(Checkpoint(KEY.name, SIZE + 1, root), KEY).to_bytes())
    with pytest.raises(Corrupt, match="does not lead to the checkpoint's root over 1399 records"):
        write_tiles(log, folder, sign(Checkpoint(KEY.name, SIZE - 1, root), KEY).to_bytes())
    with pytest.raises(InvalidInput, match="a signed note"):
        write_tiles(log, folder, b"nothing")
    assert not folder.exists()


def test_what_is_no_checkpoint_in_the_folder_is_not_written_over(log: DiskLog, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_bytes(b"something else\n")

    with pytest.raises(InvalidInput, match="a signed note"):
        export(log, folder)
    assert {"checkpoint": b"something else\n"} == contents(folder)


@pytest.mark.parametrize("position", [1, 300, 1_400])
def test_a_record_that_was_changed_is_not_published(tmp_path: Path, folder: Path, position: int) -> None:
    with DiskLog.open(tmp_path / "log") as log:
        grow(log, SIZE)
        checkpoint = checkpoint_at(log, SIZE)
    with opened(tmp_path / "log") as databases:
        events = databases(EVENTS)
        events[event_key(position)] = flipped(events[event_key(position)], 5)

    with DiskLog.open(tmp_path / "log") as log, pytest.raises(Corrupt, match="other bytes than") as refused:
        write_tiles(log, folder, checkpoint)

    assert position == refused.value.position
    assert "checkpoint" not in contents(folder)


@pytest.mark.parametrize(("level", "index"), [(0, 1), (1, 0)])
def test_a_tile_that_was_changed_is_not_published(tmp_path: Path, folder: Path, level: int, index: int) -> None:
    with DiskLog.open(tmp_path / "log") as log:
        grow(log, SIZE)
        checkpoint = checkpoint_at(log, SIZE)
    with opened(tmp_path / "log") as databases:
        tiles = databases(TILES)
        ((key, value),) = [row for row in tiles.rows() if row[0].startswith(tile_key(level, index))]
        tiles[key] = flipped(value, 2 * HASH_BYTES * 8)

    with DiskLog.open(tmp_path / "log") as log, pytest.raises(Corrupt):
        write_tiles(log, folder, checkpoint)

    assert "checkpoint" not in contents(folder)


# What was deleted.


def test_of_what_was_deleted_only_the_hashes_are_published(tmp_path: Path, folder: Path) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        before = wanted(log, log.head())
        deletion.delete(log, before=2 * SEGMENT + 1)

        written = export(log, folder, log.head())

        gone = {Place(0, index).bundle_path for index in range(2 * SEGMENT // TILE_WIDTH)}
        assert {path: each for path, each in before.items() if path not in gone} == contents(folder)
        assert (2 * SEGMENT, 0) == (written.minimum_index, written.removed)


def test_what_is_deleted_later_goes_from_the_folder_too(tmp_path: Path, folder: Path) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        for size in (100, 300, 2_000):
            export(log, folder, size)
        deletion.delete(log, before=SEGMENT + 1)

        written = export(log, folder, 2_100)

        assert (2, SEGMENT) == (written.removed, written.minimum_index)
        assert [] == [name for name in contents(folder) if name.startswith(("tile/entries/000", "tile/entries/001"))]
        assert Place(0, 0).path in contents(folder)


def test_a_checkpoint_in_the_middle_of_what_was_deleted_is_published_without_records(
    tmp_path: Path, folder: Path
) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        export(log, folder, 290)
        deletion.delete(log, before=SEGMENT + 1)

        written = export(log, folder, 300)

        assert (0, 300, 2) == (written.bundles, written.minimum_index, written.removed)
        hashes = {"tile/0/000", "tile/0/001.p/34", "tile/0/001.p/44", "tile/1/000.p/1"}
        assert {"checkpoint", *hashes} == set(contents(folder))


def test_records_that_are_deleted_while_they_are_exported_are_not_published(tmp_path: Path, folder: Path) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        checkpoint = checkpoint_at(log, log.head())

        def meanwhile(_done: int, _total: int) -> None:
            deletion.delete(log, before=SEGMENT + 1)

        with pytest.raises(StoreError, match="position 257 was deleted meanwhile; write the tiles again"):
            write_tiles(log, folder, checkpoint, progress=meanwhile)
        assert "checkpoint" not in contents(folder)

        assert 1 == write_tiles(log, folder, checkpoint).removed
        assert [] == [name for name in contents(folder) if name.startswith("tile/entries/000")]


def test_hashes_of_deleted_records_that_were_changed_are_not_published(tmp_path: Path, folder: Path) -> None:
    deletion.write(tmp_path / "log")
    with DiskLog.open(tmp_path / "log") as log:
        deletion.delete(log, before=SEGMENT + 1)
        [remains] = (tmp_path / "log" / "archive").glob("*.tiles")
        remains.write_bytes(flipped(remains.read_bytes(), remains.stat().st_size * 8 - 1))

        with pytest.raises(Corrupt, match="tile 0/1 is another than the tree was built from") as damaged:
            export(log, folder, log.head())

    assert TILE_WIDTH + 1 == damaged.value.position
    assert "checkpoint" not in contents(folder)
