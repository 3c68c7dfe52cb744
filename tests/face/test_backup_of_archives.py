"""A backup of a ledger with an archive has both as of one moment, whatever is archived or deleted meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

import tallystick
from tallystick.backup import copy_all, make, restore
from tallystick.config import Config, Payloads
from tallystick.ledger.archive import deletion, files, manifest
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.readings import LOG_FOLDER
from tests.face.parts import ORDINARY, PATIENCE_S

NOW = 1_790_000_000_000
LATER = 1 << 50
SEGMENT = 256
EVENTS = 1_200


@pytest.fixture(params=["inline", "aside"])
def told(folder: Path, request: pytest.FixtureRequest) -> Path:
    """A ledger of which the first segments are in the archive; what its events say is kept beside them, or not."""
    config = Config(payloads=Payloads(aside="content")) if request.param == "aside" else Config()
    with tallystick.open(folder, config=config) as ledger, ledger.batch() as batch:
        for _ in range(EVENTS // 2):
            batch.create(**ORDINARY).start()
    with DiskLog.open(folder / LOG_FOLDER) as log:
        seal(log, 3)
        assert 3 * SEGMENT == log.archived()
    return folder


def seal(log: DiskLog, segments: int) -> None:
    sealing = Sealing(log, segment_events=SEGMENT)
    while segments and sealing.due(LATER, 0) is not None:
        while sealing.step():
            pass
        segments -= 1


def archive_of(ledger: Path) -> Path:
    return ledger / LOG_FOLDER / "archive"


def segments_in(ledger: Path) -> list[Path]:
    return sorted(path for path in archive_of(ledger).iterdir() if path.suffix == files.SEGMENT)


def events_of(ledger: Path) -> list[tallystick.Event]:
    with tallystick.open(ledger, read_only=True) as opened:
        verified = opened.verify()
        assert verified.ok, verified.problems
        return list(opened.events())


def test_the_archive_is_copied_so_that_nothing_that_happens_to_one_happens_to_the_other(
    told: Path, tmp_path: Path
) -> None:
    made = make(told, tmp_path / "backup", now=NOW)
    restored = restore(tmp_path / "backup", tmp_path / "again")

    assert (3, 3, EVENTS) == (made.segments, restored.segments, made.events)
    assert events_of(told) == events_of(tmp_path / "backup") == events_of(tmp_path / "again")
    for ours, kept, copied in zip(*map(segments_in, (told, tmp_path / "backup", tmp_path / "again")), strict=True):
        assert ours.read_bytes() == kept.read_bytes() == copied.read_bytes()
        assert [1, 1, 1] == [path.stat().st_nlink for path in (ours, kept, copied)]
    assert manifest.read(archive_of(told)) == manifest.read(archive_of(tmp_path / "again"))


def test_a_backup_has_all_whatever_leaves_the_log_while_it_is_made(told: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    with tallystick.open(told) as ledger, DiskLog.open(told / LOG_FOLDER) as log:

        def work() -> None:
            while not stop.is_set():
                with ledger.batch() as batch:
                    for _ in range(SEGMENT):
                        batch.create(**ORDINARY)
                seal(log, 1)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            heads = [ledger.backup(tmp_path / f"{each}").head for each in range(4)]
        finally:
            stop.set()
            thread.join(PATIENCE_S)
        written = list(ledger.events())

    for each, head in enumerate(heads):
        assert written[:head] == events_of(tmp_path / f"{each}")


class Meanwhile:
    """The environment of a log, while whose copy is made something else happens, just before and just after."""

    def __init__(self, log: DiskLog, before: Callable[[DiskLog], None], after: Callable[[DiskLog], None]) -> None:
        self._log, self._environment, self._before, self._after = log, log.environment, before, after

    def copy(self, path: Path) -> None:
        self._log.environment = self._environment
        self._before(self._log)
        self._environment.copy(path)
        self._after(self._log)


def nothing(_log: DiskLog) -> None:
    pass


def seal_one(log: DiskLog) -> None:
    seal(log, 1)


def delete_one(log: DiskLog) -> None:
    first = next(entry for entry in log.archive.entries() if not entry.is_deleted)
    deletion.delete(log, first, by="tester", at=NOW, reason="nobody needs it")


@pytest.mark.parametrize("after", [nothing, seal_one, delete_one])
@pytest.mark.parametrize("before", [nothing, seal_one, delete_one])
def test_what_moves_between_the_log_and_the_archive_is_in_one_of_them(
    told: Path, tmp_path: Path, before: Callable[[DiskLog], None], after: Callable[[DiskLog], None]
) -> None:
    place = tmp_path / "copy"
    place.mkdir()
    with DiskLog.open(told / LOG_FOLDER) as log:
        root = log.tree_head().root_hash
        log.environment = cast("Environment", Meanwhile(log, before, after))
        copy_all(told, log, place)
        deleted = sum(entry.is_deleted for entry in log.archive.entries())

    with tallystick.open(place, read_only=True) as copy:
        verified = copy.verify()
    assert (True, root, EVENTS) == (verified.ok, verified.root_hash, verified.head), verified.problems
    assert EVENTS - deleted * SEGMENT == verified.events
    assert (before, after).count(delete_one) == deleted


def test_what_was_deleted_from_the_archive_is_not_in_a_backup_and_its_hashes_are(told: Path, tmp_path: Path) -> None:
    with DiskLog.open(told / LOG_FOLDER) as log:
        first = log.archive.entries()[0]
        deletion.delete(log, first, by="tester", at=NOW, reason="nobody needs it")

    made = make(told, tmp_path / "backup", now=NOW)

    assert (EVENTS - SEGMENT, EVENTS, 0) == (made.events, made.head, made.problems)
    assert 2 == len(segments_in(tmp_path / "backup"))
    assert (archive_of(tmp_path / "backup") / files.name_of(first.first, first.last, files.REMAINS)).exists()
    assert made.root_hash == restore(tmp_path / "backup", tmp_path / "again").root_hash


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_backup_of_which_a_segment_is_not_as_it_was_is_not_restored(told: Path, tmp_path: Path, damage: str) -> None:
    make(told, tmp_path / "backup", now=NOW)
    segment = segments_in(tmp_path / "backup")[1]
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        segment.unlink()
    else:
        segment.write_bytes(content if damage == "changed" else content[:-100])

    with pytest.raises(tallystick.Corrupt):
        restore(tmp_path / "backup", tmp_path / "again")

    assert not (tmp_path / "again").exists()
    assert EVENTS == len(events_of(told))


def test_a_file_that_nobody_finished_is_left_behind(told: Path, tmp_path: Path) -> None:
    (archive_of(told) / (files.name_of(10_001, 10_256) + files.UNFINISHED)).write_bytes(b"half")

    make(told, tmp_path / "backup", now=NOW)

    assert 3 == sum(path.is_file() for path in archive_of(tmp_path / "backup").iterdir()) - 1  # and the manifest


@pytest.mark.parametrize("content", [b"{", None])
def test_an_archive_without_a_manifest_that_can_be_read_comes_along_as_its_files_say(
    told: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = archive_of(told) / files.MANIFEST
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    made = make(told, tmp_path / "backup", now=NOW)

    assert (EVENTS, EVENTS) == (made.events, made.head)
    assert 3 == len(segments_in(tmp_path / "backup"))
