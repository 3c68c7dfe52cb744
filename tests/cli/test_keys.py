"""`tally keys`: signing keys for one user only, and verifier keys for everybody else."""

import os
import stat
from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput
from tallystick.config import Integrity
from tests.cli.support import Said, tally

NAME = "example.org/ledger/main"


def made(file: Path, name: str = NAME) -> Said:
    return tally("keys", "new", name, "--file", str(file))


def test_a_new_key_is_for_this_user_only_and_its_verifier_key_is_only_printed(tmp_path: Path) -> None:
    file = tmp_path / "main.key"
    before = os.umask(0)
    try:
        said = tally("keys", "new", NAME, "--file", str(file), "--json")
    finally:
        os.umask(before)

    assert (0, 0o600) == (said.code, stat.S_IMODE(file.stat().st_mode))
    assert said.data["key"].startswith(f"{NAME}+")
    assert {"name": NAME, "file": str(file), "key": said.data["key"]} == said.data
    assert [file] == list(tmp_path.iterdir())
    assert said.data["key"] not in file.read_text("utf-8")
    assert file.read_text("utf-8").startswith(f"PRIVATE+KEY+{NAME}+")


def test_the_verifier_key_can_be_shown_again(tmp_path: Path) -> None:
    keys = []
    for name in ("a.key", "b.key"):
        said = made(tmp_path / name)
        keys.append(said.out.splitlines()[-1])

    shown = tally("keys", "show", str(tmp_path / "a.key"), str(tmp_path / "b.key"))
    assert (0, keys) == (shown.code, shown.out.splitlines())
    assert keys[0] != keys[1]


def test_without_a_file_those_of_the_configuration_are_shown(tmp_path: Path) -> None:
    made(tmp_path / "main.key")
    folder = tmp_path / "ledger"
    tallystick.open(folder).close()
    missing = tally("keys", "--ledger", str(folder))
    assert (2, True) == (missing.code, "[integrity] key" in missing.err)

    (folder / "tallystick.toml").write_text(f'[integrity]\norigin = "{NAME}"\nkey = "../main.key"\n', "utf-8")
    shown = tally("keys", "--json", "--ledger", str(folder)).data["keys"]
    assert [(NAME, str(tmp_path / "main.key"))] == [(key["name"], key["file"]) for key in shown]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "main.key"
    made(file)
    before = file.read_bytes()

    assert (2, True) == ((said := made(file)).code, "is not there" in said.err)
    assert before == file.read_bytes()


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\there", "a\u202eb", "a\ue000", "n" * 513, "n" * 100_000])
def test_a_name_that_no_log_can_have_makes_no_key(tmp_path: Path, name: str) -> None:
    said = made(tmp_path / "main.key", name)

    assert 2 == said.code
    assert [] == list(tmp_path.iterdir())


def test_no_key_is_made_inside_of_a_ledger_a_backup_or_beside_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tiles, coming = tmp_path / "ledger", tmp_path / "site", tmp_path / "coming"
    tallystick.open(folder).close()
    (tiles / "tile" / "0").mkdir(parents=True)
    (tiles / "checkpoint").touch()
    (tmp_path / "tile").mkdir()  # which alone makes no site
    coming.mkdir()
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "deep").symlink_to(folder / "log")
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(coming))
    places = [folder / "k", folder / "log" / "k", tiles / "k", tiles / "tile" / "0" / "k", tmp_path / "link" / "k"]
    places.append(tmp_path / "deep" / "k")
    for place in [*places, coming / "k", tmp_path / "ledger" / ".." / "ledger" / "k"]:
        said = made(place)
        assert (2, True) == (said.code, "outside of" in said.err), place
        assert not place.exists()
    assert 0 == made(folder / ".." / "beside.key").code


@pytest.mark.parametrize("text", ["", "nothing", "PRIVATE+KEY+a+b", "PRIVATE+KEY+example.org/l+00000000+AAAA"])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "main.key"
    file.write_text(f"{text}\n", "utf-8")
    file.chmod(0o600)
    said = tally("keys", "show", str(file), "--json")

    assert 2 == said.code
    assert str(file) in said.error["field"]
    assert text not in said.out or not text
    assert f"{len(text)} characters" == said.error["value"].strip("'")
    assert "\"'" not in said.error["message"]


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "main.key"
    made(file)
    file.chmod(0o604)

    said = tally("keys", "show", str(file))
    assert (2, True) == (said.code, f"chmod 600 {file}" in said.err)


def test_a_folder_a_pipe_and_nothing_are_no_keys(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    for name in (".", "pipe", "missing"):
        assert 2 == tally("keys", "show", str(tmp_path / name)).code


@pytest.mark.parametrize("where", ["~nobody.here/k", "circle/k", f"{'long' * 80}/k", "file/k", "missing/k", "."])
def test_a_path_that_leads_nowhere_is_an_error_of_this_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    Path("file").touch()
    for said in (made(Path(where)), tally("keys", "show", where)):
        assert (2, "file") == (said.code, said.err.partition(":")[0].removeprefix("error "))
        assert where in said.err or len(where) > 80
    config = tallystick.Config(integrity=Integrity(NAME, (where,)))
    with pytest.raises(InvalidInput, match=r"^integrity\.key"):
        tallystick.open(tmp_path / "ledger", config=config)
    assert not (tmp_path / "ledger").exists()
