"""Counts: how many tasks there are, and none of what was pruned, whatever is done with that later."""

from pathlib import Path

import pytest

import tallystick
from tallystick.projections.check import check
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.erasing.parts import ASIDE, OWNER, WHY

WEEK_AND_A_DAY = 8 * 86_400_000


def pruned(ledger: Ledger, clock: HandClock) -> str:
    """Return the id of a task that retention has removed."""
    task = ledger.create(runtime="cli", task="long ago", owner=OWNER)
    task.succeed()
    clock.advance(WEEK_AND_A_DAY)
    ledger.sweep()
    return task.id


def are_right(ledger: Ledger) -> bool:
    """Whether the stored counts are those that the log leads to, to the byte."""
    ledger.settled()
    readings = ledger._house.readings  # noqa: SLF001 - the stored bytes are nobody's interface
    assert readings.views is not None
    return not readings.views.parked and check(readings.views, readings.log, "counts").ok


@pytest.mark.parametrize("others", [0, 2])
def test_what_was_pruned_is_not_counted_away_again_when_it_is_erased(tmp_path: Path, others: int) -> None:
    clock = HandClock()
    with tallystick.open(tmp_path, clock=clock, config=ASIDE) as ledger:
        token = pruned(ledger, clock)
        for _ in range(others):
            ledger.create(runtime="cli", task="today", owner=OWNER).succeed()
        ledger.erase(token, reason=WHY)

        assert others == ledger.counts().total
        assert are_right(ledger)


def test_where_all_tasks_are_pruned_nothing_is_stored_as_if_there_had_been_none(tmp_path: Path) -> None:
    clock = HandClock()
    with tallystick.open(tmp_path, clock=clock) as ledger:
        pruned(ledger, clock)

        assert 0 == ledger.counts().total
        assert are_right(ledger)
        ledger.create(runtime="cli", task="today", owner=OWNER)
        assert (1, True) == (ledger.counts().total, are_right(ledger))
