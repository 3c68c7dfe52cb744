"""A backup is the ledger as of one moment, whole or not there; what is restored from it is the ledger again."""

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag

import pytest

import tallystick
from tallystick.backup import BACKUP_NAME, make, restore
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.folder import DATA_NAME
from tallystick.readings import LOG_FOLDER
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tallystick.unfinished import UNFINISHED, Unfinished
from tests.cli.damage import change_record
from tests.face.parts import ORDINARY, at_once, open_any, said
from tests.face.parts import contents as contents_of
from tests.ledger.store.make import Author, stream_id
from tests.ledger.store.test_room import own_disk

NOW = 1_790_000_000_000
SETTINGS = "[retention]\nlost = '36h'\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a backup goes."""
    return tmp_path / "backups" / "monday"


@pytest.fixture(autouse=True)
def place(target: Path) -> None:
    """There is a folder for backups."""
    target.parent.mkdir()


@pytest.fixture
def told(folder: Path) -> Path:
    """A ledger that nobody has open: three tasks, and a configuration."""
    with tallystick.open(folder) as ledger:
        for _ in range(3):
            ledger.create(**ORDINARY).start()
    (folder / "tallystick.toml").write_text(SETTINGS, "utf-8")
    return folder


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["disk", "asyncio", "joined"])
def test_a_backup_of_an_open_ledger_has_all_that_was_answered(
    kind: str, folder: Path, target: Path, clock: HandClock
) -> None:
    with open_any(kind, folder, clock) as ledger:
        ids = [ledger.create(**ORDINARY).id for _ in range(5)]
        made = ledger.backup(target)

    with tallystick.open(target, read_only=True) as copy:
        assert set(ids) == {task.task_id for task in copy.list().tasks}
        verified = copy.verify()
        assert (True, made.root_hash, made.head) == (verified.ok, verified.root_hash, verified.head)
    assert (5, 5, 0, str(target)) == (made.tasks, made.events, made.problems, made.path)
    assert made.bytes >= (target / LOG_FOLDER / DATA_NAME).stat().st_size > 0


def test_writers_go_on_beside_a_backup_and_it_has_a_beginning_of_what_they_wrote(ledger: Ledger, target: Path) -> None:
    done = Flag()

    def write_or_copy(number: int) -> None:
        if number:
            while not done.is_set():
                ledger.create(**ORDINARY).start()
            return
        try:
            for each in range(3):
                ledger.backup(target.with_name(f"{each}"))
        finally:
            done.set()

    at_once(3, write_or_copy)

    written = list(ledger.events())
    for each in range(3):
        with tallystick.open(target.with_name(f"{each}"), read_only=True) as copy:
            copied = list(copy.events())
        assert written[: len(copied)] == copied
    assert len(copied) < len(written)


def test_a_backup_is_private_and_has_nothing_that_belongs_to_a_running_ledger(told: Path, target: Path) -> None:
    umask = os.umask(0)
    try:
        with tallystick.open(told) as ledger:
            ledger.backup(target)
    finally:
        os.umask(umask)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (target, *target.rglob("*")) if path.is_dir()}
    assert {0o700} == modes
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()}
    assert [BACKUP_NAME, LOG_FOLDER, "tallystick.toml"] == left_in(target)
    assert [DATA_NAME] == left_in(target / LOG_FOLDER)
    assert SETTINGS == (target / "tallystick.toml").read_text("utf-8")


def full_folder(target: Path) -> None:
    target.mkdir()
    (target / "mine").touch()


def link_elsewhere(target: Path) -> None:
    target.with_name("elsewhere").mkdir()
    target.symlink_to(target.with_name("elsewhere"))


@pytest.mark.parametrize("taken", [full_folder, link_elsewhere, Path.touch])
def test_a_place_that_is_taken_is_refused_and_left_as_it_was(
    told: Path, target: Path, taken: Callable[[Path], None]
) -> None:
    taken(target)
    before = left_in(target.parent)

    with pytest.raises(tallystick.InvalidInput, match="a folder"):
        make(told, target, now=NOW)
    with pytest.raises(tallystick.InvalidInput, match="a folder"):
        restore(told, target)

    assert before == left_in(target.parent)


def test_an_empty_folder_is_a_place_for_a_backup(told: Path, target: Path) -> None:
    target.mkdir(0o755)

    assert 6 == make(told, target, now=NOW).head
    assert 0o700 == stat.S_IMODE(target.stat().st_mode)


def test_a_backup_inside_of_its_ledger_or_of_nothing_is_refused(told: Path, target: Path) -> None:
    with tallystick.open(told) as ledger:
        for wrong in (told / "backup", told, target / "below" / "nothing", "", "a\0b", 7):
            with pytest.raises(tallystick.InvalidInput):
                ledger.backup(wrong)  # type: ignore[arg-type]

    assert [] == left_in(target.parent)


def test_a_ledger_in_memory_and_a_closed_one_have_nothing_to_copy(told: Path, target: Path) -> None:
    with memory_ledger() as memory, pytest.raises(tallystick.InvalidInput, match="in a folder"):
        memory.backup(target)
    with tallystick.open(told) as ledger:
        pass
    with pytest.raises(tallystick.Closed):
        ledger.backup(target)


FULL = """
    import resource, sys
    from pathlib import Path
    from tallystick import Full
    from tallystick.backup import make, restore

    copy = make if sys.argv[3] == "make" else restore
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
    try:
        copy(Path(sys.argv[1]), Path(sys.argv[2]), **({"now": 0} if copy is make else {}))
    except Full as error:
        print(error)
"""


@pytest.mark.parametrize("kind", ["make", "restore"])
def test_a_full_disk_is_said_and_nothing_is_left(told: Path, target: Path, kind: str) -> None:
    source = told
    if kind == "restore":
        source = told.with_name("backup")
        make(told, source, now=NOW)

    for room in (0, 8_192):
        [line] = said(FULL, source, target, kind, room)
        assert "is full" in line
    assert [] == left_in(target.parent)


def test_a_disk_that_fills_up_in_the_middle_is_said_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    with tallystick.open(folder) as ledger, ledger.batch() as batch:
        for _ in range(400):
            batch.create(**{**ORDINARY, "task": "x" * 4_000})
    disk = tmp_path / "disk"
    disk.mkdir()
    script = """
        import os, sys
        from pathlib import Path
        from tallystick import Full
        from tallystick.backup import make

        try:
            make(Path(sys.argv[1]), Path(sys.argv[2]) / "backup", now=0)
        except Full as error:
            print(error)
        print(os.listdir(sys.argv[2]))
    """

    told, left = said(script, folder, disk, prefix=own_disk(disk))

    assert f"the disk of {disk}" in told
    assert "[]" == left


def test_what_a_killed_backup_left_is_plainly_unfinished_and_goes_with_the_next_one(told: Path, target: Path) -> None:
    left = target.with_name(target.name + UNFINISHED)
    (left / LOG_FOLDER).mkdir(parents=True)
    (left / LOG_FOLDER / DATA_NAME).write_bytes(b"half")

    assert 6 == make(told, target, now=NOW).head
    assert [target.name] == left_in(target.parent)


def test_two_backups_to_one_place_do_not_get_into_each_others_way(told: Path, target: Path) -> None:
    with Unfinished(target) as first:
        (first.path / "half").touch()
        with pytest.raises(tallystick.StoreError, match="another process"):
            make(told, target, now=NOW)
        assert ["half"] == left_in(first.path)

    assert 6 == make(told, target, now=NOW).head


def test_a_place_that_was_taken_while_a_copy_was_made_stays_as_it_is(target: Path) -> None:
    with Unfinished(target) as unfinished:
        full_folder(target)
        with pytest.raises(tallystick.InvalidInput):
            unfinished.finish()

    assert ["mine"] == left_in(target)
    assert [target.name] == left_in(target.parent)


def test_a_task_with_thousands_of_events_is_in_a_backup_and_what_is_restored_from_it(
    folder: Path, target: Path
) -> None:
    events = Author().write(*[1] * 3_000, *range(2, 100))
    with DiskLog.open(folder / LOG_FOLDER) as log:
        log.append(events)

    make(folder, target, now=NOW)
    restore(target, target.with_name("restored"))

    for place in (target, target.with_name("restored")):
        with DiskLog.open(place / LOG_FOLDER, readonly=True) as copy:
            assert events[:3_000] == copy.stream(stream_id(1))
            assert events == list(copy.read())


# Restoring.


def test_a_restored_ledger_is_the_one_that_was_backed_up(told: Path, target: Path) -> None:
    made = make(told, target, now=NOW)
    before = contents_of(target)
    restored = restore(target, told.with_name("restored"))

    assert (made.head, made.root_hash, made.tasks, NOW) == (
        restored.head,
        restored.root_hash,
        restored.tasks,
        restored.made_at,
    )
    assert before == contents_of(target)
    with tallystick.open(told) as original, tallystick.open(told.with_name("restored")) as ledger:
        assert list(original.events()) == list(ledger.events())
        assert original.counts() == ledger.counts()
        assert 7 == ledger.create(**ORDINARY).record.position
    assert SETTINGS == (told.with_name("restored") / "tallystick.toml").read_text("utf-8")


def test_what_is_no_backup_is_not_restored(told: Path, target: Path) -> None:
    for wrong in (told, target, told / "tallystick.toml"):
        with pytest.raises(tallystick.InvalidInput, match="tally backup"):
            restore(wrong, target.with_name("restored"))

    assert [] == left_in(target.parent)


def other_record(backup: Path) -> None:
    change_record(backup, 4, lambda _: b"other")


def other_root(backup: Path) -> None:
    noted = json.loads((backup / BACKUP_NAME).read_bytes())
    (backup / BACKUP_NAME).write_text(json.dumps({**noted, "rootHash": "00" * 32}), "utf-8")


def no_note(backup: Path) -> None:
    (backup / BACKUP_NAME).write_bytes(b"{")


def gone_on(backup: Path) -> None:
    with tallystick.open(backup) as ledger:
        ledger.create(**ORDINARY)


@pytest.mark.parametrize("change", [other_record, other_root, no_note, gone_on])
def test_a_backup_that_is_not_as_it_was_made_is_not_restored(
    told: Path, target: Path, change: Callable[[Path], None]
) -> None:
    make(told, target, now=NOW)
    change(target)

    with pytest.raises(tallystick.Corrupt):
        restore(target, target.with_name("restored"))

    assert [target.name] == left_in(target.parent)


def test_a_backup_of_a_newer_version_is_left_alone(told: Path, target: Path) -> None:
    make(told, target, now=NOW)
    noted = json.loads((target / BACKUP_NAME).read_bytes())
    (target / BACKUP_NAME).write_text(json.dumps({**noted, "format": 2}), "utf-8")

    with pytest.raises(tallystick.NewerFormat):
        restore(target, target.with_name("restored"))


def test_the_damage_of_a_ledger_is_copied_with_it_and_counted(told: Path, target: Path) -> None:
    change_record(told, 3, lambda _: b"broken")

    made = make(told, target, now=NOW)

    assert (5, 6, 1) == (made.events, made.head, made.problems)
    assert 1 == restore(target, target.with_name("restored")).problems


# What is logged.


def test_a_backup_and_one_that_failed_are_logged_by_name(
    ledger: Ledger, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "tallystick"):
        ledger.backup(target)
        with pytest.raises(tallystick.InvalidInput):
            ledger.backup(target)

    told = [(record.levelname, record.getMessage(), vars(record)["path"]) for record in caplog.records]
    assert [("INFO", "backup_made", str(target)), ("ERROR", "backup_failed", str(target))] == told
