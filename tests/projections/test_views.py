"""The views: every read model at once, whatever way they came to be where they are."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tests.projections.histories import caught_up_views, dump, histories, live_views, logged, records_of

cuts = st.lists(st.integers(1, 20), max_size=6)


@given(histories(), cuts, st.integers(1, 9))
def test_read_models_have_the_same_bytes_however_the_log_was_cut(
    events: list[Event], cuts: list[int], slice_events: int
) -> None:
    log = logged(events)
    with tempfile.TemporaryDirectory() as folder:
        at_once = caught_up_views(Path(folder, "at-once"), log)
        live = live_views(Path(folder, "live"), events, cuts)
        in_slices = caught_up_views(Path(folder, "in-slices"), log, slice_events=slice_events)
        with at_once, live, in_slices:
            assert dump(at_once) == dump(live)
            assert dump(at_once) == dump(in_slices)


@given(histories(), cuts)
def test_read_models_have_what_the_records_say_and_nothing_else(events: list[Event], cuts: list[int]) -> None:
    records = sorted(records_of(events).items())
    with tempfile.TemporaryDirectory() as folder, live_views(Path(folder), events, cuts) as views:
        stored = dump(views)
        for projection in views.projections:
            for table, expected in zip(projection.tables, projection.contents(records), strict=True):
                assert sorted(expected.items()) == stored[f"{projection.name}.{table}"]
