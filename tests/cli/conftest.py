"""Ledgers for the tests of commands: one to be read, which none of them writes, and one each for those that write."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import tallystick
from tests.cli.support import make_stories


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
