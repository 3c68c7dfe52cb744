"""Lookups: what the indexes alone would get wrong, and what wins over what."""

from pathlib import Path

import pytest

from tallystick.ledger.errors import InvalidInput, NotFound, Pruned
from tallystick.ledger.facts.tasks import TaskFailed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import id_text
from tallystick.ledger.store.mapping import Transaction
from tallystick.projections.catch_up import catch_up
from tallystick.projections.keys import NameKind, name_heading, place
from tallystick.projections.query import Query
from tallystick.projections.reader import Reader
from tests.projections.histories import STREAMS, caught_up_views, live, logged, told
from tests.story import BEGIN_MS, Story, created

FAR_MS = 2 * BEGIN_MS


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


@pytest.mark.parametrize("first", ["board", "due"])
def test_what_is_due_is_known_wherever_rows_and_marks_stand(tmp_path: Path, first: str) -> None:
    events = told()
    log = logged(events)
    expected = Reader(log, None).due(FAR_MS)
    assert expected != []
    with caught_up_views(tmp_path, log, until=0) as views:
        catch_up(views, log, names={first})
        for position in range(len(events) + 1):
            catch_up(views, log, until=position)
            assert expected == Reader(log, views).due(FAR_MS)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("TASK 2", 2),
        ("no such file", 1),
        ("NEEDS A KEY", 2),
        ("half OF", 0),
        ("count the tallies", None),
        ("nothing", -1),
    ],
)
def test_text_is_looked_for_in_all_that_a_task_says(tmp_path: Path, text: str, task: int | None) -> None:
    events = told()
    log = logged(events)
    expected = [record for record in live(events) if task is None or record.stream == [*STREAMS, b""][task]]
    with caught_up_views(tmp_path, log) as views:
        assert expected == Reader(log, views).list(Query(text=text)).tasks
        assert expected == Reader(log, None).list(Query(text=text)).tasks


def test_a_blocked_task_is_found_by_its_owner_among_many(tmp_path: Path) -> None:
    blocked = Story(created(owner="mine"), TaskSucceeded(outcome="blocked"), stream=STREAMS[0])
    succeeded = Story(created(owner="mine"), TaskSucceeded(), stream=STREAMS[1], position=3)
    events = [*blocked.events, *succeeded.events]
    for number in range(2_100):
        facts = TaskSucceeded(outcome="blocked" if number % 2 else None)
        stream = bytes(14) + number.to_bytes(2)
        events.extend(Story(created(owner="all"), facts, stream=stream, position=len(events)).events)
    log = logged(events)
    with caught_up_views(tmp_path, log) as views:
        reader = Reader(log, views)
        assert [blocked.record, succeeded.record] == reader.list(Query(owner="mine", status="succeeded")).tasks
        assert 1_051 == reader.counts().blocked
        # The blocked ones alone are few, and looked at one by one; with an owner that has them all, they are his.
        assert [blocked.record] == reader.list(Query(owner="mine", status="blocked")).tasks
        assert 1_050 == len(reader.list(Query(owner="all", status="blocked", limit=2_000)).tasks)
