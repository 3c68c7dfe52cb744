"""`tally doctor` looks at the stores of a ledger: formats, maps, readers, the inbox and the archive."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from msgspec.structs import replace

import tallystick
from tallystick.cli.checkup import lag_finding
from tallystick.cli.finding import Level
from tallystick.cli.place import disk_finding, file_system_finding
from tallystick.cli.stores import NEWER, map_finding, readers_finding
from tallystick.ledger.archive import files, manifest
from tallystick.ledger.archive.manifest import Entry, State
from tallystick.ledger.commands import Command
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.inbox import CommandInbox
from tallystick.ledger.store.mapping import Info
from tallystick.projections.views import VIEWS_FORMAT
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, ProjectionStanding
from tallystick.testing import HandClock
from tests.cli.support import make_stories, tally
from tests.cli.support import process as run

READER = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog

log = DiskLog.open(Path(sys.argv[1]), readonly=True)
with log.environment.read():
    print("reads", flush=True)
    sys.stdin.read()
"""


OWNER = """
import sys
import tallystick

with tallystick.open(sys.argv[1]):
    print("owns", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stories(tmp_path / "ledger")
    return tmp_path / "ledger"


def findings(folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Return what doctor finds, by what it has looked at: the worst where it has looked at something twice."""
    said = tally("doctor", "--ledger", str(folder), "--json")
    order = ["ok", "warn", "bad", "damaged"]
    found: dict[str, dict[str, str]] = {}
    for finding in sorted(said.data["findings"], key=lambda each: order.index(each["level"])):
        assert ("remedy" in finding) == (finding["level"] != "ok"), finding
        found[finding["check"]] = finding
    return said.code, found


@contextmanager
def reader(folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that reads the log, in one transaction, until its block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, folder / LOG_FOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"reads\n" == process.stdout.readline()
        yield process


# Formats.


def test_the_formats_that_are_on_disk_are_named_beside_those_that_are_known(folder: Path) -> None:
    _, found = findings(folder)

    assert found["formats"]["detail"].startswith(f"on disk: log format 1, views format {VIEWS_FORMAT}; this version")


def test_views_of_another_format_are_named_with_what_becomes_of_them(folder: Path) -> None:
    environment = lmdb.open(str(folder / VIEWS_FOLDER), max_dbs=64)
    meta = environment.open_db(b"meta", create=False)
    with environment.begin(write=True) as txn:
        txn.put(b"format", (VIEWS_FORMAT + 1).to_bytes(4) + bytes(8), db=meta)
    environment.close()

    code, found = findings(folder)

    assert (0, "warn") == (code, found["formats"]["level"])
    assert f"views format {VIEWS_FORMAT + 1}" in found["formats"]["detail"]
    assert "builds the read models anew" in found["formats"]["remedy"]


# Readers.


def test_a_reader_that_was_killed_is_told_and_its_slot_is_free_then(folder: Path) -> None:
    with tallystick.open(folder), reader(folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = run("doctor", "--ledger", folder)
        second = run("doctor", "--ledger", folder)

    assert "commits behind; 1 slot of processes that are gone kept space until now" in first.out
    assert "slot of processes" not in second.out


def test_a_reader_is_named_by_its_process_in_what_is_known_of_a_store(folder: Path) -> None:
    with reader(folder) as process, tallystick.open(folder) as ledger:
        for _ in range(3):
            ledger.create(runtime="cli", task="work", owner="o")
        with DiskLog.open(folder / LOG_FOLDER) as log:
            info = log.environment.info()

    assert (process.pid, True, 1) == (info.oldest_reader_pid, info.oldest_reader_lag >= 3, info.readers)


INFO = Info(
    used_bytes=1_000,
    map_bytes=4_096,
    map_bytes_max=1_000_000,
    file_bytes=1_000,
    readers=3,
    readers_max=1_024,
    oldest_reader_lag=5,
    oldest_reader_pid=4711,
    dead_readers=0,
)


@pytest.mark.parametrize(
    ("changed", "level", "remedy"),
    [
        ({}, Level.OK, None),
        ({"oldest_reader_lag": 10_001}, Level.WARN, "end process 4711, which reads so long: the file only grows"),
        ({"readers": 900}, Level.WARN, "let fewer processes and threads read at the same time"),
        ({"dead_readers": 2}, Level.WARN, "nothing: they were freed just now; see what kills who reads"),
    ],
)
def test_readers_are_judged_by_what_they_keep_from_others(
    changed: dict[str, int], level: Level, remedy: str | None
) -> None:
    found = readers_finding("log", replace(INFO, **changed))

    assert ("log readers", level, remedy) == (found.check, found.level, found.remedy)


# Room.


@pytest.mark.parametrize(("used", "level"), [(800_000, Level.OK), (800_001, Level.WARN)])
def test_a_map_that_is_nearly_full_is_a_warning(used: int, level: Level) -> None:
    found = map_finding("views", replace(INFO, used_bytes=used))

    assert (level, level is Level.OK) == (found.level, found.remedy is None)


@pytest.mark.parametrize(
    ("left", "views", "level"),
    [
        (1 << 26, 0, Level.WARN),
        ((1 << 26) - 1, 0, Level.BAD),
        (1 << 30, 0, Level.OK),
        ((1 << 30) - 1, 0, Level.WARN),
        (1 << 40, (1 << 40) + 1, Level.WARN),
        (1 << 40, 1 << 40, Level.OK),
    ],
)
def test_a_disk_is_judged_by_what_may_be_needed_at_once(left: int, views: int, level: Level) -> None:
    found = disk_finding(left, views)

    assert (level, level is Level.OK) == (found.level, found.remedy is None)


def test_a_bound_on_the_size_of_files_is_told_where_the_log_would_reach_it(folder: Path) -> None:
    bound = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (65_536, r.RLIM_INFINITY))"
    program = f"{bound}; from tallystick.cli import main; main()"

    said = subprocess.run(
        [sys.executable, "-c", program, "doctor", "--ledger", folder], capture_output=True, text=True, check=False
    )

    assert "warn    limits          files up to 65.5 kB (ulimit -f)" in said.stdout


@pytest.mark.parametrize(("kind", "level"), [("ext4", Level.OK), ("tmpfs", Level.OK), ("nfs4", Level.BAD)])
def test_a_file_system_of_other_machines_is_bad(kind: str, level: Level) -> None:
    found = file_system_finding(kind)

    assert (level, kind, level is Level.OK) == (found.level, found.detail, found.remedy is None)


# Read models.


@pytest.mark.parametrize(("lag", "level"), [(0, Level.OK), (10_000, Level.OK), (10_001, Level.WARN)])
def test_a_read_model_that_is_far_behind_is_a_warning(lag: int, level: Level) -> None:
    found = lag_finding(ProjectionStanding("board", 5, lag))

    assert ("board", level, level is Level.OK) == (found.check, found.level, found.remedy is None)


# The owner.


def test_an_owner_that_somebody_stopped_is_named_with_how_it_goes_on(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"owns\n" == process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        try:
            _, found = findings(folder)
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate(b"")

    assert ("warn", f"let it go on with kill -CONT {process.pid}") == (
        found["owner"]["level"],
        found["owner"]["remedy"],
    )


# The clock.


def test_an_event_from_the_future_says_that_the_clock_is_wrong(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", clock=HandClock(253_000_000_000_000)) as ledger:
        ledger.create(runtime="cli", task="work", owner="o")

    _, found = findings(tmp_path / "ledger")

    assert ("warn", "set the clock of this machine right, and have it kept so") == (
        found["clock"]["level"],
        found["clock"]["remedy"],
    )


# The inbox.


def test_commands_that_wait_while_nobody_owns_the_ledger_are_told(folder: Path) -> None:
    inbox = CommandInbox.open_as_owner(folder)
    inbox.send(b"c" * 16, [(b"s" * 16, Command(TaskStarted(), "tester"))], heard=())
    inbox.close()

    code, found = findings(folder)
    with tallystick.open(folder):
        _, owned = findings(folder)

    assert (0, "warn") == (code, found["inbox"]["level"])
    assert "1 command waits, and nobody owns the ledger" == found["inbox"]["detail"]
    assert {"inbox map", "inbox readers"} <= set(found)
    assert "ok" == owned["inbox"]["level"]


def test_an_inbox_that_cannot_be_read_is_told_with_what_becomes_of_it(folder: Path) -> None:
    CommandInbox.open_as_owner(folder).close()
    (folder / "inbox" / "data.mdb").write_bytes(b"not a store" * 1_000)

    code, found = findings(folder)

    assert (0, "warn") == (code, found["inbox"]["level"])
    assert "makes it anew" in found["inbox"]["remedy"]


# The archive.


def archive(folder: Path) -> Path:
    """An archive as a manifest lists it: two segments that are kept, and one that was deleted."""
    made = folder / LOG_FOLDER / "archive"
    made.mkdir(0o700)
    entries = [
        Entry(
            first=first,
            last=first + 99,
            file=files.name_of(first, first + 99),
            bytes=1_000,
            sha256="",
            root_hash="",
            recorded_first=0,
            recorded_last=0,
            state=State.DELETED if first == 1 else State.KEPT,
        )
        for first in (1, 101, 201)
    ]
    manifest.write(made, entries)
    for entry in entries:
        kind = files.REMAINS if entry.is_deleted else files.SEGMENT
        (made / files.name_of(entry.first, entry.last, kind)).write_bytes(bytes(1_000))
    for path in made.iterdir():
        path.chmod(0o600)
    return made


def test_an_archive_is_told_with_what_it_has(folder: Path) -> None:
    archive(folder)

    code, found = findings(folder)

    assert (0, "ok") == (code, found["archive"]["level"])
    assert "2 segments with positions up to 300, 2.0 kB; 1 deleted" == found["archive"]["detail"]
    assert "archive format" in found["formats"]["detail"]


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(bytes(999))


@pytest.mark.parametrize(("damage", "told"), [(missing, "missing"), (cut, "999 bytes instead of 1,000")])
def test_a_segment_that_is_missing_or_cut_is_damage_and_named(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    name = files.name_of(101, 200)
    damage(archive(folder) / name)

    code, found = findings(folder)

    assert (4, "damaged") == (code, found["archive"]["level"])
    assert f"{name}: {told}" == found["archive"]["detail"]
    assert "from a backup" in found["archive"]["remedy"]


def test_the_hashes_of_a_deleted_segment_are_missed_as_well(folder: Path) -> None:
    name = files.name_of(1, 100, files.REMAINS)
    (archive(folder) / name).unlink()

    assert f"{name}: missing" == findings(folder)[1]["archive"]["detail"]


def test_a_file_of_the_archive_that_nobody_finished_is_told(folder: Path) -> None:
    name = files.name_of(301, 400) + files.UNFINISHED
    (archive(folder) / name).touch(0o600)

    code, found = findings(folder)

    assert (0, "warn", f"unfinished: {name}") == (code, found["archive"]["level"], found["archive"]["detail"])


def test_a_manifest_that_cannot_be_read_is_told_and_one_that_is_newer(folder: Path) -> None:
    path = archive(folder) / files.MANIFEST
    path.write_bytes(b"{")
    _, unreadable = findings(folder)
    path.write_bytes(b'{"format": 99, "segments": []}')
    code, newer = findings(folder)

    assert unreadable["archive"]["level"] in ("warn", "damaged")
    assert (1, ["bad"]) == (code, [each["level"] for each in newer.values() if each.get("remedy") == NEWER])
