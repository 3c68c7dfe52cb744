"""What the tests of replaying share: ledgers of every kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.face.parts import open_any


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a ledger; it is not there yet."""
    return tmp_path / "ledger"


@pytest.fixture(params=["disk", "memory", "asyncio", "joined"])
def any_ledger(request: pytest.FixtureRequest, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger of each kind in turn; what the one for asyncio answers is awaited."""
    kind: str = request.param
    with open_any(kind, folder, clock) as opened:
        yield opened


@pytest.fixture(params=["disk", "memory", "asyncio"])
def any_owner(request: pytest.FixtureRequest, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger of each kind whose owner it is: what is due is for the owner to do."""
    kind: str = request.param
    with open_any(kind, folder, clock) as opened:
        yield opened
