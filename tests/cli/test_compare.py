"""`tally compare` tells whether two ledgers tell the same, and where they begin not to."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

import tallystick
from tallystick.config import Config, Payloads
from tallystick.ledger.store.codec import decode, encode
from tallystick.testing import HandClock
from tests.cli.damage import change_record
from tests.cli.support import BEGIN_MS, OWNER, tally

TASK = {"runtime": "cli", "owner": OWNER}


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """A ledger and a backup of it, to which nothing was written since."""
    here, there = tmp_path / "here", tmp_path / "there"
    with tallystick.open(here, clock=HandClock(BEGIN_MS), actor="teller") as ledger:
        for number in range(3):
            ledger.create(task=f"do {number}", label=f"task {number}", **TASK)  # type: ignore[arg-type]
        ledger.backup(there)
    return str(here), str(there)


def go_on(folder: str, label: str) -> None:
    with tallystick.open(folder, clock=HandClock(BEGIN_MS + 10), actor="teller") as ledger:
        ledger.create(task="do more", label=label, **TASK)  # type: ignore[arg-type]


def test_a_ledger_is_equal_to_its_backup(two: tuple[str, str]) -> None:
    here, there = two
    said = tally("compare", there, "--ledger", here)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert (0, "") == (said.code, said.err)
    assert "Equal: both have the same 3 events." in said.out
    assert ("equal", 3, 0, []) == (data["relation"], data["common"], data["unread"], data["faults"])
    assert data["this"]["rootHash"] == data["other"]["rootHash"]
    assert "difference" not in data


def test_a_ledger_that_went_on_since_its_backup_begins_as_that_does(two: tuple[str, str]) -> None:
    here, there = two
    go_on(here, "more")

    said = tally("compare", there, "--ledger", here)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert 0 == said.code
    assert "The same as far as other goes: this goes on with 1 more behind 3." in said.out
    assert ("prefix", "other", 4) == (data["relation"], data["shorter"], data["next"]["position"])
    assert "this" == tally("compare", here, "--ledger", there, "--json").data["shorter"]


def test_a_ledger_that_erased_what_its_backup_still_has_is_told_from_one_that_lost_it(tmp_path: Path) -> None:
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    config = Config(payloads=Payloads(aside="content"))
    with tallystick.open(here, clock=HandClock(BEGIN_MS), actor="teller", config=config) as ledger:
        task = ledger.create(task="Xylophone", label="Xylophone", **TASK)  # type: ignore[arg-type]
        ledger.backup(there)
        task.erase("the customer asked for it")

    said = tally("compare", there, "--ledger", here)
    back = tally("compare", here, "--ledger", there)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert (0, 0) == (said.code, back.code)
    assert "The same as far as other goes: this goes on with 1 more behind 1." in said.out
    assert "this has erased what was kept beside 1 event of these, and other still has it" in said.out
    assert "other has erased what was kept beside 1 event of these, and this still has it" in back.out
    assert ([{"side": "this", "events": 1, "fields": 2}], []) == (data["lacks"], data["faults"])
    assert [] == tally("compare", there, "--ledger", here, "--trees", "--json").data["lacks"]


def test_two_that_went_on_apart_differ_from_there_on(two: tuple[str, str]) -> None:
    here, there = two
    go_on(here, "one")
    go_on(there, "other")

    said = tally("compare", there, "--ledger", here)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert 1 == said.code
    assert "Different: the first 3 events are the same, the next one is not." in said.out
    assert "position 4: it was written otherwise; what differs: id, data.label" in said.out
    difference = data["difference"]
    assert (4, "tree", ["id", "data.label"]) == (
        difference["position"],
        difference["proof"],
        difference["differs"],
    )
    assert ("one", "other") == tuple(difference[side]["data"]["label"] for side in ("this", "other"))


def test_bytes_that_were_changed_behind_the_tree_are_damage(two: tuple[str, str]) -> None:
    here, there = two
    change_record(Path(there), 2, lambda body: encode(replace(decode(body), actor="nobody")))

    said = tally("compare", there, "--ledger", here)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert 4 == said.code
    assert "position 2: both trees say the same, the bytes do not; what differs: actor" in said.out
    assert "other is damaged: position 2: the record has other bytes than those that its tree was built of" in said.out
    assert [("other", 2)] == [(fault["side"], fault["position"]) for fault in data["faults"]]
    assert 0 == tally("compare", there, "--ledger", here, "--trees").code


def test_a_record_that_nobody_can_read_is_shown_as_such(two: tuple[str, str]) -> None:
    here, there = two
    change_record(Path(there), 2, lambda _: b"broken")

    said = tally("compare", there, "--ledger", here)
    data = tally("compare", there, "--ledger", here, "--json").data

    assert 4 == said.code
    assert "cannot be read" in said.out
    assert {"position", "detail"} == data["difference"]["other"].keys()


def test_a_copy_of_the_folder_will_do(two: tuple[str, str], tmp_path: Path) -> None:
    here, _ = two
    copy = tmp_path / "copy"
    shutil.copytree(here, copy)

    assert 0 == tally("compare", str(copy), "--ledger", here).code


def test_what_is_no_other_ledger_is_refused(two: tuple[str, str], tmp_path: Path) -> None:
    here, _ = two
    for other, says in (
        (here, "another ledger than this one"),
        (str(tmp_path / "none"), 'or of a backup, which "tally backup FOLDER" makes'),
    ):
        said = tally("compare", other, "--ledger", here)
        assert 2 == said.code
        assert says in said.err
