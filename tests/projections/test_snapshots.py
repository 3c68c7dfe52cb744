"""One reader over time: the log grows, the views follow, are rebuilt, or break, and every answer stays exact."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.store.mapping import Transaction
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Stored
from tallystick.projections.catch_up import catch_up
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tallystick.projections.rebuild import rebuild
from tallystick.projections.rows import ViewsDamaged
from tallystick.projections.views import Views
from tests.projections.histories import caught_up_views, histories, live, logged, told, views_folder

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


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_an_overlay_is_right_over_every_place_where_the_views_may_stand(tmp_path: Path, step: int) -> None:
    events = told()
    log = logged(events[:-2])
    with Views.open(tmp_path, log) as views:
        reader = Reader(log, views)
        for position in range(0, log.head() + step, step):
            catch_up(views, log, until=position)
            assert live(events[:-2]) == reader.list(Query()).tasks
            assert Reader(log, None).counts() == reader.counts()
        log.append(events[-2:])
        assert live(events) == reader.list(Query()).tasks


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


def standing(views: Views, log: MemoryLog, **positions: int) -> Reader:
    """A reader of views of which some read models stand where they stand, and the others at the head."""
    for name in views.positions():
        catch_up(views, log, until=positions.get(name), names={name})
    return Reader(log, views)


def test_the_lag_is_that_of_the_read_model_that_is_furthest_behind(tmp_path: Path) -> None:
    log = logged(told())
    for number, (board, outbox) in enumerate([(log.head(), 4), (4, log.head()), (log.head(), log.head()), (4, 2)]):
        with Views.open(tmp_path / str(number), log) as views:
            reader = standing(views, log, board=board, outbox=outbox, due=3)
            assert log.head() - min(board, outbox) == reader.lag()
            assert log.head() - board == reader.lag("board")
            assert log.head() - 3 == reader.lag("board", "due", "outbox") or outbox == 2


def test_what_an_index_has_not_seen_is_folded_once_for_all_questions_of_a_moment(tmp_path: Path) -> None:
    events = told()
    log = Counted(events[:9])
    with Views.open(tmp_path, log) as views:
        reader = standing(views, log, board=7, outbox=3)
        log.reads.clear()
        for _ in range(3):
            reader.slots(b"s", 2**50)
            reader.headings(b"s")
            reader.outbox_counts()
        assert sorted([(7, 9), (3, 7)]) == sorted(log.reads)


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
