"""A key signs what goes on from what it signed before, and nothing else, whatever two histories have in common."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import NotProved
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.proofs.succession import check_succession
from tallystick.ledger.store.tree import EMPTY_ROOT, leaf_hash, root_from_leaves
from tests.proofs.parts import ORIGIN, SIZES, Levels, checkpoint, root_of

Leaves = Sequence[bytes]
MOST = 70


class History:
    """The nodes of a tree of some leaves, by the definition."""

    def __init__(self, common: int, more: bytes, size: int) -> None:
        self.leaves = [leaf_hash(b"common %d" % at if at < common else b"%s %d" % (more, at)) for at in range(size)]

    def node(self, level: int, index: int) -> bytes:
        return root_from_leaves(self.leaves[index << level : (index + 1) << level])

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, root_from_leaves(self.leaves[:size]))


def refused(signed: Checkpoint, wanted: Checkpoint, nodes: History | None) -> str | None:
    """Which part of what is wanted is none of a successor; None when it may be signed."""
    try:
        check_succession(signed, wanted, nodes)
    except NotProved as error:
        said = f"{wanted.size} records with the root {wanted.root_hash.hex()} do not go on from the {signed.size}"
        return error.what if said in error.reason and signed.root_hash.hex() in error.reason else error.reason
    return None


sizes = st.integers(0, MOST)


@given(first=sizes, second=sizes)
def test_a_log_that_only_grew_is_signed_again(first: int, second: int) -> None:
    old, new = sorted((first, second))
    one = History(MOST, b"", MOST)

    assert refused(one.checkpoint(old), one.checkpoint(new), one) is None


@pytest.mark.parametrize("old", SIZES)
@pytest.mark.parametrize("new", SIZES)
def test_where_tiles_begin_and_end_only_fewer_are_refused(old: int, new: int) -> None:
    if old <= new:
        check_succession(checkpoint(old), checkpoint(new), Levels())
        return
    with pytest.raises(NotProved, match="do not go on from"):
        check_succession(checkpoint(old), checkpoint(new), Levels())


@given(common=sizes, signed=sizes, wanted=sizes)
@example(common=0, signed=0, wanted=5)
@example(common=63, signed=64, wanted=65)
@example(common=64, signed=64, wanted=64)
def test_of_two_histories_the_second_is_signed_only_if_they_part_behind_what_was_signed(
    common: int, signed: int, wanted: int
) -> None:
    one, other = History(common, b"one", MOST), History(common, b"other", MOST)
    found = refused(one.checkpoint(signed), other.checkpoint(wanted), other)

    if wanted < signed:
        assert "size" == found
    elif signed <= common:
        assert found is None
    else:
        assert "root" == found


@given(old=sizes, new=sizes, flip=st.integers(0, 255))
def test_a_root_that_the_nodes_do_not_lead_to_is_no_successor(old: int, new: int, flip: int) -> None:
    old, new = sorted((old, new))
    one = History(MOST, b"", MOST)
    root = bytearray(one.checkpoint(new).root_hash)
    root[flip // 8] ^= 1 << flip % 8
    found = refused(one.checkpoint(old), Checkpoint(ORIGIN, new, bytes(root)), one)

    assert (None if old == 0 and new else "root") == found  # everything goes on from nothing


@given(first=sizes, second=sizes)
def test_without_the_tree_only_size_and_root_can_be_held(first: int, second: int) -> None:
    one, other = History(0, b"one", MOST), History(0, b"other", MOST)
    found = refused(one.checkpoint(first), other.checkpoint(second), None)

    if second > first or first == second == 0:
        assert found is None
    else:
        assert ("size" if second < first else "root") == found
    assert refused(one.checkpoint(first), one.checkpoint(first), None) is None


def test_what_was_signed_of_another_log_says_nothing_of_this_one() -> None:
    with pytest.raises(NotProved) as error:
        check_succession(Checkpoint("example.org/other", 0, EMPTY_ROOT), Checkpoint(ORIGIN, 3, root_of(3)), Levels())

    assert "origin" == error.value.what
