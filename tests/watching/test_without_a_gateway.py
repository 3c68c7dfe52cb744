"""While nobody owns the ledger, whoever writes stops what is to stop, and settles what anybody can prove; no more."""

import subprocess
from pathlib import Path

import tallystick
from tallystick.probes.process import backing_of, own_backing
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER


def test_a_cancel_stops_a_process_group_that_a_gateway_has_left_behind(folder: Path) -> None:
    with subprocess.Popen(["sleep", "600"], process_group=0) as process:
        with tallystick.open(folder) as ledger:
            task = ledger.create(runtime="cli", task="sleep", owner=OWNER)
            task.start(backing=backing_of(process.pid, group=process.pid))

        with tallystick.join(folder) as joined:
            record = joined.get(task.id).cancel("enough")

        assert ("cancelled", f"process group {process.pid}, by SIGTERM") == (record.status, record.terminal_summary)
        assert -15 == process.wait()


def test_a_task_that_is_nothing_but_a_dead_process_is_settled_and_the_others_are_left_to_a_gateway(
    folder: Path,
) -> None:
    with subprocess.Popen(["true"]) as gone:
        backing = backing_of(gone.pid)
    with tallystick.open(folder) as ledger:
        only_a_process = ledger.create(runtime="cli", task="true", owner=OWNER)
        only_a_process.start(backing={**backing, "probe": "process"})
        alive = ledger.create(runtime="cli", task="this", owner=OWNER)
        alive.start(backing={**own_backing(), "probe": "process"})
        session = ledger.create(runtime="acp", task="a session", owner=OWNER)
        session.start()

    with tallystick.join(folder) as joined:
        joined.create(runtime="cli", task="another", owner=OWNER)

        statuses = [joined.get(task.id).status for task in (only_a_process, alive, session)]
        assert ["lost", "running", "running"] == statuses
        assert joined.get(session.id).record.backing_missed_at is None


def test_what_another_process_reports_happened_when_it_said_so(folder: Path) -> None:
    owner, worker = HandClock(), HandClock()
    with tallystick.open(folder, clock=owner) as ledger:
        task = ledger.create(runtime="cli", task="work", owner=OWNER)
        task.start()
        owner.advance(4_000)
        worker.advance(1_000)
        with tallystick.join(folder, clock=worker) as joined:
            joined.get(task.id).succeed()

        ended = ledger.timeline(task.id)[-1]
        assert (worker(), owner()) == (ended.occurred_at, ended.recorded_at)
