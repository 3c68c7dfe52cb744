"""Whenever a driver of flows is killed, what it was told holds: no step twice, no half link, no forgotten cancel.

`CRASH_KILLS=500 pytest tests/crash` kills that many drivers; `CRASH_SEED` chooses other moments.
"""

import os
import random
import time
from pathlib import Path

import pytest

import tallystick
from tallystick import Ledger
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.projections.check import check
from tallystick.testing import HandClock
from tests.crash.lives import NS_PER_MS, Life, log_of, views_of
from tests.flow_law import check_claims, check_joins, told_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

LIVES = 4  # of one ledger; then a new one
KILLS = int(os.environ.get("CRASH_KILLS", "8"))
SEED = os.environ.get("CRASH_SEED", "tally")
ACKNOWLEDGED_MAX = 400
SPIN_US_MAX = 3_000


class Driving(Life):
    """One process that drives the flows of a ledger."""

    program = Path(__file__).with_name("controllers.py")


class FlowWitness:
    """Knows every acknowledgement of every life of one ledger, and holds the ledger to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reached: dict[str, dict[int, str]] = {}
        self.claimed: dict[tuple[str, str], str] = {}
        self.joined: dict[str, str] = {}
        self.cancelled: set[str] = set()

    def hear(self, said: list[str]) -> None:
        """Take note of what a life said; what was cut off in the middle was not said."""
        for line in said:
            match line.split(" "):
                case ["a", "flow", flow_id, revision, status]:
                    self.reached.setdefault(flow_id, {})[int(revision)] = status
                case ["a", "claim", flow_id, step, name]:
                    assert (flow_id, step) not in self.claimed, "a step was given to two"
                    self.claimed[flow_id, step] = name
                case ["a", "join", flow_id, task_id]:
                    self.joined[task_id] = flow_id
                case ["a", "cancel", flow_id]:
                    self.cancelled.add(flow_id)
                case _:
                    pass

    def check(self) -> None:
        """Open the ledger again, hold it to what was acknowledged, and let it end what is to be cancelled."""
        now = HandClock(time.time_ns() // NS_PER_MS)  # nothing is inferred while it is looked at
        with tallystick.open(self.folder, clock=now) as ledger:
            self._check_records(ledger)
            self._check_cancels(ledger)
            assert ledger.verify().ok
            for name in ("flows", "board"):
                checked = check(views_of(ledger), log_of(ledger), name)
                assert (len(list(ledger.events())), ()) == (checked.position, checked.differences), name

    def _check_records(self, ledger: Ledger) -> None:
        events = list(ledger.events())
        flows, tasks, known = told_by(events)
        check_joins(events)
        check_claims(events)
        for flow_id, reached in self.reached.items():
            for revision, status in reached.items():
                assert status == known[flow_id][revision - 1].status
        for (flow_id, step), name in self.claimed.items():
            claim = flows[flow_id].claim_of(step)
            assert claim is not None
            assert name == claim.claimant
        for task_id, flow_id in self.joined.items():
            assert flow_id == tasks[task_id].parent_flow_id
        assert all(flows[flow_id].cancel_requested_at is not None for flow_id in self.cancelled)
        keys = [flow.idempotency_key for flow in flows.values() if flow.idempotency_key is not None]
        assert len(set(keys)) == len(keys), "one key became two flows"

    def _check_cancels(self, ledger: Ledger) -> None:
        """What has no work any more has ended by itself; the rest ends when its last task does."""
        ledger.settled()
        flows, tasks, _ = told_by(list(ledger.events()))
        at_work = [task for task in tasks.values() if task.is_active and task.parent_flow_id in self.cancelled]
        waiting = {task.parent_flow_id for task in at_work}
        for flow_id in self.cancelled:
            assert (flow_id in waiting) == flows[flow_id].is_active
        for task in at_work:
            assert task.cancel_requested_at is not None
            ledger.get(task.task_id).cancelled()
        ledger.settled()
        assert {FlowStatus.CANCELLED} >= {ledger.flows.get(flow_id).record.status for flow_id in self.cancelled}


@pytest.mark.parametrize("number", range(-(-KILLS // LIVES)))
def test_what_drivers_of_flows_were_told_holds_after_every_kill(tmp_path: Path, number: int) -> None:
    folder, chance = tmp_path / "ledger", random.Random(f"{SEED} {number}")
    witness = FlowWitness(folder)
    for life in range(LIVES):
        with Driving(folder, "drive", f"{SEED} {number} {life}") as driving:
            driving.go_on()
            driving.hear(acknowledged=chance.randrange(1, ACKNOWLEDGED_MAX))
            witness.hear(driving.kill(after_us=chance.randrange(SPIN_US_MAX)))
        witness.check()
    assert witness.claimed
    assert witness.cancelled
