"""An import of OpenClaw's rows on bad days: what is no fault of a row is raised, and what is keeps out no other."""

from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.imports.database import FLOWS, TASKS
from tallystick.imports.taking import Taken
from tallystick.ledger.limits import RETENTION_TERMINAL_MS
from tallystick.ledger.store.disk import DiskLog
from tallystick.readings import LOG_FOLDER
from tallystick.testing import HandClock
from tests.cli.damage import change_record
from tests.exports.parts import FLOW, active, fill, make_openclaw, task
from tests.face.parts import said
from tests.ledger.archive.shelves import SEGMENT, seal
from tests.story import BEGIN_MS

IMPORT = """
    import json, os, resource, sys
    import tallystick

    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tallystick.open(sys.argv[1]) as ledger:
        used = os.stat(sys.argv[1] + "/log/data.mdb").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (used + 100_000, bound[1]))
        try:
            ledger.import_openclaw(sys.argv[2])
        except tallystick.Full as error:
            print(json.dumps(str(error)))
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
        taken = ledger.import_openclaw(sys.argv[2])
        print(json.dumps([taken.tasks + taken.known_tasks, len(taken.quarantined), ledger.verify().ok]))
"""


def test_a_disk_that_is_full_is_no_fault_of_the_rows_and_the_next_import_completes_it(
    database: Path, tmp_path: Path
) -> None:
    fill(database, TASKS, *(task(str(number), task=f"{number}" + "x" * 4_000) for number in range(100)))

    told, after = said(IMPORT, tmp_path / "ledger", database)

    assert "Free space and try again" in told
    assert "[100, 0, true]" == after


@pytest.fixture
def ledger(tmp_path: Path, database: Path) -> Path:
    """A ledger that has imported two tasks, one of them of a flow."""
    fill(database, FLOWS, FLOW)
    fill(database, TASKS, active("a", parent_flow_id="flow-1"), active("b"))
    taken = imported(tmp_path / "ledger", database)
    assert (2, 1, ()) == (taken.tasks, taken.flows, taken.quarantined)
    return tmp_path / "ledger"


def imported(ledger: Path, database: Path, **more: Any) -> Taken:
    with tallystick.open(ledger, clock=HandClock(BEGIN_MS + 1_000)) as opened:
        return opened.import_openclaw(database, **more)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("fact", "row"), [("task-created.1", "a"), ("task-started.1", "b"), ("flow-created.1", "flow-1")]
)
def test_a_task_or_a_flow_that_cannot_be_read_keeps_no_other_row_out(
    ledger: Path, tmp_path: Path, fact: str, row: str, *, dry_run: bool
) -> None:
    with tallystick.open(ledger, read_only=True) as opened:
        ids = {record.metadata["openclaw"]: record.task_id for record in opened.list().tasks if record.metadata}
        events = [event for event in opened.events() if event.type == fact]
    [event] = [each for each in events if row == "flow-1" or each.task_id == ids[row]]
    change_record(ledger, event.position, lambda _: b"broken")
    newer = tmp_path / "newer.sqlite"
    make_openclaw(newer)
    fill(newer, FLOWS, {**FLOW, "status": "succeeded", "ended_at": BEGIN_MS + 30})
    fill(newer, TASKS, task("a", parent_flow_id="flow-1"), task("b"), task("c"))

    taken = imported(ledger, newer, dry_run=dry_run)

    assert (1, 2) == (taken.tasks, taken.known_tasks + taken.known_flows)
    assert [row] == [each.row for each in taken.quarantined]
    assert f"position {event.position} " in taken.quarantined[0].why


def test_what_was_deleted_with_its_archive_is_known_and_stays_so(database: Path, tmp_path: Path) -> None:
    folder, clock = tmp_path / "ledger", HandClock(BEGIN_MS + 1_000)
    fill(database, FLOWS, {**FLOW, "status": "succeeded", "ended_at": BEGIN_MS + 30})
    fill(database, TASKS, task("a", parent_flow_id="flow-1"), task("b"))
    with tallystick.open(folder, clock=clock) as ledger:
        first = ledger.import_openclaw(database)
        while ledger.verify().head < SEGMENT:
            ledger.create(runtime="cli", task="x", owner="o", notify="silent").succeed()
        clock.advance(RETENTION_TERMINAL_MS)
        ledger.maintenance(apply=True)
        head = ledger.verify().head
    with DiskLog.open(folder / LOG_FOLDER) as log:
        assert SEGMENT == seal(log, segments=1)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.delete_archives(before=SEGMENT + 1, reason="the law")
        again = ledger.import_openclaw(database)

        assert (2, 1, ()) == (first.tasks, first.flows, first.quarantined)
        assert (2, 1, ()) == (again.known_tasks, again.known_flows, again.quarantined)
        assert (0, head) == (again.updated, ledger.verify().head)
