"""A store's folder is private; what is wrong with it is said in words, and nothing is written then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from tallystick.ledger.errors import Corrupt, InvalidInput, NewerFormat, StoreError
from tallystick.ledger.store import folder
from tests.ledger.store.environment_support import get, in_fork, open_store, put


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("umask")
def test_folders_and_files_are_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "log"

    with open_store(path) as env:
        put(env, b"k")

    assert [0o700] * 3 == [mode(path.parent.parent), mode(path.parent), mode(path)]
    assert {"data.mdb": 0o600, "lock.mdb": 0o600} == {file.name: mode(file) for file in path.iterdir()}


@pytest.mark.usefixtures("umask")
def test_a_reader_makes_a_missing_lock_file_for_this_user_only(tmp_path: Path) -> None:
    with open_store(tmp_path) as env:
        put(env, b"k")
    (tmp_path / "lock.mdb").unlink()

    with open_store(tmp_path, readonly=True) as env:
        assert b"v" == get(env, b"k")

    assert 0o600 == mode(tmp_path / "lock.mdb")


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log").chmod(0o750)

    open_store(tmp_path / "log").close()

    assert 0o750 == mode(tmp_path / "log")


def test_the_lock_file_has_its_space_before_it_is_mapped(tmp_path: Path) -> None:
    with open_store(tmp_path, max_readers=1024) as env:
        size = (tmp_path / "lock.mdb").stat().st_size

        assert 1024 == env.info().readers_max
        assert size <= (tmp_path / "lock.mdb").stat().st_blocks * 512
    lmdb.Environment(str(tmp_path / "lmdb's own"), max_readers=1024).close()
    assert size == (tmp_path / "lmdb's own" / "lock.mdb").stat().st_size


def test_files_that_somebody_left_empty_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").touch()
    (tmp_path / "lock.mdb").touch()

    with open_store(tmp_path) as env:
        put(env, b"k")

        assert b"v" == get(env, b"k")
    assert 0o600 == mode(tmp_path / "lock.mdb")


@pytest.mark.parametrize("options", [{"readonly": True}, {"create": False}], ids=str)
def test_a_missing_folder_stays_missing_unless_it_may_be_made(tmp_path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_store(tmp_path / "log", **options)

    assert ("path", repr(str(tmp_path / "log")), "a folder that exists") == (
        caught.value.field,
        caught.value.value,
        caught.value.allowed,
    )
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"readonly": True}, {"create": False}], ids=str)
def test_a_folder_without_a_store_stays_empty_unless_one_may_be_made(tmp_path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(InvalidInput, match="has none"):
        open_store(tmp_path, **options)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{}, {"readonly": True}, {"create": False}], ids=str)
@pytest.mark.parametrize("below", ["", "log"])
def test_a_file_where_a_folder_should_be_is_left_alone(tmp_path: Path, options: dict[str, bool], below: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")

    with pytest.raises(InvalidInput, match="give a folder"):
        open_store(tmp_path / "file" / below, **options)

    assert b"mine" == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("options", [{}, {"readonly": True}, {"create": False}], ids=str)
def test_without_permission_nothing_is_opened(tmp_path: Path, options: dict[str, bool]) -> None:
    open_store(tmp_path / "log").close()
    (tmp_path / "log").chmod(0o000)

    def as_nobody() -> str:
        if not os.geteuid():
            os.setuid(65_534)
        try:
            open_store(tmp_path / "log", **options).close()
        except InvalidInput as error:
            return error.allowed
        return "opened"

    assert "a folder that this user may read and write" == in_fork(as_nobody)
    (tmp_path / "log").chmod(0o700)


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        open_store(tmp_path / ("x" * 300))


def test_a_path_that_no_utf_8_can_say_is_refused_where_it_is_there_too(tmp_path: Path) -> None:
    path = tmp_path / "a\udcff"
    path.mkdir()

    with pytest.raises(InvalidInput, match="UTF-8"):
        open_store(path)


def test_data_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"my diary" * 1_000)

    with pytest.raises(Corrupt, match="not an LMDB file"):
        open_store(tmp_path)

    assert b"my diary" * 1_000 == (tmp_path / "data.mdb").read_bytes()


def test_data_of_a_newer_lmdb_is_left_alone(tmp_path: Path) -> None:
    lmdb.Environment(str(tmp_path), lib_version=1).close()
    before = (tmp_path / "data.mdb").read_bytes()

    with pytest.raises(NewerFormat) as caught:
        open_store(tmp_path)

    assert (3, 1) == (caught.value.found, caught.value.known)
    assert before == (tmp_path / "data.mdb").read_bytes()


def test_the_data_has_the_format_that_older_tools_read(tmp_path: Path) -> None:
    open_store(tmp_path).close()

    assert bytes.fromhex("dec0efbe01000000") == (tmp_path / "data.mdb").read_bytes()[16:24]


def test_what_the_system_refuses_for_other_reasons_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(StoreError, match="symbolic links"):
        open_store(tmp_path / "loop")


def test_making_a_folder_twice_is_making_it_once(tmp_path: Path) -> None:
    folder.make_folder(tmp_path / "a" / "b")
    folder.make_folder(tmp_path / "a" / "b")

    assert 0o700 == mode(tmp_path / "a" / "b")
