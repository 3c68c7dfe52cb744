"""Whatever controllers, children and operators do, and however often the owner ends: flows keep their promises."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

import tallystick
from tallystick import Ledger
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.projections.check import check as check_rows
from tallystick.testing import HandClock
from tests.crash.lives import log_of, views_of
from tests.face.flow_play import MOVES, DiskWorld, MemoryWorld, Play, World
from tests.flow_law import check_claims, check_joins, told_by

WEIGHTED = [*MOVES, *["work", "report", "link", "cancel", "claim", "restart"] * 2, "work", "report"]
moves = st.lists(
    st.tuples(st.sampled_from(sorted(WEIGHTED)), st.integers(0, 7), st.integers(0, 11)), min_size=4, max_size=30
)

Move = tuple[str, int, int]


@settings(max_examples=150)
@given(moves)
def test_flows_keep_their_promises_through_restarts_and_kills(moves: list[Move]) -> None:
    clock = HandClock()
    play_out(MemoryWorld(clock), clock, moves)


@settings(max_examples=8)
@given(moves)
def test_flows_on_disk_keep_their_promises_through_restarts(moves: list[Move]) -> None:
    clock = HandClock()
    with tempfile.TemporaryDirectory() as folder:
        play_out(DiskWorld(Path(folder) / "ledger", clock), clock, moves)
        with tallystick.open(Path(folder) / "ledger", clock=clock) as ledger:
            views, log = views_of(ledger), log_of(ledger)
            assert all(check_rows(views, log, projection.name).ok for projection in views.projections)


def play_out(world: World, clock: HandClock, moves: Sequence[Move]) -> None:
    play = Play(world, clock)
    try:
        play.begin(0, 0)
        for name, first, second in moves:
            play.move(name, first, second)
            if name in ("sweep", "restart"):
                check_cancels(world.ledger)
        check_cancels(world.ledger)
        check(play)
    finally:
        world.close()


def check_cancels(ledger: Ledger) -> None:
    """Once all is settled, a flow is cancelled exactly if that was wanted and none of its tasks is at work."""
    ledger.settled()
    flows, tasks, _ = told_by(list(ledger.events()))
    for flow in flows.values():
        at_work = [task for task in tasks.values() if task.parent_flow_id == flow.flow_id and task.is_active]
        if flow.cancel_requested_at is not None:
            assert (flow.status is FlowStatus.CANCELLED) == (not at_work), flow
            assert all(task.cancel_requested_at is not None for task in at_work)
        else:
            assert flow.status is not FlowStatus.CANCELLED


def check(play: Play) -> None:
    """Hold the log, and what everybody was told, to what was promised."""
    events = list(play.ledger.events())
    flows, _, known = told_by(events)
    assert list(range(1, len(events) + 1)) == [each.position for each in events]
    check_joins(events)
    check_claims(events)
    for record in play.told:
        if record.is_managed:
            assert record == known[record.flow_id][record.revision - 1]
    for (flow_id, step), claimants in play.ran.items():
        claim = known[flow_id][-1].claim_of(step)
        assert claim is not None
        assert {claim.claimant} == set(claimants)
        assert claim.claimant is not None or len(claimants) == 1, f"{step} was done twice"
    assert play.ledger.verify().ok
    event(f"cancelled: {sum(flow.status is FlowStatus.CANCELLED for flow in flows.values())}")
