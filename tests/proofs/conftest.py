"""Whom the tests ask that nobody here wrote, and what they export."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.ledger.store.disk import DiskLog
from tests.proofs.logs import SIZE, grow
from tests.proofs.outside import Outsider, build, why_not


@pytest.fixture(scope="session")
def outsider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outsider]:
    """Debian's Go packages; without them the test is skipped, and says why."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with Outsider(build(tmp_path_factory.mktemp("go"))) as program:
        yield program


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DiskLog]:
    with DiskLog.open(tmp_path / "log") as made:
        grow(made, SIZE)
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "public" / "tiles"
