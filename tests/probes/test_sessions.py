"""The session directory, on real folders."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.probes import SessionDirectory
from tallystick.probes.sessions import file_name
from tests.probes.parts import record, running
from tests.strategies import keys

SESSION = "agent:main/1"
NAME = "agent%3Amain%2F1"

sessions = keys | st.text(".a:/%~", min_size=1, max_size=6)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def ask(probe: SessionDirectory, session: str | None = SESSION) -> Verdict:
    return probe(record(child_session_key=session))


def test_a_session_that_has_a_file_is_alive_and_the_evidence_says_since_when(store: Path) -> None:
    file = store / NAME
    file.write_text("{}")
    os.utime(file, ns=(0, 1_790_000_000_123_456_789))

    assert Verdict.alive({"session": SESSION, "file": str(file), "modified": 1_790_000_000_123}) == ask(
        SessionDirectory(store)
    )


def test_a_session_may_have_a_folder_and_a_place_in_it(store: Path) -> None:
    probe = SessionDirectory(str(store), "agents/{session}/meta.json")
    assert Finding.MISSING is ask(probe).finding

    (store / "agents" / NAME).mkdir(parents=True)
    assert Finding.MISSING is ask(probe).finding
    (store / "agents" / NAME / "meta.json").touch()
    assert Finding.ALIVE is ask(probe).finding
    assert Finding.ALIVE is ask(SessionDirectory(store, "agents/{session}")).finding


def test_a_session_whose_file_is_gone_is_missing(store: Path) -> None:
    (store / NAME).touch()
    (store / NAME).unlink()

    verdict = ask(SessionDirectory(store))
    assert (Finding.MISSING, "the child session is gone") == (verdict.finding, verdict.evidence["detail"])


def test_a_store_that_is_not_there_loses_nothing(tmp_path: Path) -> None:
    verdict = ask(SessionDirectory(tmp_path / "not mounted"))

    assert Finding.UNKNOWN is verdict.finding
    assert "the store cannot be seen: No such file or directory" == verdict.evidence["detail"]


def test_an_empty_folder_where_a_disk_is_not_mounted_loses_nothing(store: Path) -> None:
    probe = SessionDirectory(store, marker="store.json")
    assert Finding.UNKNOWN is ask(probe).finding

    (store / "store.json").touch()
    assert Finding.MISSING is ask(probe).finding


def test_a_store_that_is_a_file_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert Finding.UNKNOWN is ask(SessionDirectory(tmp_path / "file")).finding
    assert Finding.UNKNOWN is ask(SessionDirectory(tmp_path / "file", lambda _: ".")).finding


def test_a_store_that_may_not_be_read_loses_nothing(store: Path) -> None:
    script = """
import os, sys
from tallystick.probes import SessionDirectory
from tests.probes.parts import record
probe, task = SessionDirectory(sys.argv[1]), record(child_session_key="gone")
os.chmod(sys.argv[1], 0)
if os.geteuid() == 0:  # who may read everything
    os.setgroups([])
    os.setuid(65534)
verdict = probe(task)
print(verdict.finding, verdict.evidence["detail"], flush=True)
"""
    with running(script, store) as process:
        assert "unknown the session cannot be seen: Permission denied" == process.first_line
    store.chmod(0o700)


def test_a_link_that_leads_nowhere_loses_nothing(store: Path) -> None:
    (store / NAME).symlink_to(store / "not mounted" / NAME)
    (store / "agents").symlink_to(store / "not mounted")

    assert Finding.UNKNOWN is ask(SessionDirectory(store)).finding
    assert Finding.UNKNOWN is ask(SessionDirectory(store, "agents/{session}")).finding


def test_a_name_that_no_file_can_have_loses_nothing(store: Path) -> None:
    verdict = ask(SessionDirectory(store), "x" * 300)

    assert (Finding.UNKNOWN, "the session cannot be seen: File name too long") == (
        verdict.finding,
        verdict.evidence["detail"],
    )


def test_a_store_whose_name_is_no_text_can_be_looked_at(tmp_path: Path) -> None:
    store = tmp_path / os.fsdecode(b"caf\xe9")
    store.mkdir()
    (store / NAME).touch()

    verdict = ask(SessionDirectory(store))
    assert (Finding.ALIVE, f"{tmp_path}/caf\ufffd/{NAME}") == (verdict.finding, verdict.evidence["file"])


def test_a_task_without_a_child_session_tells_nothing(store: Path) -> None:
    assert Verdict.unknown("the task names no child session") == ask(SessionDirectory(store), None)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ""])
def test_what_a_function_says_does_not_lead_out_of_the_store(store: Path, path: str) -> None:
    verdict = ask(SessionDirectory(store, lambda _: path))

    assert Finding.UNKNOWN is verdict.finding
    assert str(verdict.evidence["detail"]).startswith("the session 'agent:main/1' leads out of the store")


def test_a_function_may_say_where_a_session_is(store: Path) -> None:
    (store / "main").mkdir()
    (store / "main" / "1.jsonl").touch()
    probe = SessionDirectory(store, lambda session: Path(session.removeprefix("agent:")).with_suffix(".jsonl"))

    assert Finding.ALIVE is ask(probe).finding


@pytest.mark.parametrize("path", ["sessions.json", "../{session}", "/{session}", ""])
def test_a_path_that_cannot_be_meant_is_refused_at_once(store: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match=r"path: .* is not allowed; give a path within the store"):
        SessionDirectory(store, path)


@given(sessions, sessions)
def test_different_sessions_have_different_names_none_of_which_leads_elsewhere(one: str, other: str) -> None:
    names = [file_name(one), file_name(other)]

    assert (one == other) is (names[0] == names[1])
    assert [] == [name for name in names if "/" in name or name in {"", ".", ".."}]


def test_how_a_session_ended_can_be_read_from_its_file(store: Path) -> None:
    def ended(file: Path) -> Verdict | None:
        said = file.read_text()
        return Verdict.ended("succeeded", summary=said) if said else None

    probe: Any = SessionDirectory(store, ended=ended)
    (store / NAME).touch()
    assert Finding.ALIVE is ask(probe).finding
    (store / NAME).write_text("3 mails")
    assert Verdict.ended("succeeded", summary="3 mails") == ask(probe)
    assert [True, False] == [probe.recovers, SessionDirectory(store).recovers]
