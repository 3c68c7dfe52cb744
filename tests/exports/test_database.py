"""A database of OpenClaw is read as it is, beside whoever has it open, and what is none is refused."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick import InvalidInput, NotOwner
from tallystick.imports.database import COLUMNS, FLOWS, TASKS
from tallystick.testing import HandClock, memory_ledger
from tests.exports.parts import FLOW, everything, fill, make_openclaw, task
from tests.story import BEGIN_MS


@pytest.fixture
def clock() -> HandClock:
    return HandClock(BEGIN_MS + 1_000)


def test_a_database_that_is_in_use_is_read_as_of_one_moment_and_not_written(database: Path, clock: HandClock) -> None:
    writer = sqlite3.connect(database)
    with closing(writer):
        writer.execute("PRAGMA journal_mode = WAL")
        fill(database, TASKS, task("a"))
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM task_runs")
        with memory_ledger(clock=clock) as ledger:
            taken = ledger.import_openclaw(database)

    assert 1 == taken.tasks


def test_a_link_to_a_database_that_is_in_use_is_as_good_as_its_name(
    database: Path, tmp_path: Path, clock: HandClock
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "openclaw.sqlite"
    link.symlink_to(database)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN")
        writer.execute("SELECT * FROM task_runs").fetchall()  # so that what is written now stays beside the database
        fill(database, TASKS, task("a"))
        with memory_ledger(clock=clock) as ledger:
            taken = ledger.import_openclaw(link)

    assert 1 == taken.tasks


def test_reading_a_database_that_nobody_has_open_leaves_its_folder_as_it_was(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, task("a"))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    before = everything(database.parent)
    database.chmod(0o400)
    database.parent.chmod(0o500)
    try:
        with memory_ledger(clock=clock) as ledger:
            assert 1 == ledger.import_openclaw(database).tasks
        assert before == everything(database.parent)
    finally:
        database.parent.chmod(0o700)


def test_a_database_without_tasks_is_refused_and_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE task_runs (task_id, runtime)")

    with memory_ledger() as ledger, pytest.raises(InvalidInput, match="task_runs has no created_at, status, task"):
        ledger.import_openclaw(path)


@pytest.mark.parametrize("table", [TASKS, FLOWS])
def test_a_view_in_the_place_of_a_table_is_a_program_and_is_not_run(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.sqlite"
    make_openclaw(path)
    columns = ", ".join(f"n AS {name}" for name in COLUMNS[table])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DROP TABLE {table}")
        endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT"
        connection.execute(f"CREATE VIEW {table} AS {endless} {columns} FROM x")

    with memory_ledger() as ledger, pytest.raises(InvalidInput, match=f"{table} is a view"):
        ledger.import_openclaw(path)


def test_columns_and_tables_of_another_version_may_be_missing(tmp_path: Path, clock: HandClock) -> None:
    path = tmp_path / "older.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE task_runs (task_id, runtime, task, status, created_at, owner_key)")
        connection.execute("INSERT INTO task_runs VALUES ('a', 'cli', 'x', 'queued', 1, 'o')")

    with memory_ledger(clock=clock) as ledger:
        assert (1, ()) == (ledger.import_openclaw(path).tasks, ledger.import_openclaw(path).quarantined)


@pytest.mark.slow
@given(st.data())
def test_a_database_with_altered_bytes_is_read_or_refused(pages: bytes, data: st.DataObject) -> None:
    spoiled = bytearray(pages)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(pages) - 1))
        spoiled[place] = data.draw(st.integers(0, 255))
    del spoiled[data.draw(st.integers(0, 2 * len(pages))) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spoiled.sqlite")
        path.write_bytes(spoiled)
        with memory_ledger() as ledger:
            try:
                taken = ledger.import_openclaw(path)
            except InvalidInput:
                assert 0 == ledger.verify().head
            else:
                assert taken.tasks == ledger.counts().total
                assert ledger.verify().ok


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small database."""
    path = tmp_path_factory.mktemp("pages") / "small.sqlite"
    make_openclaw(path)
    fill(path, TASKS, *(task(str(number)) for number in range(20)))
    fill(path, FLOWS, FLOW)
    return path.read_bytes()


def test_to_import_needs_a_ledger_that_may_be_written_and_to_look_does_not(database: Path, tmp_path: Path) -> None:
    fill(database, TASKS, task())
    tallystick.open(tmp_path / "ledger").close()
    with tallystick.open(tmp_path / "ledger", read_only=True) as ledger:
        assert 1 == ledger.import_openclaw(database, dry_run=True).tasks
        with pytest.raises(NotOwner):
            ledger.import_openclaw(database)
        assert 0 == ledger.verify().head
