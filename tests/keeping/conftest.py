"""A ledger whose clock moves by hand, for the tests of what is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["disk", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger with views, and one that is read from its log alone."""
    if request.param == "memory":
        with memory_ledger(clock=clock) as opened:
            yield opened
    else:
        with tallystick.open(tmp_path / "ledger", clock=clock) as opened:
            yield opened
