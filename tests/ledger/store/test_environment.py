"""Environments are shared in a process, dropped by its forks, and left whole by whoever dies in them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tallystick.ledger.errors import Closed, ForkedStore, InvalidInput, StoreError
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.mapping import DATABASES_MAX
from tests.ledger.store.environment_support import (
    NAME,
    SMALL,
    finish,
    get,
    in_fork,
    numbered,
    open_store,
    put,
    put_all,
    said,
    start,
    stored,
)


def test_what_was_written_is_there_after_closing(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k", b"v")

    with open_store(tmp_path / "log") as env:
        assert b"v" == get(env, b"k")


def test_a_block_that_raises_writes_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        with env.write() as txn:
            txn.put(b"kept", b"v", db=env.databases[NAME])

        def fail() -> None:
            with env.write() as txn:
                txn.put(b"lost", b"v", db=env.databases[NAME])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert (b"v", None) == (get(env, b"kept"), get(env, b"lost"))


def test_handles_on_the_same_files_share_one_environment(tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tmp_path / "log")
    first = open_store(tmp_path / "log")
    second = open_store(tmp_path / "alias", databases=(NAME, b"more"))

    put(first, b"k")
    first.close()

    assert b"v" == get(second, b"k")
    assert {NAME, b"more"} == set(second.databases)
    second.close()
    open_store(tmp_path / "log").close()


def test_a_closed_handle_says_so_while_others_work(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        closed = open_store(tmp_path / "log")
        closed.close()
        closed.close()

        for use in (closed.read, closed.info, closed.flush, closed.grow, lambda: closed.databases):
            with pytest.raises(Closed):
                use()
        put(env, b"k")


def test_a_read_that_outlives_its_environment_says_so(tmp_path: Path) -> None:
    env = open_store(tmp_path / "log")
    late = env.read()
    env.close()

    with pytest.raises(Closed), late:
        pass


def test_closing_ends_a_read_of_the_same_thread(tmp_path: Path) -> None:
    env = open_store(tmp_path / "log")

    def close_inside() -> None:
        with env.read() as txn:
            database = env.databases[NAME]
            env.close()
            txn.get(b"k", db=database)

    with pytest.raises(StoreError, match="closed"):
        close_inside()


def test_a_replaced_folder_is_another_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as old:
        put(old, b"k", b"old")
        (tmp_path / "log").rename(tmp_path / "aside")

        with open_store(tmp_path / "log") as new:
            assert (b"old", None) == (get(old, b"k"), get(new, b"k"))


def test_a_reader_shares_the_environment_of_a_writer_and_cannot_write(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as writer, open_store(tmp_path / "log", readonly=True) as reader:
        put(writer, b"k")

        assert b"v" == get(reader, b"k")
        for use in (lambda: put(reader, b"k"), reader.grow, lambda: reader.write().__enter__()):
            with pytest.raises(StoreError, match="opened for reading"):
                use()


def test_a_reader_beside_a_writer_makes_no_database(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as writer:
        for options in ({"readonly": True}, {"create": False}):
            with pytest.raises(InvalidInput, match="has none"):
                open_store(tmp_path / "log", databases=(NAME, b"missing"), **options)

        with writer.read() as txn:
            assert [NAME] == list(txn.cursor().iternext(values=False))


def test_a_set_keeps_the_values_of_a_key_sorted_and_once(tmp_path: Path) -> None:
    with open_store(tmp_path / "log", sets=(b"set",)) as env, env.write() as txn:
        for value in (b"b", b"a", b"b"):
            txn.put(b"k", value, db=env.databases[b"set"])

    with (
        open_store(tmp_path / "log", databases=(), sets=(b"set",), readonly=True) as env,
        env.read() as txn,
        txn.cursor(env.databases[b"set"]) as cursor,
    ):
        assert [(b"k", b"a"), (b"k", b"b")] == list(cursor)


def test_a_reader_alone_cannot_write_and_does_not_become_a_writer(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k")

    with open_store(tmp_path / "log", readonly=True) as reader:
        assert b"v" == get(reader, b"k")
        with pytest.raises(StoreError, match="open for reading in this process"):
            open_store(tmp_path / "log")
        with pytest.raises(InvalidInput, match="has none"):
            open_store(tmp_path / "log", readonly=True, databases=(b"missing",))
        assert b"v" == get(reader, b"k")


def test_a_reader_of_a_store_without_its_databases_is_told_and_leaves_nothing_open(tmp_path: Path) -> None:
    open_store(tmp_path / "log", databases=()).close()

    with pytest.raises(InvalidInput, match="has none") as caught:
        open_store(tmp_path / "log", readonly=True)

    open_store(tmp_path / "log").close()
    assert "path" == caught.value.field  # and its traceback, which refers to what was open, is still alive


def test_too_many_databases_are_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="DBS_FULL"):
        open_store(tmp_path / "log", databases=[b"%d" % number for number in range(DATABASES_MAX + 1)])


def test_a_write_inside_a_write_is_an_error_not_a_deadlock(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env, env.write(), pytest.raises(StoreError):
        put(env, b"k")


def test_a_commit_without_sync_can_be_made_durable(tmp_path: Path) -> None:
    with open_store(tmp_path / "views", sync=False) as env:
        put(env, b"k")
        env.flush()

        assert b"v" == get(env, b"k")


def test_a_handle_that_nobody_closed_is_reported(tmp_path: Path) -> None:
    with open_store(tmp_path / "log"), pytest.warns(ResourceWarning, match="never closed"):
        open_store(tmp_path / "log")


def test_a_forked_child_gets_an_error_and_its_parent_goes_on(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k")
        with env.read() as txn:
            assert [ForkedStore.__name__] * 4 == [
                in_fork(lambda: get(env, b"k")),
                in_fork(lambda: put(env, b"k", b"child's")),
                in_fork(env.info),
                in_fork(env.grow),
            ]
            assert "None" == in_fork(env.close)

            # The children cleared no slot: this read is still one that LMDB knows of.
            assert 1 == env.info().readers
            assert b"v" == txn.get(b"k", db=env.databases[NAME])
        put(env, b"k", b"parent's")
        assert b"parent's" == get(env, b"k")


def test_the_error_of_a_fork_names_both_processes(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:

        def use() -> bool:
            try:
                env.info()
            except ForkedStore as error:
                return str(tmp_path / "log") == error.path and error.opened_by != error.used_by
            return False

        assert "True" == in_fork(use)


def test_a_child_that_was_forked_inside_a_read_leaves_it_to_its_parent(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k")
        reading = env.read()
        reading.__enter__()

        assert "None" == in_fork(lambda: reading.__exit__(None, None, None))

        assert 1 == env.info().readers
        reading.__exit__(None, None, None)
        assert 0 == env.info().readers


def test_a_child_that_was_forked_inside_a_write_commits_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        writing = env.write()
        txn = writing.__enter__()
        txn.put(b"k", b"parent's", db=env.databases[NAME])

        assert "ForkedStore" == in_fork(lambda: writing.__exit__(None, None, None))
        assert "ZeroDivisionError" == in_fork(
            lambda: writing.__exit__(ZeroDivisionError, ZeroDivisionError(), None) or 1 / 0
        )

        writing.__exit__(None, None, None)
        assert b"parent's" == get(env, b"k")


def test_a_child_may_open_the_folder_anew(tmp_path: Path) -> None:
    def child() -> bytes | None:
        with open_store(tmp_path / "log") as env:
            put(env, b"k", b"child's")
            return get(env, b"k")

    with open_store(tmp_path / "log") as env:
        put(env, b"k", b"parent's")

        assert 'b"child\'s"' == in_fork(child)

        assert b"child's" == get(env, b"k")
        put(env, b"k", b"parent's")


def test_the_slot_of_a_killed_reader_is_cleared_by_the_next_open(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k")
        reader = start(
            """
            env = open_store(Path(sys.argv[1]), readonly=True)
            with env.read() as txn:
                print("reading", flush=True)
                sys.stdin.read()
            """,
            tmp_path / "log",
        )
        assert "reading" == said(reader)
        put(env, b"k", b"later")
        assert (1, 1) == (env.info().readers, env.info().oldest_reader_lag)

        reader.kill()
        reader.communicate()
        open_store(tmp_path / "log").close()

        assert (0, 0) == (env.info().readers, env.info().oldest_reader_lag)
        assert 0 == env.clear_dead_readers()


def test_a_killed_writer_leaves_the_last_commit_and_no_lock(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env:
        put(env, b"k", b"committed")
        writer = start(
            """
            env = open_store(Path(sys.argv[1]))
            with env.write() as txn:
                txn.put(b"k", b"half", db=env.databases[NAME])
                print("writing", flush=True)
                sys.stdin.read()
            """,
            tmp_path / "log",
        )
        assert "writing" == said(writer)
        writer.kill()
        writer.communicate()

        assert b"committed" == get(env, b"k")
        put(env, b"k", b"after")
        assert b"after" == get(env, b"k")


# A copy.


@pytest.mark.parametrize("values", [1, 200, 300, 3_000, 60_000])
def test_a_copy_has_every_value_of_a_set_however_many_there_are(tmp_path: Path, values: int) -> None:
    def rows(env: Environment) -> list[tuple[bytes, bytes]]:
        with env.read() as txn:
            return list(txn.cursor(env.databases[b"sets"]))

    written = [(key, number.to_bytes(8)) for key in (b"a", b"b", b"c") for number in range(values)]
    (tmp_path / "copy").mkdir()
    with open_store(tmp_path / "log", sets=(b"sets",)) as env:
        put(env, b"k", b"v")
        env.write_batch(lambda txn: txn.cursor(env.databases[b"sets"]).putmulti(written))
        env.copy(tmp_path / "copy")

    with open_store(tmp_path / "copy", sets=(b"sets",), readonly=True) as copy:
        assert (written, b"v") == (rows(copy), get(copy, b"k"))


def test_a_copy_has_no_free_pages_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with open_store(tmp_path / "log") as env:
        env.write_batch(put_all(env, numbered(5_000)))
        env.write_batch(lambda txn: txn.drop(env.databases[NAME], delete=False))
        put(env, b"k", b"v")
        env.copy(tmp_path / "copy")

    data = (tmp_path / "copy" / "data.mdb").stat()
    assert data.st_size <= SMALL < (tmp_path / "log" / "data.mdb").stat().st_size
    assert 0o600 == stat.S_IMODE(data.st_mode)


def test_a_copy_is_not_put_over_a_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "log") as env, open_store(tmp_path / "other") as other:
        put(other, b"k", b"v")
        with pytest.raises(FileExistsError):
            env.copy(tmp_path / "other")
        assert b"v" == get(other, b"k")


def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    writer = start(
        """
    with open_store(Path(sys.argv[1])) as env:
        number = 0
        print("ready", flush=True)
        while not (Path(sys.argv[1]) / "stop").exists():
            number += 1
            put_all_of = {key.to_bytes(4): number.to_bytes(8) for key in range(3_000)}
            env.write_batch(put_all(env, put_all_of))
    print(number > 0)
    """,
        tmp_path / "log",
    )
    assert "ready" == said(writer)
    with open_store(tmp_path / "log", readonly=True) as env:
        for name in ("1", "2", "3", "4"):
            (tmp_path / name).mkdir()
            env.copy(tmp_path / name)
    (tmp_path / "log" / "stop").touch()
    assert ["True"] == finish(writer)
    for name in ("1", "2", "3", "4"):
        with open_store(tmp_path / name, readonly=True) as copy:
            assert len(set(stored(copy).values())) <= 1
