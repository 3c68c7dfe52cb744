"""The read model of flows: it has what their own events tell, whatever way it came to be where it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.projections.catch_up import catch_up
from tallystick.projections.check import check
from tallystick.projections.flow_list import FlowList
from tallystick.projections.flow_query import FlowQuery
from tallystick.projections.flows import FlowBoard
from tallystick.projections.projection import Whole
from tallystick.projections.reader import Reader
from tallystick.projections.rebuild import rebuild
from tallystick.projections.seen import Seen
from tallystick.projections.views import Views
from tests.ledger.flows.tale import FLOW_ID, VERBS, Tale, in_status
from tests.projections.flow_histories import flow_histories, own_records, standings
from tests.projections.histories import caught_up_views, dump, live_views, logged, records_of, views_folder

cuts = st.lists(st.integers(1, 20), max_size=6)
few = settings(max_examples=30)


@few
@given(flow_histories(), cuts, st.integers(1, 9))
def test_flows_and_tasks_have_the_same_rows_however_the_log_was_cut(
    events: list[Event], cuts: list[int], slice_events: int
) -> None:
    log = logged(events)
    with views_folder() as folder:
        at_once = caught_up_views(folder / "at-once", log)
        live = live_views(folder / "live", events, cuts)
        in_slices = caught_up_views(folder / "in-slices", log, slice_events=slice_events)
        with at_once, live, in_slices:
            assert dump(at_once) == dump(live)
            assert dump(at_once) == dump(in_slices)
            assert all(check(live, log, projection.name).ok for projection in live.projections)


@few
@given(flow_histories(), cuts)
def test_the_rows_of_flows_are_what_their_events_tell_and_nothing_else(events: list[Event], cuts: list[int]) -> None:
    tasks, flows = sorted(records_of(events).items()), sorted(own_records(events).items())
    with views_folder() as folder, live_views(folder, events, cuts) as views:
        stored = dump(views)
        for projection in views.projections:
            for table, expected in zip(projection.tables, projection.contents(Whole(tasks, flows)), strict=True):
                assert sorted(expected) == stored[f"{projection.name}.{table.name}"]


@few
@given(flow_histories(), standings, st.integers(1, 5))
def test_views_of_flows_that_stand_apart_catch_up_to_the_same_place(
    events: list[Event], standing: tuple[int, ...], slice_events: int
) -> None:
    log = logged(events)
    with (
        views_folder() as folder,
        Views.open(folder / "apart", log) as views,
        caught_up_views(folder / "at-once", log) as at_once,
    ):
        for projection, position in zip(views.projections, standing, strict=True):
            catch_up(views, log, until=position, names={projection.name})
        catch_up(views, log, slice_events=slice_events)
        assert dump(at_once) == dump(views)


@few
@given(flow_histories(), st.integers(0, 20), st.integers(1, 9))
def test_flows_that_are_rebuilt_are_as_they_were(events: list[Event], behind: int, slice_events: int) -> None:
    log = logged(events)
    with views_folder() as folder, caught_up_views(folder, log, until=behind) as views:
        rebuild(views, log, "flows", slice_events=slice_events)
        catch_up(views, log)
        with caught_up_views(folder / "other", log) as other:
            assert other.environment is not views.environment
            of_flows = {name: rows for name, rows in dump(other).items() if name.startswith("flows.")}
            assert of_flows == {name: rows for name, rows in dump(views).items() if name.startswith("flows.")}
        assert check(views, log, "flows").ok


def spoil_a_row(views: Views) -> None:
    with views.read() as sight:
        assert sight is not None
        table = sight.tables[FlowBoard.name][0]
        [(key, _row)] = list(sight.txn.cursor(table))
    views.environment.write_batch(lambda txn: txn.put(key, b"no row", db=table))


def lose_an_entry(views: Views) -> None:
    with views.read() as sight:
        assert sight is not None
        table = sight.tables[FlowBoard.name][1]
        heading, place = next(iter(sight.txn.cursor(table)))
    views.environment.write_batch(lambda txn: txn.delete(heading, place, db=table))


@pytest.mark.parametrize("damage", [spoil_a_row, lose_an_entry])
def test_a_check_of_flows_finds_what_is_wrong_and_a_rebuild_repairs_it(
    tmp_path: Path, damage: Callable[[Views], None]
) -> None:
    log = logged(in_status(FlowStatus.RUNNING).events)
    with caught_up_views(tmp_path, log) as views:
        sound = check(views, log, "flows")
        damage(views)
        broken = check(views, log, "flows")
        rebuild(views, log, "flows")

        assert (2, True, 1) == (sound.position, sound.ok, broken.different)
        assert check(views, log, "flows").ok


def test_a_row_of_a_flow_that_cannot_be_read_is_read_from_the_log(tmp_path: Path) -> None:
    tale = in_status(FlowStatus.WAITING)
    log = logged(tale.events)
    with caught_up_views(tmp_path, log) as views:
        spoil_a_row(views)
        reader = Reader(log, views)

        assert tale.record == reader.answer(lambda seen: FlowList(seen).get(FLOW_ID))
        assert [tale.record] == reader.answer(lambda seen: FlowList(seen).list(FlowQuery()).flows)
        assert reader.damage is not None


def test_a_flow_that_ends_its_cancel_leaves_the_list_of_those_that_are_being_cancelled(tmp_path: Path) -> None:
    tale = Tale(VERBS["cancel"], VERBS["cancelled"])
    log = logged(tale.events)
    found: list[int] = []
    for position in (1, 2, 3):
        with caught_up_views(tmp_path / str(position), log, until=position) as views:
            assert check(views, log, "flows").ok
            found.append(len(Reader(logged(tale.events[:position]), views).answer(being_cancelled)))

    assert [0, 1, 0] == found


def being_cancelled(seen: Seen) -> list[FlowRecord]:
    return FlowList(seen).cancelling()
