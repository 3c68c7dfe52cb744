"""Read models that were told of an erasure live have the rows of those that read it from the log, pruned or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.projections.change import changes_of, nothing_known
from tests.aside import Kept, kept_histories
from tests.projections.histories import caught_up_views, dump, live_views, views_folder


@pytest.mark.slow
@given(kept_histories(), st.lists(st.integers(0, 25), max_size=5))
def test_the_rows_are_the_same_however_the_log_was_cut(kept: Kept, cuts: list[int]) -> None:
    with (
        views_folder() as folder,
        live_views(folder / "live", kept.events, cuts) as live,
        caught_up_views(folder / "later", kept.log()) as later,
    ):
        assert dump(live) == dump(later)


@given(kept_histories())
def test_nothing_is_broken_by_an_erasure_also_of_what_was_pruned(kept: Kept) -> None:
    folded = changes_of(kept.log().read(), nothing_known)

    assert ({}, ()) == (folded.skipped, folded.damaged)
    assert kept.tasks == {stream: change.after for stream, change in folded.changes.tasks.items()}
    assert kept.flows == {stream: change.after for stream, change in folded.changes.flows.items()}
