"""The session table, on real SQLite files."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tallystick.ledger.verdict import Finding, Verdict
from tallystick.probes import SessionTable
from tests.probes.parts import record

SESSION = "agent:main/1"
QUERY = "SELECT * FROM sessions WHERE key = ?"


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as store:
        yield store
        store.commit()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with one session; its name has what an address could take for something else."""
    path = tmp_path / "agents?mode=rwc#1 %41.db"
    with opened(path) as store:
        store.execute("CREATE TABLE sessions (key TEXT PRIMARY KEY, status TEXT, summary TEXT)")
        store.execute("INSERT INTO sessions VALUES (?, 'running', NULL)", (SESSION,))
    return path


def ask(probe: SessionTable, session: str | None = SESSION) -> Verdict:
    return probe(record(child_session_key=session))


def detail(verdict: Verdict) -> tuple[Finding, object]:
    return verdict.finding, verdict.evidence["detail"]


def test_a_session_that_has_a_row_is_alive_and_one_without_is_missing(file: Path) -> None:
    probe = SessionTable(file, QUERY)

    assert Verdict.alive({"session": SESSION, "file": str(file)}) == ask(probe)
    assert (Finding.MISSING, "the child session is gone") == detail(ask(probe, "' OR 1=1 --"))
    assert Verdict.unknown("the task names no child session") == ask(probe, None)


def test_a_store_that_is_being_written_is_read_all_the_same_when_it_lets_readers_in(file: Path) -> None:
    with opened(file) as store:
        store.execute("PRAGMA journal_mode = WAL").close()
        store.execute("DELETE FROM sessions").close()

        assert Finding.ALIVE is ask(SessionTable(file, QUERY)).finding, "it is not committed"
        store.commit()
        assert Finding.MISSING is ask(SessionTable(file, QUERY)).finding


def test_a_store_that_is_locked_loses_nothing(file: Path) -> None:
    with opened(file) as store:
        store.execute("BEGIN EXCLUSIVE").close()

        assert (Finding.UNKNOWN, "the store cannot be read: database is locked") == detail(
            ask(SessionTable(file, QUERY, timeout_s=0.01))
        )


def test_a_store_that_is_damaged_loses_nothing(file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)

    assert (Finding.UNKNOWN, "the store cannot be read: file is not a database") == detail(
        ask(SessionTable(file, QUERY))
    )


def test_a_store_whose_pages_are_damaged_loses_nothing(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    file.write_bytes(raw)

    assert Finding.UNKNOWN is ask(SessionTable(file, QUERY)).finding


def test_a_store_without_its_table_loses_nothing(file: Path) -> None:
    with opened(file) as store:
        store.execute("DROP TABLE sessions").close()

    assert (Finding.UNKNOWN, "the store cannot be read: no such table: sessions") == detail(
        ask(SessionTable(file, QUERY))
    )


def test_a_store_that_is_not_there_loses_nothing_and_is_not_made(tmp_path: Path) -> None:
    verdict = ask(SessionTable(tmp_path / "agents.db", QUERY))

    assert (Finding.UNKNOWN, "the store cannot be read: unable to open database file") == detail(verdict)
    assert [] == list(tmp_path.iterdir())


def test_a_question_writes_nothing(file: Path) -> None:
    before = file.read_bytes()

    assert (Finding.UNKNOWN, "the store cannot be read: attempt to write a readonly database") == detail(
        ask(SessionTable(file, "DELETE FROM sessions WHERE key = ? RETURNING key"))
    )
    assert before == file.read_bytes()


def test_how_a_session_ended_can_be_read_from_its_row(file: Path) -> None:
    def ended(row: sqlite3.Row) -> Verdict | None:
        return None if row["status"] == "running" else Verdict.ended(row["status"], summary=row["summary"])

    probe = SessionTable(file, QUERY, ended=ended)
    assert Finding.ALIVE is ask(probe).finding
    with opened(file) as store:
        store.execute("UPDATE sessions SET status = 'succeeded', summary = '3 mails'").close()

    assert Verdict.ended("succeeded", summary="3 mails") == ask(probe)
    assert [True, False] == [probe.recovers, SessionTable(file, QUERY).recovers]
