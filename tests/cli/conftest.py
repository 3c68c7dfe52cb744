"""Ledgers for the tests of commands: one to be read, which none of them writes, and one each for those that write."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import tallystick
from tests.cli.support import make_stories, tally
from tests.notary.parts import Place


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    """A ledger with a task in every state, and their ids by label."""
    folder = tmp_path_factory.mktemp("told") / "ledger"
    return folder, make_stories(folder)


@pytest.fixture
def ledger(told: tuple[Path, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of that ledger, which `tally` means when nothing else is said."""
    folder, _ = told
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(folder))
    return str(folder)


@pytest.fixture
def ids(told: tuple[Path, Mapping[str, str]]) -> Mapping[str, str]:
    """The ids of its tasks, by label."""
    return told[1]


@pytest.fixture
def settings() -> str:
    """What the configuration of the ledger in `folder` says."""
    return ""


@pytest.fixture(params=["through the owner", "without an owner"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, settings: str) -> Iterator[str]:
    """The folder of a ledger that somebody owns, or nobody."""
    path = tmp_path / "ledger"
    path.mkdir(mode=0o700)
    (path / "tallystick.toml").write_text(settings, "utf-8")
    if request.param == "without an owner":
        tallystick.open(path).close()
        yield str(path)
        return
    with tallystick.open(path):
        yield str(path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A ledger with a checkpoint that was kept, while the key is elsewhere by now; the one that `tally` means."""
    made = Place(tmp_path)
    made.new_key()
    made.ids = make_stories(made.ledger)  # type: ignore[attr-defined]
    made.written(0)
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(made.ledger))
    (tmp_path / "kept").write_bytes(tally("checkpoint").out.encode())
    (tmp_path / "pin").write_text(f"{made.verifiers[0]}\n", "utf-8")
    made.files[0].rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    return made
