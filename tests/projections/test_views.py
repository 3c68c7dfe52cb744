"""The views: every read model at once, whatever way they came to be where they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Closed, ForkedStore, InvalidInput, StoreError
from tallystick.ledger.events import Event
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.ledger.store.folder import life_of_the_machine
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.projections.board import Board
from tallystick.projections.catch_up import catch_up
from tallystick.projections.change import Changes, changes_of
from tallystick.projections.check import check
from tallystick.projections.flows import FlowBoard
from tallystick.projections.follower import Follower
from tallystick.projections.projection import Contents, Table, Whole
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import PROJECTIONS, Views
from tests.ledger.store.environment_support import in_fork
from tests.projections.histories import (
    PlainError,
    caught_up_views,
    dump,
    histories,
    live_views,
    logged,
    records_of,
    told,
    views_folder,
)

cuts = st.lists(st.integers(1, 20), max_size=6)

NOWHERE = dict.fromkeys((projection.name for projection in PROJECTIONS), 0)


@given(histories(), cuts, st.integers(1, 9))
def test_read_models_have_the_same_bytes_however_the_log_was_cut(
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


@given(histories(), cuts)
def test_read_models_have_what_the_records_say_and_nothing_else(events: list[Event], cuts: list[int]) -> None:
    records = sorted(records_of(events).items())
    with views_folder() as folder, live_views(folder, events, cuts) as views:
        stored = dump(views)
        for projection in views.projections:
            for table, expected in zip(projection.tables, projection.contents(Whole(records)), strict=True):
                assert sorted(expected) == stored[f"{projection.name}.{table.name}"]


@given(histories(), st.tuples(*[st.integers(0, 20)] * len(PROJECTIONS)), st.integers(1, 5))
def test_read_models_that_stand_apart_catch_up_to_the_same_place(
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
        assert [min(position, len(events)) for position in standing] == list(views.positions().values())
        catch_up(views, log, slice_events=slice_events)
        assert dump(at_once) == dump(views)


def test_views_stay_where_they_were_when_they_are_closed_and_opened(tmp_path: Path) -> None:
    log = logged(told())
    with caught_up_views(tmp_path, log) as views:
        before = dump(views)
    with Views.open(tmp_path, log) as views:
        assert before == dump(views)
    readonly = Views.open_readonly(tmp_path, log)
    assert readonly is not None
    with readonly:
        assert before == dump(readonly)
        with pytest.raises(StoreError, match="reading"):
            readonly.apply(Changes(), after=0, until=1)


def test_closed_views_answer_nothing(tmp_path: Path) -> None:
    views = Views.open(tmp_path, logged([]))
    views.close()
    views.close()
    with pytest.raises(Closed):
        views.positions()


def test_what_was_seen_already_is_not_applied_again(tmp_path: Path) -> None:
    events = told()
    with caught_up_views(tmp_path, logged(events)) as views:
        before = dump(views)
        changes = changes_of(events[:3], lambda _: None).changes
        views.apply(changes, after=0, until=3)
        assert before == dump(views)


def test_nobody_applies_what_does_not_follow(tmp_path: Path) -> None:
    events = told()
    with caught_up_views(tmp_path, logged(events), until=2) as views, pytest.raises(AssertionError, match="board"):
        views.apply(Changes(), after=3, until=4)


# Views that nobody can believe begin anew.


def test_views_of_another_log_begin_anew(tmp_path: Path) -> None:
    events = told()
    caught_up_views(tmp_path, logged(events)).close()
    shorter = logged(events[:5])
    assert Views.open_readonly(tmp_path, shorter) is None
    with Views.open(tmp_path, shorter) as views:
        assert NOWHERE == views.positions()
        catch_up(views, shorter)
    last_first = [*events[3:5], *events[:3]]
    other = logged([renumbered(event, place) for place, event in enumerate(last_first, 1)])
    assert Views.open_readonly(tmp_path, other) is None
    with Views.open(tmp_path, other) as views:
        assert NOWHERE == views.positions()


def renumbered(event: Event, position: int) -> Event:
    return Event(position, *(getattr(event, name) for name in event.__struct_fields__[1:]))


@pytest.mark.parametrize("key", [b"format", b"progress"])
def test_views_of_another_format_begin_anew(tmp_path: Path, key: bytes) -> None:
    log = logged(told())
    with caught_up_views(tmp_path, log) as views:
        views.environment.write_batch(lambda txn: txn.put(key, b"\xc1", db=views.environment.databases[b"meta"]))
        assert {} == views.positions()
    assert Views.open_readonly(tmp_path, log) is None
    with Views.open(tmp_path, log) as views:
        assert NOWHERE == views.positions()


def test_a_store_of_something_else_is_no_views(tmp_path: Path) -> None:
    Environment.open(tmp_path, map_bytes=1 << 20, databases=[b"meta", b"facts"]).close()
    assert Views.open_readonly(tmp_path, logged([])) is None


def test_what_is_no_store_at_all_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not an LMDB file" * 1_000)
    assert Views.open_readonly(tmp_path, logged([])) is None
    with Views.open(tmp_path, logged([])) as views:
        assert NOWHERE == views.positions()


def test_views_in_a_place_where_no_folder_can_be_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("a file")
    with pytest.raises(InvalidInput, match="folder"):
        Views.open(tmp_path / "views", logged([]))
    assert Views.open_readonly(tmp_path / "views", logged([])) is None
    assert Views.open_readonly(tmp_path / "nothing", logged([])) is None


def test_views_of_a_killed_process_are_believed_until_the_machine_starts_anew(tmp_path: Path) -> None:
    log = logged(told())
    with Views.open(tmp_path, log, life="monday") as views:
        catch_up(views, log)
        positions = views.positions()
        # What another process sees while this one has not flushed: and what is left if it is killed now.
        believed = Views.open_readonly(tmp_path, log, life="monday")
        assert believed is not None
        with believed:
            assert positions == believed.positions()
        assert Views.open_readonly(tmp_path, log, life="tuesday") is None
        assert Views.open_readonly(tmp_path, log, life="") is None
        left = (tmp_path / "unflushed").read_bytes()
    (tmp_path / "unflushed").write_bytes(left)
    with Views.open(tmp_path, log, life="monday") as views:
        assert positions == views.positions()
    (tmp_path / "unflushed").write_bytes(left)
    with Views.open(tmp_path, log, life="tuesday") as views:
        assert NOWHERE == views.positions()


def test_a_system_that_does_not_tell_its_life_has_none(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("monday\n")
    assert "monday" == life_of_the_machine(tmp_path / "boot_id")
    assert "" == life_of_the_machine(tmp_path / "nothing")


def test_flushed_views_are_believed_after_every_start_of_the_machine(tmp_path: Path) -> None:
    log = logged(told())
    with Views.open(tmp_path, log, life="") as views:
        catch_up(views, log)
        positions = views.positions()
    with Views.open(tmp_path, log, life="tuesday") as views:
        assert positions == views.positions()


def test_views_grow_when_their_map_is_full(tmp_path: Path) -> None:
    log = logged(told())
    with Views.open(tmp_path, log, map_bytes=1 << 16) as views:
        catch_up(views, log)
        rebuild(views, log)
        assert views.environment.info().map_bytes > 1 << 16
        assert dict.fromkeys(NOWHERE, len(told())) == views.positions()


# A read model that fails.


class Fragile:
    """Stores the version of every task, and fails on the ones it is told to."""

    name = "fragile"
    tables = (Table("versions"),)

    def __init__(self) -> None:
        self.breaks_at: int | None = None

    def apply(self, txn: Transaction, tables: Sequence[Database], changes: Changes) -> None:
        for stream, change in sorted(changes.tasks.items()):
            txn.put(stream, change.after.version.to_bytes(4), db=tables[0])
            if self.breaks_at is not None and change.after.position >= self.breaks_at:
                raise PlainError

    def contents(self, whole: Whole) -> Contents:
        return ([(stream, record.version.to_bytes(4)) for stream, record in whole.tasks],)


def test_a_read_model_that_fails_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    fragile = Fragile()
    with Views.open(tmp_path, log, projections=(fragile, Board(), FlowBoard())) as views:
        catch_up(views, log, until=4)
        before = dump(views)["fragile.versions"]
        fragile.breaks_at = 6
        catch_up(views, log)

        assert {"fragile": 4, "board": len(events), "flows": len(events)} == views.positions()
        assert before == dump(views)["fragile.versions"]
        assert isinstance(views.parked["fragile"], PlainError)
        assert {"board": len(events), "flows": len(events)} == views.moving()


def test_a_rebuild_brings_back_a_read_model_that_was_parked(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    fragile = Fragile()
    with Views.open(tmp_path, log, projections=(fragile, Board(), FlowBoard())) as views:
        fragile.breaks_at = 6
        catch_up(views, log, until=9)
        with pytest.raises(PlainError):
            rebuild(views, log, "fragile")
        assert {"fragile": 0, "board": 9, "flows": 9} == views.positions()

        fragile.breaks_at = None
        rebuild(views, log, "fragile", slice_events=2)
        assert {"fragile": 9, "board": 9, "flows": 9} == views.positions()
        assert {} == views.parked
        catch_up(views, log)
        assert check(views, log, "fragile").ok


def test_a_follower_raises_only_what_leaves_it_nothing_to_move(tmp_path: Path) -> None:
    events = told()
    log = logged(events)
    fragile = Fragile()
    with Views.open(tmp_path, log, projections=(fragile, Board(), FlowBoard())) as views:
        whole, alone, other = Follower(views), Follower(views, "fragile"), Follower(views, "board")
        changes = changes_of(events[:3], lambda _: None).changes
        whole.apply(changes, first=1, last=3)
        assert (3, 3, 3) == (whole.position(), alone.position(), other.position())

        fragile.breaks_at = 6
        whole.catch_up(log, len(events))
        assert (len(events), 0, len(events)) == (whole.position(), alone.position(), other.position())
        with pytest.raises(PlainError):
            alone.catch_up(log, len(events))
        with pytest.raises(PlainError):
            alone.apply(Changes(), first=4, last=5)
        other.catch_up(log, len(events))


def test_views_follow_a_log_on_disk(tmp_path: Path) -> None:
    events = told()
    with DiskLog.open(tmp_path / "log") as log, Views.open(tmp_path / "views", log) as views:
        log.append(events)
        catch_up(views, log)
        expected = dump(views)
    with caught_up_views(tmp_path / "twin", logged(events)) as twin:
        assert expected == dump(twin)


def test_a_fork_leaves_the_views_to_its_parent(tmp_path: Path) -> None:
    log = logged(told())
    with caught_up_views(tmp_path, log) as views:
        expected = dump(views)

        def close() -> str:
            with pytest.raises(ForkedStore):
                views.positions()
            views.close()
            return "closed"

        assert "closed" == in_fork(close)
        assert (tmp_path / "unflushed").exists()
        assert expected == dump(views)


def test_views_that_are_half_full_have_room_when_they_are_opened(tmp_path: Path) -> None:
    log = logged(told())
    caught_up_views(tmp_path, log).close()
    with Views.open(tmp_path, log, map_bytes=1 << 17) as views:
        info = views.environment.info()
        assert 2 * info.used_bytes <= info.map_bytes
