"""One reader over time: the log grows, the views follow, are rebuilt, or break, and every answer stays exact."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt, InvalidInput, NotFound, Pruned
from tallystick.ledger.events import Event, TaskFailed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.mapping import Transaction
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Stored
from tallystick.projections.catch_up import catch_up
from tallystick.projections.keys import NameKind, name_heading, place
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tallystick.projections.rebuild import rebuild
from tallystick.projections.rows import ViewsDamaged
from tallystick.projections.views import Views
from tests.projections.histories import STREAMS, caught_up_views, histories, live, logged, told, views_folder
from tests.story import Story, created

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 6)),
        st.tuples(st.just("follow"), st.integers(0, 6)),
        st.tuples(st.just("rebuild"), st.just(0)),
        st.tuples(st.just("ask"), st.just(0)),
        st.tuples(st.just("ask"), st.just(0)),
    ),
    max_size=12,
)


@given(histories(), steps)
def test_one_reader_is_exact_whoever_moves_in_between(events: list[Event], steps: list[tuple[str, int]]) -> None:
    log = MemoryLog()
    with views_folder() as folder, Views.open(folder, log) as views:
        reader = Reader(log, views)
        for step, count in [*steps, ("write", len(events)), ("ask", 0)]:
            head = log.head()
            match step:
                case "write":
                    log.append(events[head : head + count])
                case "follow":
                    catch_up(views, log, until=max(0, head - count))
                case "rebuild":
                    rebuild(views, log)
                case _:
                    with reader.snapshot() as seen:
                        assert head == seen.head
                        assert live(events[:head]) == seen.list(Query()).tasks
                        assert len(live(events[:head])) == seen.counts().total


def test_what_is_written_after_a_snapshot_began_is_not_in_it(tmp_path: Path) -> None:
    events = told()
    log = logged(events[:3])
    with caught_up_views(tmp_path, log, until=2) as views:
        reader = Reader(log, views)
        with reader.snapshot() as seen:
            before = seen.list(Query()).tasks
            log.append(events[3:])
            catch_up(views, log)
            assert (3, before) == (seen.head, seen.list(Query()).tasks)
            assert live(events) == reader.list(Query()).tasks


@given(histories(), st.integers(0, 25), st.lists(st.integers(0, 6), max_size=8), st.integers(1, 2))
def test_pages_show_once_what_was_there_all_the_time(
    events: list[Event], first: int, written: list[int], limit: int
) -> None:
    log = logged(events[:first])
    with views_folder() as folder, caught_up_views(folder, log) as views:
        reader = Reader(log, views)
        at_first = live(events[:first])
        pages = [reader.list(Query(limit=limit))]
        for count in [*written, *[0] * 10]:
            head = log.head()
            log.append(events[head : head + count])
            catch_up(views, log, until=head)
            if pages[-1].next_cursor is not None:
                pages.append(reader.list(Query(limit=limit, cursor=pages[-1].next_cursor)))

        shown = [record.stream for page in pages for record in page.tasks]
        at_last = {record.stream for record in live(events[: log.head()])}
        assert len(set(shown)) == len(shown)
        assert [record.stream for record in at_first if record.stream in at_last] == [
            stream for stream in shown if stream in at_last and stream in {record.stream for record in at_first}
        ]


@given(histories())
def test_without_views_the_log_tells_everything(events: list[Event]) -> None:
    reader = Reader(logged(events), None)
    assert live(events) == reader.list(Query()).tasks
    assert len(live(events)) == reader.counts().total


def test_a_reader_reads_of_the_log_only_what_is_new(tmp_path: Path) -> None:
    events = told()
    log = Counted(events[:5])
    with caught_up_views(tmp_path, log, until=2) as views:
        log.reads.clear()
        reader = Reader(log, views)
        for _ in range(2):
            reader.counts()
        assert [(2, 5)] == log.reads
        log.append(events[5:7])
        reader.counts()
        assert [(2, 5), (5, 7)] == log.reads

        log.reads.clear()
        catch_up(views, log, until=4)
        assert [(2, 4)] == log.reads
        reader.counts()
        assert [(2, 4)] == log.reads
        catch_up(views, log)
        log.reads.clear()
        reader.counts()
        assert [] == log.reads


class Counted(MemoryLog):
    """A log that remembers what was read of it."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.reads: list[tuple[int, int | None]] = []
        self.append(events)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        self.reads.append((after, until))
        return super().read(after, until)


# Views that break while they are read.


def corrupted(views: Views, table: int, value: bytes) -> Callable[[Transaction], None]:
    """Put a value under every key of one of the board's tables."""

    def work(txn: Transaction) -> None:
        sight = views.seen(txn)
        assert sight is not None
        database = sight.tables["board"][table]
        for key in list(txn.cursor(database).iternext(values=False)):
            txn.put(key, value, db=database)

    return work


@pytest.mark.parametrize("value", [b"\xc1", b"\x90", b""])
def test_rows_that_cannot_be_read_are_asked_of_the_log(tmp_path: Path, value: bytes) -> None:
    events = told()
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:
        views.environment.write_batch(corrupted(views, 0, value))
        reader = Reader(log, views)
        with reader.snapshot() as seen, pytest.raises(ViewsDamaged):
            seen.list(Query())
        assert live(events) == reader.list(Query()).tasks
        assert isinstance(reader.damage, ViewsDamaged)
        assert live(events)[0] == reader.get(live(events)[0].task_id)
        with reader.snapshot() as seen:
            assert live(events) == seen.list(Query()).tasks


def test_a_row_that_is_missing_is_asked_of_the_log(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:

        def lose_the_rows(txn: Transaction) -> None:
            sight = views.seen(txn)
            assert sight is not None
            txn.drop(sight.tables["board"][0], delete=False)

        views.environment.write_batch(lose_the_rows)
        assert live(events) == Reader(log, views).list(Query()).tasks


def test_a_damaged_log_is_nobodys_fallback(tmp_path: Path) -> None:
    with caught_up_views(tmp_path, logged(told())) as views:
        reader = Reader(Unreadable(told()), views)
        for _ in range(2):
            with pytest.raises(Corrupt):
                reader.counts()
        assert reader.damage is None


class Unreadable(MemoryLog):
    """A log that is damaged at its end."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.append(events)

    def head(self) -> int:
        raise Corrupt("the tree's edge is missing")


def test_views_that_know_more_than_the_log_are_not_asked(tmp_path: Path) -> None:
    events = told()
    with caught_up_views(tmp_path, logged(events)) as views:
        shorter = logged(events[:4])
        assert live(events[:4]) == Reader(shorter, views).list(Query()).tasks


def test_views_of_another_version_are_not_asked(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:
        meta = views.environment.databases[b"meta"]
        views.environment.write_batch(lambda txn: txn.put(b"format", b"\x09", db=meta))
        assert live(events) == Reader(log, views).list(Query()).tasks


# What indexes alone would get wrong.


def test_a_name_with_the_digest_of_another_is_told_apart(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:

        def collide(txn: Transaction) -> None:
            """Enter a task under a name that it does not have."""
            sight = views.seen(txn)
            assert sight is not None
            record = live(events)[0]
            entry = name_heading(NameKind.RUN, "run-of-another"), place(record.stream, record)
            txn.put(*entry, db=sight.tables["board"][2])

        views.environment.write_batch(collide)
        reader = Reader(log, views)
        assert [] == reader.list(Query(run_id="run-of-another")).tasks
        with pytest.raises(NotFound):
            reader.find("run-of-another")


def test_an_id_wins_over_a_run_and_a_run_over_a_session(tmp_path: Path) -> None:
    first = Story(created(run_id="both", owner="mine"), stream=STREAMS[0])
    second = Story(created(run_id=id_text(STREAMS[0]), owner="both"), stream=STREAMS[1], position=1)
    log = logged([*first.events, *second.events])
    with caught_up_views(tmp_path, log) as views:
        reader = Reader(log, views)
        assert first.record == reader.find(id_text(STREAMS[0]))
        assert first.record == reader.find("both")
        assert second.record == reader.find(id_text(STREAMS[1]))
        for token in (" ", "a\nb", "x" * 600):
            with pytest.raises(InvalidInput):
                reader.find(token)
        with pytest.raises(NotFound, match="nobody"):
            reader.find("nobody")
        with pytest.raises(NotFound):
            reader.get("not an id")


@pytest.mark.parametrize("seen_by_views", [0, 8, 100])
def test_a_pruned_task_answers_with_what_it_was(tmp_path: Path, seen_by_views: int) -> None:
    events = told()
    log = logged(events)
    task_id = id_text(STREAMS[3])
    with caught_up_views(tmp_path, log, until=seen_by_views) as views:
        reader = Reader(log, views)
        for ask in (reader.get, reader.find):
            with pytest.raises(Pruned, match="was cancelled") as caught:
                ask(task_id)
            ended, pruned = events[-2:]
            assert (ended.occurred_at, pruned.occurred_at) == (caught.value.ended_at, caught.value.pruned_at)
        with pytest.raises(NotFound):
            reader.find("run-3")
        assert [] == reader.list(Query(run_id="run-3")).tasks


def test_a_session_that_is_owner_and_child_at_once_is_shown_once(tmp_path: Path) -> None:
    story = Story(created(owner="s", requester="r", child_session="s"))
    log = logged(story.events)
    with caught_up_views(tmp_path, log) as views:
        reader = Reader(log, views)
        assert [story.record] == reader.list(Query(session="s")).tasks == reader.board("s")
        assert [story.record] == reader.board("r")
        assert [] == reader.board("t")
        with pytest.raises(InvalidInput, match="limit"):
            reader.board("s", 0)


@pytest.mark.parametrize("count", [3, 2_100])
def test_children_and_sessions_are_found_among_few_tasks_and_among_many(tmp_path: Path, count: int) -> None:
    """Few tasks are looked at one by one; among many only those under the name."""
    parent = id_text(STREAMS[3])
    mine = Story(created(parent=parent, owner="mine", run_id="mine"), TaskStarted(), TaskFailed(error="no"))
    events = list(mine.events)
    for number in range(count):
        stream = bytes(14) + number.to_bytes(2)
        events.extend(Story(created(owner="all"), TaskFailed(error="no"), stream=stream, position=len(events)).events)
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:
        reader = Reader(log, views)
        for query in (
            Query(parent=parent, status="failed"),
            Query(owner="mine", status="failed"),
            Query(session="mine"),
            Query(run_id="mine", owner="mine", parent=parent),
        ):
            assert [mine.record] == reader.list(query).tasks
        assert [] == reader.list(Query(owner="mine", status="running")).tasks
        assert count == len(reader.list(Query(owner="all", limit=10_000)).tasks)


def test_what_ended_in_a_batch_is_counted_by_the_index_when_the_counts_stand_elsewhere(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    with caught_up_views(tmp_path, log, until=2) as views:
        catch_up(views, log, names={"board"})
        expected = Reader(log, None).counts()
        assert expected == Reader(log, views).counts()


# Other threads and other processes.


def test_many_threads_ask_one_reader_while_the_log_grows(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path / "log") as log, Views.open(tmp_path / "views", log) as views:
        reader = Reader(log, views)
        wrong: list[tuple[int, int]] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                with reader.snapshot() as seen:
                    shown = len(seen.list(Query(limit=1_000)).tasks)
                    if not shown == seen.counts().total == seen.head // 2:
                        wrong.append((shown, seen.head))

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        for number in range(100):
            story = Story(created(), TaskStarted(), stream=new_id(), position=2 * number)
            log.append(story.events)
            if number % 3 == 0:
                catch_up(views, log)
        done.set()
        for asker in askers:
            asker.join()
        assert [] == wrong


SCRIPT = """
import sys
from pathlib import Path
from tallystick.ledger.store.disk import DiskLog
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tallystick.projections.views import Views

folder = Path(sys.argv[1])
with DiskLog.open(folder / "log", readonly=True) as log:
    views = Views.open_readonly(folder / "views", log)
    assert views is not None
    with views:
        reader = Reader(log, views)
        for line in sys.stdin:
            status = line.strip() or None
            page = reader.list(Query(status=status))
            print(log.head(), len(page.tasks), reader.counts().total, flush=True)
loaded = {"pykka", "structlog", "asyncio", "rich", "click", "logging"} & set(sys.modules)
assert not loaded, loaded
"""


def test_another_process_sees_what_the_owner_has_written_and_its_views_have_not(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path / "log") as log, Views.open(tmp_path / "views", log) as views:
        log.append(Story(created(), TaskStarted(), stream=new_id()).events)
        catch_up(views, log)
        log.append(Story(created(), TaskSucceeded(), stream=new_id(), position=2).events)
        beside = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        questions, answers = beside.stdin, beside.stdout
        assert questions is not None
        assert answers is not None

        def ask(status: str) -> str:
            print(status, file=questions, flush=True)
            return answers.readline().strip()

        assert f"{log.head()} 2 2" == ask("")
        assert f"{log.head()} 1 2" == ask("running")
        log.append(Story(created(), stream=new_id(), position=log.head()).events)
        assert f"{log.head()} 3 3" == ask("")
        catch_up(views, log)
        rebuild(views, log)
        assert f"{log.head()} 1 3" == ask("queued")
        beside.communicate()
        assert 0 == beside.returncode
