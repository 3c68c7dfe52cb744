"""The map grows under a batch, waits for readers, and follows other processes."""

from __future__ import annotations

import threading
from pathlib import Path

import lmdb
import pytest

from tallystick.ledger.errors import Full, StoreError
from tallystick.ledger.store import mapping
from tallystick.ledger.store.mapping import Transaction
from tests.ledger.store.environment_support import (
    NAME,
    SMALL,
    finish,
    get,
    numbered,
    open_store,
    put,
    put_all,
    said,
    start,
    stored,
)


def test_a_batch_larger_than_the_map_is_kept_and_written_once(tmp_path: Path) -> None:
    items = numbered(1_000)
    runs = []

    with open_store(tmp_path, map_bytes=SMALL) as env:
        databases = env.databases

        def work(txn: Transaction) -> int:
            runs.append(txn.stat(databases[NAME])["entries"])
            return put_all(env, items)(txn)

        assert len(items) == env.write_batch(work)

        assert [0] * len(runs) == runs
        assert SMALL << (len(runs) - 1) == env.info().map_bytes
        assert items == stored(env)
        assert databases == env.databases


def test_a_map_at_its_bound_refuses_the_batch_and_goes_on_with_what_fits(tmp_path: Path) -> None:
    with open_store(tmp_path, map_bytes=SMALL, map_bytes_max=3 * SMALL) as env:
        put(env, b"before")

        with pytest.raises(Full) as caught:
            env.write_batch(put_all(env, numbered(1_000)))

        assert isinstance(caught.value.__cause__, lmdb.MapFullError)
        assert (3 * SMALL, env.info().used_bytes) == (env.info().map_bytes, caught.value.bytes)
        put(env, b"after")
        assert {b"before": b"v", b"after": b"v"} == stored(env)


def test_a_block_that_fills_the_map_is_refused_and_the_map_can_be_grown(tmp_path: Path) -> None:
    items = numbered(150)
    with open_store(tmp_path, map_bytes=SMALL) as env:
        with pytest.raises(Full, match="map"), env.write() as txn:
            put_all(env, items)(txn)

        assert 2 * SMALL == env.grow()
        with env.write() as txn:
            put_all(env, items)(txn)
        assert items == stored(env)


def test_a_store_that_fills_its_map_opens_and_goes_on(tmp_path: Path) -> None:
    items = numbered(1_000)
    with open_store(tmp_path) as env:
        env.write_batch(put_all(env, items))
        used = env.info().used_bytes

    with open_store(tmp_path, map_bytes=SMALL, databases=(NAME, b"more")) as env:
        assert used <= env.info().map_bytes
        put(env, b"more")
        assert {**items, b"more": b"v"} == stored(env)


def test_growing_waits_for_reads_and_keeps_new_ones_waiting(tmp_path: Path) -> None:
    with open_store(tmp_path, map_bytes=SMALL) as env:
        put(env, b"k", b"old")
        started = threading.Event()
        seen: list[bytes | None] = []

        def work(txn: Transaction) -> None:
            started.set()
            txn.put(b"k", b"new", db=env.databases[NAME])
            put_all(env, numbered(1_000))(txn)

        writer = threading.Thread(target=env.write_batch, args=(work,))
        reader = threading.Thread(target=lambda: seen.append(get(env, b"k")))
        with env.read() as txn:
            writer.start()
            started.wait()
            writer.join(0.1)
            reader.start()
            reader.join(0.1)
            assert (True, []) == (writer.is_alive(), seen)
            assert b"old" == txn.get(b"k", db=env.databases[NAME])
            # A thread that reads already is let in: the writer waits for it anyway.
            assert b"old" == get(env, b"k")
        writer.join()
        reader.join()

        assert b"new" == get(env, b"k")
        assert seen[0] in (b"old", b"new")


def test_readers_and_a_growing_writer_do_not_disturb_each_other(tmp_path: Path) -> None:
    with open_store(tmp_path, map_bytes=SMALL, sync=False) as env:
        put(env, b"a", b"0")
        put(env, b"b", b"0")
        done = threading.Event()
        failures: list[object] = []

        def read() -> None:
            try:
                while not done.is_set():
                    with env.read() as txn:
                        pair = [txn.get(key, db=env.databases[NAME]) for key in (b"a", b"b")]
                    if pair[0] != pair[1]:
                        failures.append(pair)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is to show it
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for number in range(60):

            def work(txn: Transaction, number: int = number) -> None:
                for key in (b"a", b"b"):
                    txn.put(key, b"%d" % number, db=env.databases[NAME])
                txn.put(b"%d" % number, bytes(SMALL), db=env.databases[NAME])

            env.write_batch(work)
        done.set()
        for reader in readers:
            reader.join()

        assert [] == failures
        assert 60 * SMALL < env.info().map_bytes
        assert 0 == env.info().readers


def test_a_read_that_does_not_end_costs_a_batch_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping, "READS_END_S_MAX", 0.05)
    failures: list[Exception] = []

    def write() -> None:
        try:
            env.write_batch(put_all(env, numbered(1_000)))
        except StoreError as error:
            failures.append(error)

    with open_store(tmp_path, map_bytes=SMALL) as env:
        put(env, b"k")
        with env.read() as txn:
            writer = threading.Thread(target=write)
            writer.start()
            writer.join()
            assert ["has been open for 0.05 s"] == [str(error).partition("transaction ")[2][:-1] for error in failures]
            assert b"v" == txn.get(b"k", db=env.databases[NAME])

        write()
        assert numbered(1_000) | {b"k": b"v"} == stored(env)


def test_closing_does_not_wait_for_ever_for_a_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "READS_END_S_MAX", 0.05)
    env = open_store(tmp_path)
    put(env, b"k")
    database = env.databases[NAME]
    closer = threading.Thread(target=env.close)

    def read() -> None:
        with env.read() as txn:
            closer.start()
            closer.join()
            txn.get(b"k", db=database)

    with pytest.raises(StoreError, match="closed"):
        read()


def test_a_thread_that_reads_is_told_that_it_keeps_the_map_from_growing(tmp_path: Path) -> None:
    with open_store(tmp_path, map_bytes=SMALL) as env, env.read():
        put(env, b"small")

        with pytest.raises(StoreError, match="end its read first"):
            env.write_batch(put_all(env, numbered(1_000)))


WRITE_BEYOND = """
    with open_store(Path(sys.argv[1]), map_bytes=SMALL) as env:
        print("ready", flush=True)
        sys.stdin.readline()
        env.write_batch(put_all(env, numbered(1_000)))
        print(env.info().map_bytes)
"""


@pytest.mark.parametrize("readonly", [False, True])
def test_a_map_that_another_process_has_grown_is_followed(tmp_path: Path, *, readonly: bool) -> None:
    with open_store(tmp_path) as env:
        put(env, b"k")
    with open_store(tmp_path, map_bytes=SMALL, readonly=readonly) as env:
        other = start(WRITE_BEYOND, tmp_path)
        assert "ready" == said(other)
        with env.read() as txn:
            [grown] = finish(other)
            assert {b"k": b"v"} == dict(txn.cursor(env.databases[NAME]))
        assert SMALL == env.info().map_bytes

        assert {**numbered(1_000), b"k": b"v"} == stored(env)

        assert int(grown) == env.info().map_bytes


def test_a_writer_follows_too(tmp_path: Path) -> None:
    with open_store(tmp_path, map_bytes=SMALL) as env:
        other = start(WRITE_BEYOND, tmp_path)
        assert "ready" == said(other)
        finish(other)

        put(env, b"k")

        assert {**numbered(1_000), b"k": b"v"} == stored(env)


def test_two_processes_that_grow_the_map_in_turn_lose_nothing(tmp_path: Path) -> None:
    script = """
        number = int(sys.argv[2])
        with open_store(Path(sys.argv[1]), map_bytes=SMALL, sync=False) as env:
            print("ready", flush=True)
            sys.stdin.readline()
            for turn in range(100):
                put(env, b"%d-%d" % (number, turn), bytes(3 * PAGE))
                assert get(env, b"%d-%d" % (number, turn)) == bytes(3 * PAGE)
    """
    writers = [start(script, tmp_path, number) for number in range(2)]
    assert ["ready"] * 2 == [said(writer) for writer in writers]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        finish(writer)

    with open_store(tmp_path, map_bytes=SMALL) as env:
        assert {b"%d-%d" % (number, turn) for number in range(2) for turn in range(100)} == set(stored(env))


def test_more_readers_than_slots_are_refused_and_the_next_is_not(tmp_path: Path) -> None:
    with open_store(tmp_path, max_readers=2) as env:
        put(env, b"k")
        with env.read(), env.read():
            assert 2 == env.info().readers
            with pytest.raises(StoreError, match="READERS_FULL"), env.read():
                pass

        assert b"v" == get(env, b"k")


def test_a_slot_that_a_dead_process_holds_is_found_when_slots_run_out(tmp_path: Path) -> None:
    with open_store(tmp_path, max_readers=1) as env:
        put(env, b"k")
        reader = start(
            """
            env = open_store(Path(sys.argv[1]), readonly=True)
            with env.read() as txn:
                print("reading", flush=True)
                sys.stdin.read()
            """,
            tmp_path,
        )
        assert "reading" == said(reader)
        reader.kill()
        reader.communicate()

        assert b"v" == get(env, b"k")


def test_a_key_that_lmdb_refuses_is_an_error_of_the_store(tmp_path: Path) -> None:
    with open_store(tmp_path) as env:
        with pytest.raises(StoreError):
            put(env, b"")
        with pytest.raises(StoreError), env.read() as txn:
            txn.get(b"", db=env.databases[NAME])
