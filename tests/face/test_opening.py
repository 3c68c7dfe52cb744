"""Opening: what becomes of a path, and what is refused with nothing made and nothing changed."""

import json
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Config, InvalidInput, NewerFormat, StoreError
from tallystick.ledger.store import keys
from tallystick.ledger.store.layout import FORMAT
from tests.face.parts import ORDINARY, contents, said
from tests.ledger.store import raw


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"

    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)
        assert str(folder) == ledger.path

    paths = [folder.parent, folder, *folder.rglob("*")]
    assert {path: 0o700 if path.is_dir() else 0o600 for path in paths} == {path: mode(path) for path in paths}


def test_a_path_may_be_a_text_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with tallystick.open("./state") as ledger:
        ledger.create(**ORDINARY)

    with tallystick.open(tmp_path / "state", read_only=True) as ledger:
        assert 1 == ledger.counts().total


@pytest.mark.parametrize("path", [None, "", 7, b"state", "a\0b", "a\udcff", ["state"]])
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_path_is_refused(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, read_only: bool
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput, match="the path of a folder") as refused:
        tallystick.open(path, read_only=read_only)

    shown = "5 bytes" if path == b"state" else repr(path)  # bytes may be anything, a secret too
    assert ("path", shown) == (refused.value.field, refused.value.value)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "x", "x/y"])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path, below: str, *, read_only: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"precious")

    with pytest.raises(InvalidInput, match="folder") as refused:
        tallystick.open(file / below, read_only=read_only)

    assert str(file) in refused.value.value
    assert {"file": b"precious"} == contents(tmp_path)


@pytest.mark.parametrize("part", ["log", "views"])
def test_a_file_where_a_part_should_be_is_refused(folder: Path, part: str) -> None:
    with tallystick.open(folder):
        pass
    (folder / part).rename(folder / "kept")
    (folder / part).write_bytes(b"precious")
    before = contents(folder)

    for _ in range(2):  # the lock is free again after the first
        with pytest.raises(InvalidInput, match="a folder"):
            tallystick.open(folder)

    assert before == contents(folder)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(InvalidInput, match="a folder"):
            tallystick.open(tmp_path / ("x" * 300), read_only=read_only)


def test_a_path_that_goes_in_circles_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(StoreError, match="symbolic links"):
        tallystick.open(tmp_path / "a")


def test_a_ledger_that_is_not_there_cannot_be_read_and_is_not_made(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInput, match="the folder of a ledger") as refused:
            tallystick.open(path, read_only=True)
        assert repr(str(path))[:80] == refused.value.value

    assert [] == list(tmp_path.iterdir())


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("clock", {"clock": 5}),
    ("clock", {"clock": lambda: 1.5}),
    ("clock", {"clock": lambda: None}),
    ("clock", {"clock": lambda: -1}),
    ("actor", {"actor": ""}),
    ("actor", {"actor": "a\nb"}),
    ("config", {"config": {"grace": {}}}),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG)
@pytest.mark.parametrize("read_only", [False, True])
def test_an_option_that_is_not_allowed_is_refused_before_anything_is_made(
    folder: Path, field: str, wrong: dict[str, Any], *, read_only: bool
) -> None:
    with pytest.raises(InvalidInput) as refused:
        tallystick.open(folder, read_only=read_only, **wrong)

    assert field == refused.value.field
    assert not folder.exists()


def test_a_configuration_that_is_wrong_is_refused_before_anything_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYSTICK_RETENTION_LOST", "soon")

    with pytest.raises(InvalidInput, match=r"retention\.lost \(environment variable \w+\): 'soon'"):
        tallystick.open(folder)

    assert not folder.exists()
    tallystick.open(folder, config=Config()).close()  # which asks no variable


def in_format(folder: Path, number: int) -> None:
    with raw.opened(folder / "log") as database:
        database(keys.META)[keys.FORMAT] = keys.format_value(number)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_a_newer_format_is_refused_and_left_as_it_is(folder: Path, *, read_only: bool) -> None:
    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)
    in_format(folder, FORMAT + 1)
    before = contents(folder)

    for _ in range(2):
        with pytest.raises(NewerFormat) as refused:
            tallystick.open(folder, read_only=read_only)
        assert (FORMAT + 1, FORMAT) == (refused.value.found, refused.value.known)

    assert before == contents(folder)
    in_format(folder, FORMAT)
    with tallystick.open(folder) as ledger:
        assert 1 == ledger.counts().total


def test_something_else_in_the_folder_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"precious")

    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)

    assert b"precious" == contents(folder)["notes.txt"]


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user of the machine may look into."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made)
        path.chmod(0o755)
        yield path
        for each in [path, *path.iterdir()]:
            each.chmod(0o700)


AS_NOBODY = """
    import json, os, sys
    import tallystick
    with tallystick.open(sys.argv[1]):  # loads what may be out of sight later
        pass
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for path in sys.argv[2:]:
        for read_only in (False, True):
            try:
                tallystick.open(path, read_only=read_only).close()
            except tallystick.InvalidInput as error:
                print(json.dumps([error.field, error.value, error.allowed]))
            else:
                print(json.dumps("opened"))
"""


def test_a_folder_without_permission_is_refused(tmp_path: Path, public: Path) -> None:
    none, shut = public / "none", public / "shut"
    with tallystick.open(shut) as ledger:
        ledger.create(**ORDINARY)
    before = contents(public)
    shut.chmod(0o000)
    public.chmod(0o555)

    answers = [json.loads(line) for line in said(AS_NOBODY, tmp_path / "own", none, shut)]

    no_permission = "a folder that this user may read and write"
    assert ["path", repr(str(none)), no_permission] == answers[0]
    assert "the folder of a ledger" in answers[1][2]
    assert [["path", repr(str(shut)), no_permission]] * 2 == answers[2:]
    assert not none.exists()
    shut.chmod(0o700)
    assert before == contents(public)


def test_a_folder_that_may_be_read_and_not_written_is_refused_to_a_writer(tmp_path: Path, public: Path) -> None:
    ledger = public / "ledger"
    tallystick.open(ledger).close()
    for path in [ledger, *ledger.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = contents(public)

    answers = [json.loads(line) for line in said(AS_NOBODY, tmp_path / "own", ledger)]

    assert ["path", repr(str(ledger)), "a folder that this user may read and write"] == answers[0]
    assert before == contents(public)
