"""What the tests of the face share: ledgers of every kind, and an interpreter that switches often."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.face.parts import SPEAKER, open_any


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a ledger; it is not there yet."""
    return tmp_path / "ledger"


@pytest.fixture
def ledger(folder: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger on disk, for threads."""
    with tallystick.open(folder, clock=clock, actor=SPEAKER) as opened:
        yield opened


@pytest.fixture(params=["disk", "memory", "asyncio", "joined"])
def any_ledger(request: pytest.FixtureRequest, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger of each kind in turn; what the one for asyncio answers is awaited.

    One that was joined writes through an owner, which is in this process, too.
    """
    kind: str = request.param
    with open_any(kind, folder, clock) as opened:
        yield opened


@pytest.fixture(params=["disk", "memory", "asyncio"])
def any_owner(request: pytest.FixtureRequest, folder: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger of each kind whose owner it is: what is due is for the owner to do."""
    kind: str = request.param
    with open_any(kind, folder, clock) as opened:
        yield opened


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads are switched as often as can be, so that races come up."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)
