"""The log on disk keeps every promise, across processes and bad days."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tallystick.ledger.errors import Closed, Corrupt, ForkedStore, Full, InvalidInput, NewerFormat, StoreError
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskFailed
from tallystick.ledger.store import codec, keys
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.ledger.store.restoring import restore
from tallystick.ledger.store.verify import verify
from tests.ledger.store import raw
from tests.ledger.store.environment_support import finish, in_fork, said, start
from tests.ledger.store.log_contract import CLAIM, LogContract, contents
from tests.ledger.store.make import Author, event, stream_id

GOLDEN = Path(__file__).parents[2] / "golden" / "log-1.json"
PAGE = 4096


class TestDiskLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EventLog]:
        with DiskLog.open(tmp_path / "log") as log:
            yield log


def golden_batches() -> list[list[Event]]:
    """What the golden log was written from: enough for a full tile, an incomplete one and one above them."""
    author = Author()
    return [author.write(*range(1, 200)), author.write(1, 1, 2), author.write(*range(200, 290))]


# What lasts.


@pytest.mark.parametrize("size", [0, 30, 31, 254, 255, 256, 600])
def test_a_log_that_is_opened_again_is_the_same_and_goes_on(tmp_path: Path, size: int) -> None:
    twin = MemoryLog()
    author = Author()
    claims = {CLAIM: stream_id(1)}
    for batch in (author.write(1, *range(size)), author.write(1, 2), author.write(*range(300))):
        twin.append(batch, claims)
        with DiskLog.open(tmp_path) as log:
            log.append(batch, claims)
        with DiskLog.open(tmp_path) as log:
            assert contents(twin) == contents(log)
            assert verify(log).ok


def test_records_of_another_log_are_taken_over_as_they_are_and_what_is_none_is_refused(tmp_path: Path) -> None:
    twin = MemoryLog()
    author = Author()
    batches = [author.write(1, *range(size)) for size in (3, 300, 40)]
    with DiskLog.open(tmp_path) as log:
        for batch in batches:
            twin.append(batch, {CLAIM: batch[0].stream})
            restore(log, [codec.encode(event) for event in batch], lambda events: {CLAIM: events[0].stream})
        assert contents(twin) == contents(log)
        assert verify(log).ok

        for body in (b"", codec.encode(batches[0][0])):  # no event, and one that stands elsewhere
            with pytest.raises(Corrupt) as caught:
                restore(log, [body], lambda _events: {})
            assert 1 + twin.head() == caught.value.position
        assert contents(twin) == contents(log)


def test_the_rows_of_a_log_are_these(tmp_path: Path) -> None:
    golden = [tuple(row) for row in json.loads(GOLDEN.read_text("utf-8"))]
    with DiskLog.open(tmp_path) as log:
        for batch in golden_batches():
            log.append(batch, {CLAIM: stream_id(1)})

    assert golden == raw.all_rows(tmp_path)


def test_a_log_with_the_rows_of_a_released_version_is_read_and_goes_on(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    for name in ("events", "streams", "claims", "tiles", "meta"):
        rows = [(bytes.fromhex(key), bytes.fromhex(value)) for database, key, value in golden if database == name]
        raw.make_database(tmp_path, name.encode(), rows, is_set=name == "streams")
    twin = MemoryLog()
    for batch in golden_batches():
        twin.append(batch, {CLAIM: stream_id(1)})

    with DiskLog.open(tmp_path) as log:
        assert contents(twin) == contents(log)
        log.append(Author(log.head()).write(1_000))
        assert verify(log).ok


# What is refused at opening.


def test_a_reader_of_a_folder_without_a_log_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    for options in ({"readonly": True}, {"create": False}):
        with pytest.raises(InvalidInput, match="path"):
            DiskLog.open(tmp_path / "none", **options)

    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        (b"\x00\x00\x00\x04", NewerFormat, "has format 4, this version knows 3"),
        (b"\x00\x00\x00\x00", Corrupt, "format 0, which never was"),
        (b"one", Corrupt, "not the number of a format"),
    ],
)
def test_a_folder_of_another_format_is_refused_and_left_as_it_is(
    tmp_path: Path, stored: bytes, error: type[Exception], message: str, *, readonly: bool
) -> None:
    write_some(tmp_path)
    with raw.opened(tmp_path) as database:
        database(keys.META)[keys.FORMAT] = stored
    before = (tmp_path / "data.mdb").read_bytes()

    with pytest.raises(error, match=message):
        DiskLog.open(tmp_path, readonly=readonly)

    assert before == (tmp_path / "data.mdb").read_bytes()


@pytest.mark.parametrize(("readonly", "error"), [(False, Corrupt), (True, InvalidInput)])
def test_a_log_that_has_lost_its_format_is_never_taken_for_a_new_one(
    tmp_path: Path, *, readonly: bool, error: type[Exception]
) -> None:
    write_some(tmp_path)
    with raw.opened(tmp_path) as database:
        del database(keys.META)[keys.FORMAT]
    before = raw.all_rows(tmp_path)

    with pytest.raises(error):
        DiskLog.open(tmp_path, readonly=readonly)

    assert before == raw.all_rows(tmp_path)


def test_a_log_whose_making_was_interrupted_is_made_by_the_next_writer(tmp_path: Path) -> None:
    for name in (keys.EVENTS, keys.META):
        raw.make_database(tmp_path, name, [])
    with pytest.raises(InvalidInput):
        DiskLog.open(tmp_path, readonly=True)

    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(1))

    with DiskLog.open(tmp_path, readonly=True) as log:
        assert 1 == log.head()


def test_a_store_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    raw.make_database(tmp_path, b"rows", [(b"a", b"b")])
    raw.make_database(tmp_path, keys.META, [(b"format of ours", b"7")])
    before = (tmp_path / "data.mdb").read_bytes()

    with pytest.raises(Corrupt, match="not a log"):
        DiskLog.open(tmp_path)

    assert before == (tmp_path / "data.mdb").read_bytes()


def test_a_log_that_lacks_a_database_is_refused(tmp_path: Path) -> None:
    raw.make_database(tmp_path, keys.META, [(keys.FORMAT, keys.format_value(1))])

    for readonly in (False, True):
        with pytest.raises(Corrupt, match="lacks a part"):
            DiskLog.open(tmp_path, readonly=readonly)


# Readers and other processes.


def test_a_handle_for_reading_sees_each_commit_and_writes_nothing(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log, DiskLog.open(tmp_path, readonly=True) as reader:
        for _ in range(3):
            log.append(author.write(1, 2))
            assert contents(log) == contents(reader)
            assert verify(reader).ok
        with pytest.raises(StoreError, match="opened for reading"):
            reader.append(author.write(1))
        assert 6 == log.head()


def test_a_reader_in_another_process_sees_the_head_as_it_is(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path, map_bytes=32 * PAGE) as log:
        log.append(author.write(1))
        reader = start(
            """
            from tallystick.ledger.store.disk import DiskLog
            from tallystick.ledger.store.verify import verify
            with DiskLog.open(Path(sys.argv[1]), readonly=True, map_bytes=32 * PAGE) as log:
                for _ in range(3):
                    print(log.head(), len(list(log.read())), verify(log).ok, flush=True)
                    sys.stdin.readline()
            """,
            tmp_path,
        )
        seen = [said(reader)]
        assert reader.stdin is not None
        for _ in range(2):
            log.append(author.write(*range(1_000)))  # the map grows meanwhile
            reader.stdin.write("\n")
            reader.stdin.flush()
            seen.append(said(reader))

        assert ["1 1 True", "1001 1001 True", "2001 2001 True"] == seen
        assert [] == finish(reader)


def test_processes_that_make_a_log_at_once_make_one(tmp_path: Path) -> None:
    makers = [
        start(
            """
            from tallystick.ledger.store.disk import DiskLog
            print("ready", flush=True)
            sys.stdin.readline()
            with DiskLog.open(Path(sys.argv[1])) as log:
                print(log.head())
            """,
            tmp_path / "log",
        )
        for _ in range(3)
    ]
    assert ["ready"] * 3 == [said(maker) for maker in makers]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()

    assert [["0"]] * 3 == [finish(maker) for maker in makers]
    with DiskLog.open(tmp_path / "log", readonly=True) as log:
        assert verify(log).ok


def test_reading_pins_nothing_between_two_steps(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[1] * 3_000))
        readers = [log.read(), log.bodies(), log.index(), log.claims()]
        for reader in readers[:3]:
            next(reader)

        assert 0 == log.environment.info().readers


def test_a_second_writer_is_found_out_and_the_first_reads_anew(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log, DiskLog.open(tmp_path) as other:
        log.append(Author().write(1))
        with pytest.raises(Corrupt, match="at position 1: another record"):
            other.append(Author().write(2))

        other.append(Author(other.head()).write(2))
        with pytest.raises(Corrupt, match="at position 2: another record"):
            log.append(Author(1).write(3))

        assert contents(other) == contents(log)
        assert verify(log).ok


def test_a_fork_of_the_writer_cannot_use_its_log(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(1))

        assert [ForkedStore.__name__] * 3 == [
            in_fork(log.head),
            in_fork(lambda: list(log.read())),
            in_fork(lambda: log.append(Author(1).write(1))),
        ]
        assert 1 == log.head()


# No room.


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file of this process can be written beyond a size: what a full disk looks like from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_map_that_is_full_grows_and_the_batch_is_kept(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path, map_bytes=32 * PAGE) as log:
        for _ in range(5):
            log.append(author.write(*range(1_000), data=TaskFailed(error="x" * 100)))

        assert 5_000 == log.head()
        assert log.stats().map_bytes > 32 * PAGE
        assert verify(log).ok


def test_a_map_at_its_bound_refuses_the_batch_and_forgets_nothing(tmp_path: Path) -> None:
    author = Author()
    large = author.write(*range(20), data=TaskFailed(error="x" * 60_000))
    with DiskLog.open(tmp_path, map_bytes=64 * PAGE, map_bytes_max=64 * PAGE) as log:
        small = [event(1, 50)]
        log.append(small)
        before = contents(log)

        with pytest.raises(Full):
            log.append([event(position + 1, position) for position in range(1, 10_000)], {CLAIM: stream_id(1)})
        with pytest.raises(Full):
            log.append([event(e.position + 1, 99 + e.position, data=e.data) for e in large])

        assert before == contents(log)
        log.append([event(2, 50, 2)])
        assert verify(log).ok
    with DiskLog.open(tmp_path) as log:
        log.append([event(e.position + 2, 99 + e.position, data=e.data) for e in large])
        assert 22 == log.head()
        assert verify(log).ok


def test_a_full_disk_refuses_the_batch_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(1))
        before = contents(log)
        large = author.write(*range(20), data=TaskFailed(error="x" * 60_000))

        with files_at_most((tmp_path / "data.mdb").stat().st_size), pytest.raises(Full):
            log.append(large)

        assert before == contents(log)
        log.append(large)
        assert 21 == log.head()
        assert verify(log).ok


# Facts.


def test_a_log_counts_what_it_writes(tmp_path: Path) -> None:
    author = Author()
    with DiskLog.open(tmp_path) as log:
        log.append(author.write(1, 2))
        log.append([])
        log.append(author.write(1))
        stats = log.stats()

        assert (2, 2, 3) == (stats.commits, stats.fsyncs, stats.events)
        assert sum(len(body) for _, body in log.bodies()) == stats.record_bytes
        assert 0 < stats.used_bytes < stats.map_bytes


def test_a_reader_of_a_log_that_is_closed_between_two_steps_is_told(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(Author().write(*[1] * 1_100))
        reader = log.read()
        next(reader)

    with pytest.raises(Closed):
        list(reader)


def write_some(path: Path) -> None:
    with DiskLog.open(path) as log:
        log.append(Author().write(1, 2, 1))
