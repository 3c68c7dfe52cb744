"""`tally verify` says whether the past is what it was."""

from pathlib import Path

import pytest

import tallystick
from tallystick.config import Config, Payloads
from tallystick.ledger.store import keys
from tests.cli.damage import change_record
from tests.cli.support import OWNER, make_stories, process, tally
from tests.ledger.store import raw


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """A ledger of which one record was edited and another one was overwritten."""
    folder = tmp_path / "ledger"
    make_stories(folder)
    change_record(folder, 3, lambda body: body.replace(b"3 files", b"9 files"))
    change_record(folder, 9, lambda _: b"\xc1 nothing at all")
    return str(folder)


def test_a_sound_log_is_as_it_was_written(ledger: str) -> None:
    said = tally("verify")
    data = tally("verify", "--json").data

    with tallystick.open(ledger, read_only=True) as opened:
        root_hash = opened.verify().root_hash.hex()
    assert 0 == said.code
    assert f"root hash  {root_hash}" in said.out
    assert "verified   31 events in " in said.out
    assert said.out.endswith("The log is as it was written.\n")
    assert {"ok", "events", "head", "rootHash", "problemCount", "problems", "eventsPerSecond"} == data.keys()
    assert (True, 31, 31, root_hash, []) == tuple(
        data[name] for name in ("ok", "events", "head", "rootHash", "problems")
    )


def test_a_damaged_log_names_the_first_record_that_is_not_as_it_was(damaged: str) -> None:
    said = process("verify", "--ledger", damaged)
    checked = process("verify", "--ledger", damaged, "--json")

    assert (4, "") == (said.code, said.err)
    assert "The log is damaged: 2 problems, the first at position 3." in said.out
    assert 4 == checked.code
    assert (False, 3, 29) == tuple(checked.data[name] for name in ("ok", "firstBad", "events"))
    assert [(3, "changed"), (9, "changed")] == [
        (problem["position"], problem["kind"]) for problem in checked.data["problems"]
    ]


def test_many_problems_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_stories(folder)
    for position in range(1, 26):
        change_record(folder, position, lambda body: body + b"!")

    lines = tally("verify", "--ledger", str(folder)).out.splitlines()

    assert ["Position", "Kind", "Detail"] == lines[4].split()
    assert 20 == sum(" changed " in line for line in lines)
    assert " more; --json names " in lines[-2]


def test_everything_else_stays_readable(damaged: str) -> None:
    assert 0 == tally("list", "--ledger", damaged).code
    assert 0 == tally("show", "agent:main:subagent:7c", "--ledger", damaged).code


def test_an_empty_ledger_is_as_it_was_written(tmp_path: Path) -> None:
    tallystick.open(tmp_path).close()

    assert (0, True, 0) == (
        (said := tally("verify", "--json", "--ledger", str(tmp_path))).code,
        said.data["ok"],
        said.data["head"],
    )


def test_what_is_kept_beside_the_log_is_verified_and_what_was_erased_is_not_missed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = Config(payloads=Payloads(aside="content"))
    with tallystick.open(tmp_path, config=config) as ledger:
        for name in ("one", "two"):
            ledger.create(runtime="cli", task=f"task {name}", run_id=name, owner=OWNER)
        task = ledger.create(runtime="cli", task="task three", run_id="three", owner=OWNER)
        task.start()
        task.erase("the customer asked for it")
    assert (0, True, []) == (
        (said := tally("verify", "--json", "--ledger", str(tmp_path))).code,
        said.data["ok"],
        said.data["problems"],
    )

    with raw.opened(log) as database:
        payloads = database(keys.PAYLOADS)
        del payloads[keys.payload_key(1, "task")]
        payloads[keys.payload_key(2, "task")] = b"forged"
        payloads[keys.payload_key(3, "task")] = b"forged"
    said = tally("verify", "--ledger", str(tmp_path))

    assert 4 == said.code
    assert "the first at position 1." in said.out
    for line in (
        "task is not kept any more, and no later event says that it was erased",
        "task is kept otherwise than the record names it: it was changed",
        "task is still kept, though the event at 5 erased it",
    ):
        assert line in said.out
    assert "task three" not in said.out
