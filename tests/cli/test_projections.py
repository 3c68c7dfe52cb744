"""`tally projections` lists, checks and rebuilds the read models."""

from pathlib import Path

import lmdb
import pytest

import tallystick
from tests.cli.support import make_stories, process, tally

NAMES = ["board", "counts", "due", "outbox", "flows", "quarantine"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stories(tmp_path / "ledger")
    return tmp_path / "ledger"


def spoil(folder: Path) -> None:
    """Write something into the counts that the log does not say."""
    environment = lmdb.open(str(folder / "views"), max_dbs=64)
    with environment.begin() as txn:
        names = [bytes(name) for name in txn.cursor().iternext(values=False) if bytes(name).startswith(b"counts")]
    for name in names:
        table = environment.open_db(name, create=False)
        with environment.begin(write=True) as txn:
            for key, value in list(txn.cursor(table)):
                txn.put(key, bytes(len(value)), db=table)
    environment.close()


@pytest.mark.usefixtures("ledger")
def test_every_read_model_is_listed_with_its_lag() -> None:
    lines = tally("projections").out.splitlines()
    data = tally("projections", "list", "--json").data

    assert ["Name", "Position", "Lag"] == lines[0].split()
    assert NAMES == [line.split()[0] for line in lines[1:]]
    assert [{"name": name, "position": 31, "lag": 0} for name in NAMES] == data["projections"]


@pytest.mark.usefixtures("ledger")
def test_a_check_holds_them_to_the_log() -> None:
    said = tally("projections", "check")
    data = tally("projections", "check", "board", "--json").data

    assert 0 == said.code
    assert len(NAMES) == said.out.count("as the log says")
    assert (True, ["board"]) == (data["ok"], [checked["name"] for checked in data["projections"]])


def test_a_check_names_what_is_not_as_the_log_says(folder: Path) -> None:
    spoil(folder)

    said = tally("projections", "check", "--ledger", str(folder))
    data = tally("projections", "check", "counts", "--ledger", str(folder), "--json").data

    assert 4 == said.code
    assert "not as the log says" in said.out
    assert 'Run "tally projections rebuild counts".' in said.out
    assert data["ok"] is False
    assert 1 == data["projections"][0]["different"]


def test_a_rebuild_makes_them_right_again(folder: Path) -> None:
    spoil(folder)

    said = tally("projections", "rebuild", "--ledger", str(folder))

    assert (0, [f"{name}: rebuilt, at 31" for name in NAMES]) == (said.code, said.out.splitlines())
    assert 0 == tally("projections", "check", "--ledger", str(folder)).code
    assert {"rebuilt": [{"name": "due", "position": 31}]} == tally(
        "projections", "rebuild", "due", "--ledger", str(folder), "--json"
    ).data


def test_a_rebuild_brings_back_what_was_thrown_away(folder: Path) -> None:
    for path in (folder / "views").iterdir():
        path.unlink()
    assert "There are no read models that can be read" in tally("projections", "--ledger", str(folder)).out
    assert (1, "StoreError") == (
        (said := tally("projections", "check", "--ledger", str(folder), "--json")).code,
        said.error["type"],
    )

    assert 0 == tally("projections", "rebuild", "--ledger", str(folder)).code

    assert 0 == tally("projections", "check", "--ledger", str(folder)).code


def test_a_rebuild_is_refused_beside_a_live_owner(folder: Path) -> None:
    with tallystick.open(folder):
        said = process("projections", "rebuild", "--ledger", folder)

    assert 1 == said.code
    assert "has a live owner" in said.err


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["check", "nothing"],
            "name: 'nothing' is not allowed; give board, counts, due, outbox, flows, quarantine or all.",
        ),
        (["list", "board"], "name: 'board' is not allowed; give no name with \"list\""),
        (["paint"], "'paint' is not one of 'list', 'rebuild', 'check'."),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], says: str) -> None:
    said = tally("projections", *words)

    assert 2 == said.code
    assert says in said.err
