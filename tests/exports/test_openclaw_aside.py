"""What is taken over from OpenClaw is kept beside the log as what anybody else reports, and stays erased."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.config import Config, Payloads
from tallystick.imports.database import FLOWS, TASKS
from tallystick.ledger.payloads import inline
from tallystick.ledger.store.disk import DiskLog
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.aside import REASON
from tests.exports.parts import FLOW, active, fill, task
from tests.exports.test_openclaw import ROWS
from tests.story import BEGIN_MS

ASIDE = Config(payloads=Payloads(aside="content"))
SECRET = "Xylophone"
LATER_MS = BEGIN_MS + 1_000


@pytest.fixture
def sample(database: Path) -> Path:
    """A database with the rows of an installation, and some that say a word that nobody else says."""
    for table, rows in ROWS.items():
        fill(database, table, *rows)
    fill(
        database,
        TASKS,
        task("done", task=SECRET, label=SECRET, terminal_summary=SECRET, progress_summary=SECRET),
        active("runs", task=SECRET, progress_summary=SECRET, last_event_at=BEGIN_MS + 30),
    )
    fill(database, FLOWS, {**FLOW, "goal": SECRET, "state_json": json.dumps({"for": SECRET})})
    return database


def test_every_text_of_every_row_is_kept_beside_the_log(sample: Path, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger", config=ASIDE, clock=HandClock()) as ledger:
        taken = ledger.import_openclaw(sample)
        events = list(ledger.events())
        assert ledger.verify().ok
    with DiskLog.open(tmp_path / "ledger" / "log", readonly=True) as log:
        bodies = b"".join(body for _, body in log.bodies())

    assert taken.tasks == len(ROWS[TASKS]) + 2
    assert {()} == {inline(event.data) for event in events}
    assert SECRET.encode() not in bodies
    assert SECRET in str(events)


def test_a_ledger_that_keeps_it_there_says_the_same_as_one_that_does_not(sample: Path) -> None:
    def told(config: Config) -> list[dict[str, Any]]:
        with memory_ledger(clock=HandClock(), config=config) as ledger:
            ledger.import_openclaw(sample)
            records = ledger.list(limit=1_000).tasks
            return [{"status": each.status, "task": each.task, "label": each.label, "imported": each.imported,
                     "summary": each.terminal_summary, "metadata": each.metadata} for each in records]  # fmt: skip

    key = str
    assert sorted(told(Config()), key=key) == sorted(told(ASIDE), key=key)


def known(ledger: Ledger, row: str) -> str:
    """The id of the task that a row has become."""
    [record] = [each for each in ledger.list(limit=1_000).tasks if each.run_id == f"run-{row}"]
    return record.task_id


def test_what_was_erased_does_not_come_back_with_the_next_import(sample: Path) -> None:
    with memory_ledger(clock=HandClock(LATER_MS), config=ASIDE) as ledger:
        ledger.import_openclaw(sample)
        for row in ("done", "runs"):
            ledger.get(known(ledger, row)).erase(REASON)
        [flow] = [each.flow_id for each in ledger.flows.list(limit=1_000).flows if each.goal == SECRET]
        ledger.flows.get(flow).erase(REASON)
        head = len(list(ledger.events()))

        again = ledger.import_openclaw(sample)

        assert (0, 0, 0) == (again.tasks, again.flows, again.updated)
        assert head == len(list(ledger.events()))
        assert SECRET not in str(list(ledger.events()))


def test_what_is_said_after_an_erasure_is_taken_over(database: Path) -> None:
    clock = HandClock(LATER_MS)
    fill(database, TASKS, active("runs", task=SECRET, progress_summary="one", last_event_at=BEGIN_MS + 30))
    with memory_ledger(clock=clock, config=ASIDE) as ledger:
        ledger.import_openclaw(database)
        ledger.get(known(ledger, "runs")).erase(REASON)
        clock.advance(2_000)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE task_runs SET progress_summary = 'two', last_event_at = ?", (LATER_MS + 1_000,))
        assert 1 == ledger.import_openclaw(database).updated
        record = ledger.get(known(ledger, "runs")).record

    assert ("", "two", REASON) == (record.task, record.progress_summary, record.erased and record.erased.reason)
