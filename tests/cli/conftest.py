"""A ledger that the tests of reading commands share: none of them writes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

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
