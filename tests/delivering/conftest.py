"""What the tests of delivering share: a ledger whose clock moves by hand, with a channel that answers as told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.delivering.parts import Channel


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a ledger; it is not there yet."""
    return tmp_path / "ledger"


@pytest.fixture
def ledger(clock: HandClock) -> Iterator[Ledger]:
    """A ledger in memory."""
    with memory_ledger(clock=clock) as opened:
        yield opened


@pytest.fixture
def chat(ledger: Ledger) -> Channel:
    """The channel `chat`, registered with the ledger."""
    channel = Channel()
    ledger.channel("chat", channel)
    return channel
