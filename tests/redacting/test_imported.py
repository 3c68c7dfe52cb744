"""What is taken over from OpenClaw is shown to the hooks as what anybody else reports is."""

from pathlib import Path

import pytest

import tallystick
from tallystick.imports.database import FLOWS, TASKS
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.redaction import REDACTED
from tests.exports.parts import FLOW, fill, make_openclaw, task
from tests.redacting.parts import FAILURES, SECRET, named


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A state database of OpenClaw in which some rows have the secret."""
    path = tmp_path / "openclaw.sqlite"
    make_openclaw(path)
    fill(path, TASKS, task("done", task=f"use {SECRET}", label=SECRET, terminal_summary=f"it was {SECRET}"))
    fill(path, FLOWS, {**FLOW, "goal": SECRET, "state_json": f'{{"key": "{SECRET}"}}'})
    return path


def test_no_row_brings_a_secret_and_a_second_import_adds_nothing(database: Path, folder: Path) -> None:
    with tallystick.open(folder, redact_stored=named) as ledger:
        ledger.import_openclaw(database)
        head = ledger.status().head
        assert head
        ledger.import_openclaw(database)
        assert head == ledger.status().head

        [record] = ledger.list().tasks
        assert (f"use {REDACTED}", REDACTED, f"it was {REDACTED}") == (
            record.task,
            record.label,
            record.terminal_summary,
        )
        creation = ledger.timeline(record.task_id)[0].data
        assert isinstance(creation, TaskCreated)
        assert {"task", "label"} <= set(creation.redacted)
        assert ledger.verify().ok
    assert not any(SECRET.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_is_the_same_run_as_it_is_recorded_is_left_out_and_mixed_with_no_other(
    database: Path, folder: Path
) -> None:
    """The last words are names that nobody may know: without them what is asked for is the same."""
    fill(
        database,
        TASKS,
        task("ann", run_id="run-1", task="a card for ann"),
        task("bob", run_id="run-1", task="a card for bob"),
        task("eve", run_id="run-2", task="a card for eve"),
    )
    with tallystick.open(folder, redact_stored=lambda text: text.split()[-1:]) as ledger:
        known = ledger.create(runtime="subagent", task="a card for dan", owner="agent:main:main", run_id="run-2")
        taken = ledger.import_openclaw(database)

        assert {"bob": "run-1", "eve": "run-2"} == {each.row: each.value for each in taken.quarantined}
        assert ("queued", 1) == (ledger.get(known.id).status, len(ledger.timeline(known.id)))
        assert ledger.verify().ok


def test_a_hook_that_fails_takes_over_the_rows_without_their_texts(database: Path, folder: Path) -> None:
    with tallystick.open(folder, redact_stored=FAILURES["raises"]) as ledger:
        ledger.import_openclaw(database)

        [record] = ledger.list().tasks
        assert (REDACTED, REDACTED) == (record.task, record.terminal_summary)
