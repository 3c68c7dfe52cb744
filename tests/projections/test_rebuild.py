"""The rebuild and the check: what is read is what the log says, or can be made so."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.store.mapping import Transaction
from tallystick.projections.catch_up import catch_up
from tallystick.projections.check import Checked, Difference, check
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import Views
from tests.projections.flow_histories import flow_histories
from tests.projections.histories import (
    PlainError,
    caught_up_views,
    dump,
    histories,
    live_views,
    logged,
    told,
    views_folder,
)
from tests.story import Story, created

NAMES = ("board", "counts", "due", "outbox", "flows")

rebuilt = st.sampled_from([None, "all", *NAMES])


def checks(views: Views, events: list[Event]) -> list[Checked]:
    return [check(views, logged(events), name) for name in NAMES]


@given(histories(), st.integers(1, 20), st.integers(1, 5), rebuilt)
def test_a_rebuilt_read_model_has_the_bytes_of_the_one_that_was_kept_up(
    events: list[Event], cut: int, slice_events: int, name: str | None
) -> None:
    with views_folder() as folder, live_views(folder, events, [cut]) as views:
        before = dump(views)
        rebuild(views, logged(events), name, slice_events=slice_events)

        assert before == dump(views)
        assert all(checked.ok for checked in checks(views, events))


# A task that goes on behind where its row stands, in one part after the other.
@example(Story(created(), TaskStarted(), TaskSucceeded()).events, [0, 1, 2, 3, 3], 20)
@example(Story(created(), TaskStarted(), TaskSucceeded()).events, [1, 2, 3, 3, 3], 20)
@given(flow_histories(), st.lists(st.integers(0, 20), min_size=len(NAMES), max_size=len(NAMES)), st.integers(20, 40))
def test_read_models_that_stand_apart_arrive_in_one_pass_each_where_it_stood(
    events: list[Event], standing: list[int], slice_events: int
) -> None:
    log = logged(events)
    done: list[int] = []
    with views_folder() as folder, Views.open(folder, log) as views:
        for name, until in zip(NAMES, standing, strict=True):
            catch_up(views, log, until=until, names=[name])
        before, positions = dump(views), views.positions()
        rebuild(views, log, slice_events=slice_events, progressed=lambda position, _target: done.append(position))

        assert (before, positions) == (dump(views), views.positions())
        assert [max(positions.values())] == done
        assert all(checked.ok for checked in checks(views, events))
        catch_up(views, log)
        assert all(checked.ok for checked in checks(views, events))


@given(histories(), st.integers(0, 20), st.integers(1, 20))
def test_what_is_written_during_a_rebuild_is_in_it(events: list[Event], standing: int, more: int) -> None:
    log = logged(events)
    with views_folder() as folder, caught_up_views(folder, log, until=standing) as views:

        def go_on(done: int, _total: int) -> None:
            catch_up(views, log, until=standing + done * more)

        rebuild(views, log, slice_events=2, progressed=go_on)
        catch_up(views, log)
        with caught_up_views(folder / "at-once", log) as at_once:
            assert dump(at_once) == dump(views)


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_a_rebuild_arrives_although_more_is_written_than_one_slice_folds(tmp_path: Path, ahead: int) -> None:
    story = Story(created(), TaskStarted(), *(TaskProgressed(step=step) for step in range(400)))
    log = logged(story.events)

    def outrun(_done: int, target: int) -> None:
        catch_up(views, log, until=target + ahead)

    with caught_up_views(tmp_path, log, until=10) as views:
        rebuild(views, log, slice_events=1, progressed=outrun)

        assert views.positions()["board"] < len(story.events), "it arrived only when nobody wrote any more"


@pytest.mark.parametrize("more", [1, 5, 9, 10, 11, 30])
def test_a_rebuild_arrives_after_few_slices_although_the_log_grows_nearly_as_fast_as_it_folds(
    tmp_path: Path, more: int
) -> None:
    story = Story(created(), TaskStarted(), *(TaskProgressed(step=step) for step in range(2_000)))
    log = logged(story.events)
    slices: list[int] = []

    def keep_up(done: int, target: int) -> None:
        slices.append(done)
        catch_up(views, log, until=target + more)

    with caught_up_views(tmp_path, log, until=200) as views:
        rebuild(views, log, slice_events=10, progressed=keep_up)

        assert len(slices) <= 2 * 200 / 10 + 10, slices


def test_read_models_that_stand_near_each_other_arrive_with_one_larger_slice(tmp_path: Path) -> None:
    story = Story(created(), TaskStarted(), *(TaskProgressed(step=step) for step in range(200)))
    log = logged(story.events)
    slices: list[int] = []
    with caught_up_views(tmp_path, log, until=95) as views:
        catch_up(views, log, until=125, names=["board", "flows"])
        before = views.positions()
        rebuild(views, log, slice_events=10, progressed=lambda done, _target: slices.append(done))

        assert ([*range(10, 91, 10), 125], before) == (slices, views.positions())


def test_a_rebuild_that_ends_in_the_middle_leaves_everything_as_it_was(tmp_path: Path) -> None:
    events = told()
    log = logged(events)

    def die(done: int, _total: int) -> None:
        if done > 1:
            raise PlainError

    with caught_up_views(tmp_path, log) as views:
        before = dump(views)
        with pytest.raises(PlainError):
            rebuild(views, log, slice_events=1, progressed=die)
        assert before == dump(views)
        assert shadow_entries(views) > 0

    with Views.open(tmp_path, log) as reopened:
        assert before == dump(reopened)
        assert shadow_entries(reopened) == 0
        rebuild(reopened, log)
        assert before == dump(reopened)


def shadow_entries(views: Views) -> int:
    """How much stands in tables that nobody reads."""
    with views.read() as sight:
        assert sight is not None
        return sum(
            sight.txn.stat(table)["entries"]
            for name, progress in sight.progress.items()
            for table in views.tables(name, progress.generation + 1)
        )


def test_a_rebuild_names_what_it_can_rebuild(tmp_path: Path) -> None:
    log = logged(told())
    with (
        caught_up_views(tmp_path, log) as views,
        pytest.raises(InvalidInput, match="board, counts, due, outbox, flows, quarantine or all"),
    ):
        rebuild(views, log, "boards")


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_check_names_what_was_changed_taken_and_added(tmp_path: Path, name: str) -> None:
    events = told()
    with caught_up_views(tmp_path, logged(events)) as views:
        table = views.projections[NAMES.index(name)].tables[0]
        with views.read() as sight:
            assert sight is not None
            database = sight.tables[name][0]
            (key, value), *_ = sight.txn.cursor(database)
        other = bytes(len(value))

        def tamper(txn: Transaction) -> None:
            txn.delete(key, value, db=database)
            txn.put(key, other, db=database)
            txn.put(b"\xff", other, db=database)

        views.environment.write_batch(tamper)
        checked = check(views, logged(events), name)

        expected = [Difference(table.name, b"\xff" + (other if table.of_places else b""), None, other)]
        if table.of_places:
            expected = [
                Difference(table.name, key + other, None, other),
                Difference(table.name, key + value, value, None),
                *expected,
            ]
        else:
            expected.insert(0, Difference(table.name, key, value, other))
        assert (False, len(expected), tuple(expected)) == (checked.ok, checked.different, checked.differences)

        rebuild(views, logged(events), name)
        assert check(views, logged(events), name).ok
