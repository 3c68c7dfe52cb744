"""`tally backup` and `tally restore` say where the copy is and what it has, and leave nothing when they fail."""

from collections.abc import Mapping
from pathlib import Path

import tallystick
from tests.cli.damage import change_record
from tests.cli.support import make_stories, process, tally


def test_a_backup_is_named_with_what_it_has_and_can_be_read_like_a_ledger(
    told: tuple[Path, Mapping[str, str]], tmp_path: Path
) -> None:
    ledger, target = told[0], tmp_path / "backup"

    said = tally("backup", "--ledger", str(ledger), str(target), "--json")
    verified = tally("verify", "--ledger", str(target), "--json")

    assert (0, True, str(target), 31, 10) == (
        said.code,
        said.data["ok"],
        said.data["path"],
        said.data["events"],
        said.data["tasks"],
    )
    assert (verified.data["head"], verified.data["rootHash"]) == (said.data["head"], said.data["rootHash"])


def test_a_backup_beside_its_live_owner_is_restored_by_another_command(tmp_path: Path) -> None:
    ledger, target, again = tmp_path / "ledger", tmp_path / "backup", tmp_path / "again"
    make_stories(ledger)
    with tallystick.open(ledger):
        made = process("backup", "--ledger", ledger, target)
    restored = process("restore", target, again)
    verified = tally("verify", "--ledger", str(again))

    assert (0, 0, 0) == (made.code, restored.code, verified.code)
    assert f"backup     {target}" in made.out.splitlines()
    assert f"restored   {again}" in restored.out.splitlines()
    assert "Every record was verified, and a read model built." == restored.out.splitlines()[-1]


def test_a_place_that_is_taken_is_a_wrong_use_and_the_error_says_what_to_name(ledger: str, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    said = tally("backup", str(tmp_path), "--json")
    restored = tally("restore", ledger, str(tmp_path), "--json")

    assert (2, "InvalidInput", "path") == (said.code, said.error["type"], said.error["field"])
    assert "not there yet, or an empty one" in restored.error["message"]
    assert ["mine"] == [path.name for path in tmp_path.iterdir()]


def test_a_ledger_that_is_not_there_has_no_backup(tmp_path: Path) -> None:
    said = tally("backup", "--ledger", str(tmp_path / "nowhere"), str(tmp_path / "backup"), "--json")

    assert (2, "ledger") == (said.code, said.error["field"])


def test_a_damaged_ledger_is_backed_up_and_the_exit_code_says_so(tmp_path: Path) -> None:
    ledger, target = tmp_path / "ledger", tmp_path / "backup"
    make_stories(ledger)
    change_record(ledger, 20, lambda _: b"broken")

    said = tally("backup", "--ledger", str(ledger), str(target))

    assert (4, '1 problem came along. See "tally verify".') == (said.code, said.out.splitlines()[-1])
    assert 4 == tally("restore", str(target), str(tmp_path / "again")).code


def test_a_damaged_backup_is_not_restored_and_says_where_it_is_damaged(tmp_path: Path) -> None:
    ledger, target = tmp_path / "ledger", tmp_path / "backup"
    make_stories(ledger)
    tally("backup", "--ledger", str(ledger), str(target))
    change_record(target, 20, lambda _: b"broken")

    said = tally("restore", str(target), str(tmp_path / "again"), "--json")

    assert (4, "Corrupt", 20) == (said.code, said.error["type"], said.error["position"])
    assert not (tmp_path / "again").exists()
