"""A data file that was cut off is named before LMDB reads behind its end: that would end the process without a word."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.extent import is_cut_off
from tests.cli.support import make_stories, process, tally
from tests.face.parts import said
from tests.ledger.store.sound import write

DATA = "data.mdb"
PAGE = 4_096
MAP_BYTES = 1 << 27
Work = Callable[["lmdb.Transaction[bytes]"], object]


def written(path: Path, *works: Work) -> Path:
    """The data file after these transactions."""
    path.mkdir(exist_ok=True)
    with lmdb.open(str(path), map_size=MAP_BYTES, sync=False) as env:
        for work in works:
            with env.begin(write=True) as txn:
                work(txn)
    return path / DATA


def reach(path: Path) -> int:
    """To where the pages of a store reach."""
    with lmdb.open(str(path), readonly=True, lock=False) as env:
        return (int(env.info()["last_pgno"]) + 1) * PAGE


def cut(data: Path, pages: int) -> Path:
    os.truncate(data, pages * PAGE)
    return data


OPENED = """
    import shutil, sys
    from pathlib import Path
    from tallystick.ledger.errors import Corrupt
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.ledger.store.verify import verify
    whole, copy = map(Path, sys.argv[1:])
    size = (whole / "data.mdb").stat().st_size
    for end in (4_096 + 300, 8_191, *range(8_192, size + 1, 4_096)):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        with (copy / "data.mdb").open("r+b") as file:
            file.truncate(end)
        for readonly in (True, False):
            try:
                with DiskLog.open(copy, readonly=readonly) as log:
                    print("sound" if verify(log).ok else "damaged")
            except Corrupt as error:
                print("cut off" if "was cut off" in str(error) else error)
"""


@pytest.mark.slow
def test_a_log_that_was_cut_off_behind_whichever_page_is_named_as_that_and_ends_nobody(tmp_path: Path) -> None:
    write(tmp_path / "whole", 300)

    told = said(OPENED, tmp_path / "whole", tmp_path / "copy")

    assert {"cut off", "sound"} == {*told}
    assert ["sound", "sound"] == told[-2:]
    assert ["cut off"] * 10 == told[:10]


def test_a_store_whose_last_pages_were_never_written_is_whole(tmp_path: Path) -> None:
    def put_and_drop(txn: "lmdb.Transaction[bytes]") -> None:
        txn.put(b"large", bytes(50 * PAGE))
        txn.delete(b"large")

    def put(txn: "lmdb.Transaction[bytes]") -> None:
        for number in range(200):
            txn.put(b"%d" % number, bytes(PAGE // 2))

    def drop(txn: "lmdb.Transaction[bytes]") -> None:
        for number in range(200):
            txn.delete(b"%d" % number)

    data = written(tmp_path, lambda txn: txn.put(b"small", b"x"), put, drop, put_and_drop, put_and_drop)

    assert data.stat().st_size < reach(tmp_path)
    assert not is_cut_off(data, PAGE)
    with Environment.open(tmp_path, map_bytes=MAP_BYTES, readonly=True) as store, store.read() as txn:
        assert b"x" == txn.get(b"small")


def test_a_page_that_is_not_free_is_lacking_though_the_list_of_those_that_are_is_there(tmp_path: Path) -> None:
    works: list[Work] = [lambda txn: txn.put(b"small", os.urandom(9)) for _ in range(9)]
    data = written(tmp_path, *works, lambda txn: txn.put(b"large", bytes(50 * PAGE)))
    begin, end = data.stat().st_size // PAGE - 50, data.stat().st_size // PAGE

    assert not is_cut_off(cut_copy(tmp_path, end), PAGE)
    assert all(is_cut_off(cut_copy(tmp_path, pages), PAGE) for pages in range(begin, end))


def test_pages_that_are_all_free_may_be_gone_however_long_their_list_is(tmp_path: Path) -> None:
    def put(txn: "lmdb.Transaction[bytes]") -> None:
        for number in range(2_000):
            txn.put(b"%04d" % number, bytes(2 * PAGE))

    def drop(txn: "lmdb.Transaction[bytes]") -> None:
        for number in range(2_000):
            txn.delete(b"%04d" % number)

    data = written(tmp_path, lambda txn: txn.put(b"first", b"x"), put, drop, lambda txn: txn.put(b"last", b"y"))
    pages = data.stat().st_size // PAGE
    ends = [end for end in range(2, pages, 100) if not is_cut_off(cut_copy(tmp_path, end), PAGE)]

    assert not is_cut_off(data, PAGE)
    assert not ends or ends[0] > pages // 2  # the list itself stands behind much of what it lists
    assert is_cut_off(cut_copy(tmp_path, 3), PAGE)


def cut_copy(path: Path, pages: int) -> Path:
    shutil.copy(path / DATA, path / "copy")
    return cut(path / "copy", pages)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.lists(st.integers(1, 5 * PAGE), min_size=1, max_size=12), min_size=1, max_size=6),
    drops=st.lists(st.integers(0, 60), max_size=20),
)
def test_a_store_that_nobody_cut_is_whole_whatever_was_written_and_deleted(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], drops: list[int]
) -> None:
    path = tmp_path_factory.mktemp("whole")

    def work(some: list[int]) -> Work:
        def put(txn: "lmdb.Transaction[bytes]") -> None:
            for number, size in enumerate(some):
                txn.put(b"%d" % number, os.urandom(size))
            for number in drops:
                txn.delete(b"%d" % number)

        return put

    assert not is_cut_off(written(path, *map(work, sizes)), PAGE)
    shutil.rmtree(path)


@pytest.mark.parametrize("root", [2**64 - 2, 2**60, 2, 0])
def test_a_list_of_free_pages_that_leads_astray_is_not_followed(tmp_path: Path, root: int) -> None:
    works: list[Work] = [lambda txn: txn.put(b"x", os.urandom(PAGE)) for _ in range(4)]
    content = bytearray(written(tmp_path, *works).read_bytes())
    for meta in (0, PAGE):
        content[meta + 80 : meta + 88] = root.to_bytes(8, "little")  # where the list begins
        content[meta + 136 : meta + 144] = (2**63).to_bytes(8, "little")  # the last page
    content[2 * PAGE + 10 : 2 * PAGE + 12] = (1).to_bytes(2, "little")  # a page that leads to others,
    content[2 * PAGE + 12 : 2 * PAGE + 14] = (18).to_bytes(2, "little")  # to one of them,
    content[2 * PAGE + 16 : 2 * PAGE + 18] = (100).to_bytes(2, "little")
    content[2 * PAGE + 100 : 2 * PAGE + 108] = (2).to_bytes(8, "little")  # which is itself
    (tmp_path / "astray").write_bytes(content)

    assert is_cut_off(tmp_path / "astray", PAGE)


def test_what_is_no_store_of_a_known_kind_is_said_to_be_nothing(tmp_path: Path) -> None:
    data = tmp_path / DATA
    for content in (b"", bytes(100), os.urandom(3 * PAGE)):
        data.write_bytes(content)
        assert not is_cut_off(data, PAGE)


@pytest.mark.slow
def test_every_command_says_that_the_file_was_cut_off_and_how_much_of_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_stories(folder)
    data = folder / "log" / DATA
    size = data.stat().st_size
    os.truncate(data, 5 * PAGE)

    for words in (("verify",), ("list",), ("run", "--", "true")):
        found = process("--ledger", folder, *words)
        assert (4, "") == (found.code, found.out)
        assert f"{data} was cut off: it has {5 * PAGE} bytes, and its pages reach to {size}" in found.err
    assert 4 == tally("doctor", "--ledger", str(folder)).code
    with pytest.raises(Corrupt, match="was cut off"):
        Environment.open(folder / "log", map_bytes=MAP_BYTES, readonly=True)
