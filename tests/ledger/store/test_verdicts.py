"""A verification says of every checkpoint whether the log fits it, does not, or cannot be held to it."""

from pathlib import Path

import pytest

from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import TreeHead
from tallystick.ledger.store.tree import Tree, leaf_hashes
from tallystick.ledger.store.verify import Kind, Standing, Verification, verify
from tests.ledger.store import forger
from tests.ledger.store.sound import SIZE, write

SEALED = 512
FALSE = b"\x07" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log that nobody has touched."""
    write(tmp_path)
    return tmp_path


@pytest.fixture
def lost(folder: Path) -> Path:
    """A log whose first records are lost, with their archive."""
    with DiskLog.open(folder) as log:
        sealing = Sealing(log, segment_events=SEALED)
        sealing.due(2**50, 0)
        while sealing.step():
            pass
        assert SEALED == log.archived()
    for segment in (folder / "archive").glob("*.seg"):
        segment.unlink()
    return folder


def heads(folder: Path, *sizes: int) -> list[TreeHead]:
    bodies = forger.records(folder)
    return [TreeHead(size, Tree().extend(leaf_hashes(bodies[:size])).tree.edge.root()) for size in sizes]


def verified(folder: Path, *checkpoints: TreeHead) -> Verification:
    with DiskLog.open(folder, readonly=True) as log:
        return verify(log, checkpoint=checkpoints)


def standings(folder: Path, *checkpoints: TreeHead) -> list[Standing]:
    return [verdict.standing for verdict in verified(folder, *checkpoints).verdicts]


def test_a_checkpoint_that_fits_is_held_at_every_size(folder: Path) -> None:
    checkpoints = heads(folder, 0, 1, 255, 256, 300, SIZE)

    verification = verified(folder, *checkpoints)

    assert (True, 6) == (verification.ok, len(verification.verdicts))
    assert checkpoints == [verdict.checkpoint for verdict in verification.verdicts]
    assert {Standing.HELD} == {verdict.standing for verdict in verification.verdicts}


def test_verdicts_are_told_in_the_order_of_the_checkpoints(folder: Path) -> None:
    [good] = heads(folder, 300)
    checkpoints = [TreeHead(SIZE + 1, FALSE), good, TreeHead(20, FALSE)]

    verdicts = verified(folder, *checkpoints).verdicts

    assert checkpoints == [verdict.checkpoint for verdict in verdicts]
    assert [Standing.CUT_OFF, Standing.HELD, Standing.FORKED] == [verdict.standing for verdict in verdicts]
    assert "ends at 600" in verdicts[0].detail
    assert FALSE.hex() in verdicts[2].detail


def test_a_checkpoint_between_lost_records_is_not_said_to_be_held(lost: Path) -> None:
    checkpoint = TreeHead(300, FALSE)

    verification = verified(lost, checkpoint)

    [verdict] = verification.verdicts
    assert (Standing.UNKNOWN, checkpoint) == (verdict.standing, verdict.checkpoint)
    assert "lost" in verdict.detail
    assert Kind.TILE in [problem.kind for problem in verification.problems]


def test_a_true_checkpoint_between_lost_records_is_as_unknown_as_a_false_one(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    [checkpoint] = heads(folder, 300)
    lost = request.getfixturevalue("lost")

    assert [Standing.UNKNOWN] == standings(lost, checkpoint)


def test_checkpoints_around_lost_records_are_still_held(folder: Path, request: pytest.FixtureRequest) -> None:
    checkpoints = heads(folder, 256, SEALED, SEALED + 1, SIZE)
    lost = request.getfixturevalue("lost")

    assert [Standing.HELD] * 4 == standings(lost, *checkpoints)
    assert [Standing.FORKED] * 2 == standings(lost, TreeHead(256, FALSE), TreeHead(SIZE, FALSE))


def test_without_a_checkpoint_there_is_no_verdict(folder: Path) -> None:
    assert () == verified(folder).verdicts


def test_the_same_checkpoint_twice_has_two_verdicts(folder: Path) -> None:
    [good] = heads(folder, 300)

    assert [Standing.HELD, Standing.HELD] == standings(folder, good, good)
