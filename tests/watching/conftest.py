"""What the tests of the watching share: a ledger whose clock moves by hand, and probes that answer as told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Verdict
from tallystick.ledger.events import Event
from tallystick.ledger.record import TaskRecord
from tallystick.sync import Ledger
from tallystick.testing import HandClock

OWNER = "agent:main:main"


def the_event(ledger: Ledger, type: str, after: int = 0) -> Event:  # noqa: A002 - as the event calls it
    """Wait for the next event of a type, and return it."""
    with ledger.subscribe(after) as events:
        return next(event for event in events if event.type == type)


class Told:
    """A probe that answers as it is told: the same of every task, or of one."""

    def __init__(self) -> None:
        self.answer: Any = Verdict.alive()
        self.of: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, task: TaskRecord) -> Any:
        self.asked.append(task.task_id)
        answer = self.of.get(task.task_id, self.answer)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(folder: Path, clock: HandClock) -> Iterator[Ledger]:
    with tallystick.open(folder, clock=clock) as opened:
        yield opened


@pytest.fixture
def told(ledger: Ledger) -> Told:
    """A probe that the ledger asks about subagents."""
    probe = Told()
    ledger.probe("subagent", probe)
    return probe
