"""A folder of tiles is whole whenever it has a checkpoint, however exports follow each other and are cut short."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.errors import Full, StoreError
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.tiles import Place, parse_bundle, places
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import leaf_hash, root_from_leaves
from tallystick.tiles import write_tiles
from tests.ledger.store.test_disk_log import files_at_most
from tests.proofs.logs import SIZE, checkpoint_at, contents, export, grow, wanted
from tests.proofs.parts import KEY


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1_024, SIZE])
def test_a_folder_has_the_files_of_the_checkpoint_and_no_others(log: DiskLog, folder: Path, size: int) -> None:
    written = export(log, folder, size)

    files = wanted(log, size)
    assert files == contents(folder)
    assert (size, str(folder), KEY.name) == (written.size, written.path, written.origin)
    assert sum(map(len, files.values())) == written.bytes
    assert (sum("tile/entries" in name for name in files), 0, 0) == (
        written.bundles,
        written.kept,
        written.minimum_index,
    )


def test_every_record_in_the_folder_leads_to_the_root_of_its_checkpoint(log: DiskLog, folder: Path) -> None:
    written = export(log, folder)

    records = [
        record
        for place in places(SIZE)
        if not place.level
        for record in parse_bundle((folder / place.bundle_path).read_bytes())
    ]
    assert [body for _, body in log.bodies()] == records
    assert written.root_hash == root_from_leaves(list(map(leaf_hash, records))) == log.tree_head().root_hash


def test_whole_tiles_that_are_there_are_not_written_again(log: DiskLog, folder: Path) -> None:
    export(log, folder, 600)
    before = {name: (folder / name).stat() for name in contents(folder)}

    written = export(log, folder)

    whole = [Place(0, 0), Place(0, 1)]
    assert 2 * len(whole) == written.kept
    for path in (path for place in whole for path in (place.path, place.bundle_path)):
        assert before[path].st_ino == (folder / path).stat().st_ino
    assert wanted(log, SIZE).items() <= contents(folder).items()


def test_incomplete_tiles_go_once_there_is_the_whole_one(log: DiskLog, folder: Path) -> None:
    for size in (100, 130, 200):
        export(log, folder, size)
    assert {"tile/0/000.p/100", "tile/0/000.p/130", "tile/entries/000.p/200"} <= contents(folder).keys()

    export(log, folder, 300)

    assert wanted(log, 300) == contents(folder)


@pytest.mark.slow
@settings(max_examples=12)
@given(st.lists(st.integers(0, SIZE), min_size=1, max_size=4).map(sorted), st.data())
def test_however_exports_follow_each_other_the_folder_has_the_last_checkpoint(
    sizes: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place, DiskLog.open(Path(place, "log")) as log:
        grow(log, SIZE)
        folder = Path(place, "tiles")
        for size in sizes:
            export(log, folder, size)
            assert wanted(log, size).items() <= contents(folder).items()
            gone = data.draw(st.sampled_from([None, *(path for path in wanted(log, size) if path != "checkpoint")]))
            if gone is not None:
                (folder / gone).unlink()
        export(log, folder, sizes[-1])
        assert wanted(log, sizes[-1]).items() <= contents(folder).items()


def test_an_export_of_what_is_there_writes_the_checkpoint_alone(log: DiskLog, folder: Path) -> None:
    export(log, folder)
    again = sign(Checkpoint(KEY.name, SIZE, log.tree_head().root_hash), KEY, SigningKey("more.example", bytes(32)))

    written = write_tiles(log, folder, again.to_bytes())

    assert (0, 0) == (written.tiles, written.bundles)
    assert again.to_bytes() == (folder / "checkpoint").read_bytes()


def test_what_somebody_took_out_of_the_folder_is_written_again(log: DiskLog, folder: Path) -> None:
    export(log, folder)
    for path in (Place(0, 1).path, Place(0, 2).bundle_path):
        (folder / path).unlink()

    written = export(log, folder)

    assert (1, 1) == (written.tiles, written.bundles)
    assert wanted(log, SIZE) == contents(folder)


def test_what_is_not_under_a_checkpoint_yet_is_not_believed(log: DiskLog, folder: Path) -> None:
    # Whoever was killed, or lost power, before the checkpoint was written may have left files without their bytes.
    export(log, folder, 200)
    (folder / Place(0, 0).path).write_bytes(b"")
    (folder / Place(0, 3).bundle_path).write_bytes(b"half")
    (folder / "checkpoint.unfinished").write_bytes(b"half")

    export(log, folder)

    assert wanted(log, SIZE) == contents(folder)


def test_readers_never_see_a_checkpoint_whose_tiles_are_not_there(log: DiskLog, folder: Path) -> None:
    export(log, folder, 300)
    seen: list[str] = []

    def look(done: int, total: int) -> None:
        size = int((folder / "checkpoint").read_bytes().split(b"\n")[1])
        seen.extend(path for path in wanted(log, size) if not (folder / path).exists())
        seen.extend([] if size == 300 and total == SIZE and done <= SIZE else ["too early"])

    write_tiles(log, folder, checkpoint_at(log, SIZE), progress=look)

    assert [] == seen
    assert checkpoint_at(log, SIZE) == (folder / "checkpoint").read_bytes()


def test_progress_ends_with_all_records(log: DiskLog, folder: Path) -> None:
    told: list[tuple[int, int]] = []

    write_tiles(log, folder, checkpoint_at(log, SIZE), progress=lambda done, total: told.append((done, total)))

    assert [(256, SIZE), (512, SIZE), (768, SIZE), (1_024, SIZE), (1_280, SIZE), (SIZE, SIZE)] == told


def test_an_older_checkpoint_is_published_while_the_log_goes_on(log: DiskLog, folder: Path) -> None:
    checkpoint = checkpoint_at(log, SIZE)
    files = wanted(log, SIZE)
    grow(log, 3_000)

    write_tiles(log, folder, checkpoint)

    assert files == contents(folder)


def test_the_files_are_for_whoever_the_umask_lets_read(log: DiskLog, folder: Path) -> None:
    before = os.umask(0o022)
    try:
        export(log, folder, 300)
    finally:
        os.umask(before)

    assert {0o644} == {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert {0o755} == {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()}


def test_a_full_disk_leaves_what_was_published(log: DiskLog, folder: Path) -> None:
    export(log, folder, 300)
    before = contents(folder)

    with files_at_most(9_000), pytest.raises(Full):
        export(log, folder)

    after = contents(folder)
    assert before.items() <= after.items()
    assert [] == [name for name in after if name.endswith(".unfinished")]
    export(log, folder)
    assert wanted(log, SIZE).items() <= contents(folder).items()


def test_only_one_writes_at_a_time(log: DiskLog, folder: Path) -> None:
    told: list[StoreError] = []

    def second() -> None:
        try:
            export(log, folder)
        except StoreError as error:
            told.append(error)

    def look(done: int, total: int) -> None:
        if done < total and not told:
            other = threading.Thread(target=second)
            other.start()
            other.join()

    write_tiles(log, folder, checkpoint_at(log, SIZE), progress=look)

    assert [True] == ["somebody else is writing tiles there" in str(error) for error in told]
    assert wanted(log, SIZE) == contents(folder)


EXPORTING = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog
from tallystick.tiles import write_tiles

with DiskLog.open(Path(sys.argv[1]), readonly=True) as log:
    for note in sys.argv[3:]:
        write_tiles(log, Path(sys.argv[2]), Path(note).read_bytes(), progress=lambda *told: print(*told, flush=True))
"""


@pytest.mark.slow
def test_whoever_is_killed_leaves_a_folder_that_is_what_its_checkpoint_says(
    log: DiskLog, folder: Path, tmp_path: Path
) -> None:
    notes = []
    for size in (300, 500, 700, 900, 1_300, SIZE):
        notes.append(tmp_path / f"{size}.note")
        notes[-1].write_bytes(checkpoint_at(log, size))
    for lines in range(1, 16, 2):
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-c", EXPORTING, str(tmp_path / "log"), str(folder), *map(str, notes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(lines):
                child.stdout.readline()
            child.kill()
        if (folder / "checkpoint").exists():
            size = int((folder / "checkpoint").read_bytes().split(b"\n")[1])
            assert wanted(log, size).items() <= contents(folder).items()
        export(log, folder)
        assert wanted(log, SIZE).items() <= contents(folder).items()


def test_a_file_that_cannot_be_written_is_named(log: DiskLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreError, match="file"):
        export(log, tmp_path / "file")
