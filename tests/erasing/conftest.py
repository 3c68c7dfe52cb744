"""What the tests of erasing share: a ledger that keeps content beside its log, and who looks for secrets in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.erasing.parts import WRITTEN, Searcher


@pytest.fixture(scope="session")
def searcher() -> Iterator[Searcher]:
    """Looks into every database of a ledger's folder."""
    with Searcher() as started:
        yield started


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a ledger that is not there yet, with a configuration: content is kept beside the log."""
    path = tmp_path / "ledger"
    path.mkdir(mode=0o700)
    (path / "tallystick.toml").write_text(WRITTEN, "utf-8")
    return path


@pytest.fixture
def ledger(folder: Path, clock: HandClock) -> Iterator[Ledger]:
    with tallystick.open(folder, clock=clock, actor="tester") as opened:
        yield opened
