"""Proofs are those of RFC 6962: each that is made is accepted, and none in which something is another."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.proofs.merkle import (
    check_consistency,
    check_inclusion,
    consistency_hashes,
    consistency_proof,
    inclusion_hashes,
    inclusion_proof,
    root,
)
from tallystick.ledger.store.tree import EMPTY_ROOT, root_from_leaves
from tests.proofs.parts import SIZE_MAX, SIZES, Levels, flipped, levels, root_of

NODES = Levels()
SMALL = 40  # below it everything is tried

sizes = st.integers(1, 600) | st.sampled_from(SIZES)


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    """An index, and the size of a tree that has it."""
    size = draw(sizes)
    return draw(st.integers(0, size - 1) | st.sampled_from([0, size // 2, size - 1])), size


@st.composite
def two_sizes(draw: st.DrawFn) -> tuple[int, int]:
    """The size of an older tree, and that of a newer one."""
    new = draw(sizes)
    return draw(st.integers(0, new) | st.sampled_from([size for size in (0, 1, *SIZES) if size <= new])), new


def leaf(index: int) -> bytes:
    return levels()[0][index]


def test_the_root_is_that_of_the_definition_whatever_the_size() -> None:
    for size in range(SMALL):
        assert root_from_leaves(levels()[0][:size]) == root(NODES, size)
    assert EMPTY_ROOT == root(NODES, 0)


@pytest.mark.parametrize("size", SIZES)
def test_the_root_is_that_of_the_log_where_tiles_end(size: int) -> None:
    assert root_of(size) == root(NODES, size)


def test_every_record_of_every_small_tree_is_proved() -> None:
    for size in range(1, SMALL):
        for index in range(size):
            assert check_inclusion(leaf(index), index, size, inclusion_proof(NODES, index, size), root_of(size))


def test_every_small_tree_is_proved_the_beginning_of_every_larger_one() -> None:
    for new in range(SMALL):
        for old in range(new + 1):
            proof = consistency_proof(NODES, old, new)
            assert check_consistency(
                old, root_from_leaves(levels()[0][:old]), new, root_from_leaves(levels()[0][:new]), proof
            )


@given(places())
def test_any_record_of_any_tree_is_proved(place: tuple[int, int]) -> None:
    index, size = place

    proof = inclusion_proof(NODES, index, size)

    assert check_inclusion(leaf(index), index, size, proof, root_of(size))
    assert len(proof) == inclusion_hashes(index, size) <= (size - 1).bit_length()


@given(places(), st.data())
def test_a_record_is_not_proved_when_one_bit_is_another(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    proof, whole = inclusion_proof(NODES, index, size), root_of(size)
    bit = data.draw(st.integers(0, 255))
    for at, hash_ in enumerate(proof):
        assert not check_inclusion(
            leaf(index), index, size, (*proof[:at], flipped(hash_, bit), *proof[at + 1 :]), whole
        )
    assert not check_inclusion(flipped(leaf(index), bit), index, size, proof, whole)
    assert not check_inclusion(leaf(index), index, size, proof, flipped(whole, bit))
    for other in (index ^ 1 << each for each in range(20)):
        assert not check_inclusion(leaf(index), other, size, proof, whole)


@given(places())
def test_a_record_is_not_proved_by_hashes_more_or_less_or_in_another_order(place: tuple[int, int]) -> None:
    index, size = place
    proof, whole = inclusion_proof(NODES, index, size), root_of(size)
    others = [(*proof, bytes(32)), (bytes(32), *proof), (*proof, whole), (leaf(index), *proof)]
    others += [proof[1:], proof[:-1]] if proof else []
    others += [(*proof[:at], b, a, *proof[at + 2 :]) for at, (a, b) in enumerate(pairwise(proof))]

    assert [] == [other for other in others if check_inclusion(leaf(index), index, size, other, whole)]


@given(places(), st.integers(0, SIZE_MAX))
def test_another_size_is_only_accepted_where_the_way_to_the_root_is_as_long(place: tuple[int, int], other: int) -> None:
    # Hashes do not say of which tree they are: what binds a root to a size is the signature of a checkpoint.
    index, size = place

    if check_inclusion(leaf(index), index, other, inclusion_proof(NODES, index, size), root_of(size)):
        assert inclusion_hashes(index, size) == inclusion_hashes(index, other)


@given(two_sizes())
def test_any_tree_is_proved_the_beginning_of_any_larger_one(both: tuple[int, int]) -> None:
    old, new = both

    proof = consistency_proof(NODES, old, new)

    assert check_consistency(old, root_of(old), new, root_of(new), proof)
    assert len(proof) == consistency_hashes(old, new)


@given(two_sizes(), st.data())
def test_a_tree_is_not_proved_the_beginning_when_one_bit_is_another(both: tuple[int, int], data: st.DataObject) -> None:
    old, new = both
    proof = consistency_proof(NODES, old, new)
    bit = data.draw(st.integers(0, 255))
    for at, hash_ in enumerate(proof):
        other = (*proof[:at], flipped(hash_, bit), *proof[at + 1 :])
        assert not check_consistency(old, root_of(old), new, root_of(new), other)
    assert not check_consistency(old, flipped(root_of(old), bit), new, root_of(new), proof)
    if old:
        assert not check_consistency(old, root_of(old), new, flipped(root_of(new), bit), proof)


@given(two_sizes())
def test_a_tree_is_not_proved_the_beginning_by_hashes_more_or_less(both: tuple[int, int]) -> None:
    old, new = both
    proof = consistency_proof(NODES, old, new)
    others = [(*proof, bytes(32)), (bytes(32), *proof), (*proof, root_of(new)), (root_of(old), *proof)]
    others += [proof[1:], proof[:-1]] if proof else []

    assert [] == [other for other in others if check_consistency(old, root_of(old), new, root_of(new), other)]


@given(two_sizes(), st.integers(0, 600))
def test_a_tree_is_not_proved_the_beginning_with_the_size_of_another(both: tuple[int, int], other: int) -> None:
    old, new = both
    if other == old:
        return
    assert not check_consistency(other, root_of(old), new, root_of(new), consistency_proof(NODES, old, new))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (6, 5), (-1, 5)])
def test_a_leaf_that_a_tree_does_not_have_is_not_proved(index: int, size: int) -> None:
    with pytest.raises(InvalidInput, match=f"one of {size} leaves"):
        inclusion_proof(NODES, index, size)
    assert not check_inclusion(leaf(0), index, size, (), leaf(0))


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5)])
def test_a_tree_that_is_larger_is_not_the_beginning(old: int, new: int) -> None:
    with pytest.raises(InvalidInput, match="a size from 0"):
        consistency_proof(NODES, old, new)
    assert not check_consistency(old, root_of(5), new, root_of(5), ())


def test_an_empty_tree_is_the_beginning_of_every_tree_without_a_hash() -> None:
    assert check_consistency(0, EMPTY_ROOT, 5, root_of(5), ())
    assert not check_consistency(0, root_of(5), 5, root_of(5), ())
    assert not check_consistency(5, root_of(5), 5, root_of(4), ())


def test_the_hashes_of_a_larger_tree_prove_nothing_of_a_smaller_one_with_its_root() -> None:
    assert not check_inclusion(leaf(1), 0, 1, (leaf(0),), root_of(2))
    assert not check_inclusion(leaf(3), -1, 4, inclusion_proof(NODES, 3, 4), root_of(4))
    assert not check_consistency(3, root_of(7), 4, root_of(8), consistency_proof(NODES, 7, 8))


def test_a_leaf_cannot_be_passed_off_as_a_node() -> None:
    left, right = leaf(0), leaf(1)

    assert check_inclusion(left, 0, 2, (right,), root_of(2))
    assert not check_inclusion(root_of(2), 0, 1, (), root_from_leaves([left, right, leaf(2)]))
