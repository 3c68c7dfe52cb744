"""A verdict is what was proved, or which part fails; one flipped bit anywhere is enough."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt, InvalidInput, NotProved
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.proving import (
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
    verify_leaf,
)
from tallystick.ledger.proofs.tlog_proof import (
    ConsistencyProof,
    InclusionProof,
    parse_consistency_proof,
    parse_inclusion_proof,
)
from tallystick.ledger.store.tree import leaf_hash
from tests.proofs.parts import (
    KEY,
    OTHER,
    SIZES,
    TRUSTED,
    Levels,
    bits,
    checkpoint,
    every_flip,
    flipped,
    levels,
    near,
    record,
    root_of,
    signed,
)

NODES = Levels()
INDEX, SIZE, OLD = 5, 7, 3
INCLUSION = prove_inclusion(NODES, INDEX, signed(SIZE))
CONSISTENCY = prove_consistency(NODES, OLD, signed(SIZE))
ELSEWHERE = SigningKey("example.org/other", bytes(32))

sizes = st.integers(1, 600) | st.sampled_from(SIZES)


class Damaged:
    """The same nodes, one of them with one bit flipped."""

    def __init__(self, level: int, index: int) -> None:
        self.place = level, index

    def node(self, level: int, index: int) -> bytes:
        found = levels()[level][index]
        return flipped(found, 77) if (level, index) == self.place else found


def part(refused: pytest.ExceptionInfo[NotProved]) -> str:
    assert refused.value.reason.endswith(".")
    return refused.value.what


@given(st.data(), sizes)
def test_a_record_of_any_checkpoint_is_proved_by_a_file_and_a_key(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))

    file = prove_inclusion(NODES, index, signed(size)).to_bytes()

    assert checkpoint(size) == verify_inclusion(parse_inclusion_proof(file), record(index), TRUSTED)
    assert checkpoint(size) == verify_leaf(parse_inclusion_proof(file), leaf_hash(record(index)), TRUSTED)


@given(st.data(), sizes)
def test_an_older_tree_is_proved_by_a_file_and_what_was_kept_of_it(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(0, size))

    file = prove_consistency(NODES, old, signed(size)).to_bytes()

    proof = parse_consistency_proof(file)
    assert checkpoint(size) == verify_consistency(proof, (old, root_of(old)), TRUSTED)
    assert checkpoint(size) == verify_consistency(proof, signed(old), TRUSTED)


def believed_inclusion(file: bytes, kept: bytes) -> bool:
    try:
        verify_inclusion(parse_inclusion_proof(file), kept, TRUSTED)
    except (NotProved, InvalidInput):
        return False
    return True


def believed_consistency(file: bytes, kept: bytes) -> bool:
    try:
        verify_consistency(parse_consistency_proof(file), kept, TRUSTED)
    except (NotProved, InvalidInput):
        return False
    return True


@pytest.mark.slow
def test_one_flipped_bit_anywhere_in_a_proof_of_a_record_is_noticed() -> None:
    file, kept = INCLUSION.to_bytes(), record(INDEX)

    assert believed_inclusion(file, kept)
    assert [] == [bit for bit, data in every_flip(file) if believed_inclusion(data, kept)]
    assert [] == [bit for bit, data in every_flip(kept) if believed_inclusion(file, data)]


@pytest.mark.slow
def test_one_flipped_bit_anywhere_in_a_proof_of_an_older_tree_is_noticed() -> None:
    file, kept = CONSISTENCY.to_bytes(), signed(OLD)

    assert believed_consistency(file, kept)
    assert [] == [bit for bit, data in every_flip(file) if believed_consistency(data, kept)]
    assert [] == [bit for bit, data in every_flip(kept) if believed_consistency(file, data)]


@given(st.data(), sizes)
def test_one_flipped_bit_is_noticed_in_a_file_of_any_size(data: st.DataObject, size: int) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    inclusion = prove_inclusion(NODES, index, signed(size)).to_bytes()
    consistency = prove_consistency(NODES, old, signed(size)).to_bytes()

    assert not believed_inclusion(flipped(inclusion, data.draw(bits(inclusion))), record(index))
    assert not believed_consistency(flipped(consistency, data.draw(bits(consistency))), signed(old))


@given(near([INCLUSION.to_bytes(), prove_inclusion(NODES, 0, signed(8)).to_bytes(), CONSISTENCY.to_bytes()]))
def test_whatever_is_made_of_proofs_of_other_records_proves_nothing_of_this_one(data: bytes) -> None:
    if believed_inclusion(data, record(INDEX)):
        assert data == INCLUSION.to_bytes()


def test_the_part_that_fails_is_named_when_a_record_is_not_proved() -> None:
    at, hashes, note = INCLUSION.index, INCLUSION.hashes, INCLUSION.checkpoint
    cases = {
        "signature": InclusionProof(at, hashes, sign(checkpoint(SIZE), OTHER).to_bytes()),
        "index": InclusionProof(SIZE, hashes, note),
        "hashes": InclusionProof(at, hashes[:-1], note),
        "root": InclusionProof(at - 1, hashes, note),
    }
    for what, proof in cases.items():
        with pytest.raises(NotProved) as refused:
            verify_inclusion(proof, record(INDEX), TRUSTED)
        assert what == part(refused)
    with pytest.raises(NotProved, match="the record, its index or a hash is another") as refused:
        verify_inclusion(INCLUSION, record(INDEX + 1), TRUSTED)
    assert "root" == part(refused)


def test_the_part_that_fails_is_named_when_an_older_tree_is_not_proved() -> None:
    hashes, note = CONSISTENCY.hashes, CONSISTENCY.checkpoint
    kept = OLD, root_of(OLD)
    cases = {
        "signature": ConsistencyProof(OLD, hashes, sign(checkpoint(SIZE), OTHER).to_bytes()),
        "size": ConsistencyProof(OLD + 1, hashes, note),
        "hashes": ConsistencyProof(OLD, hashes[:-1], note),
        "root": ConsistencyProof(OLD, (*hashes[:-1], bytes(32)), note),
    }
    for what, proof in cases.items():
        with pytest.raises(NotProved) as refused:
            verify_consistency(proof, kept, TRUSTED)
        assert what == part(refused)
    with pytest.raises(NotProved, match="does not go on from that tree") as refused:
        verify_consistency(CONSISTENCY, (OLD, bytes(32)), TRUSTED)
    assert "root" == part(refused)


def test_a_history_that_was_written_anew_is_noticed_by_whoever_kept_a_checkpoint() -> None:
    # Whoever has the key can sign another history; that it goes on from the one that was kept, nobody can prove.
    kept = sign(Checkpoint(KEY.name, OLD, leaf_hash(b"another history")), KEY).to_bytes()

    with pytest.raises(NotProved, match="does not go on from that tree") as refused:
        verify_consistency(CONSISTENCY, kept, TRUSTED)
    assert "root" == part(refused)


def test_a_checkpoint_that_is_smaller_than_the_kept_one_is_named_so() -> None:
    proof = ConsistencyProof(SIZE, (), signed(OLD))

    with pytest.raises(NotProved, match="fewer than the old tree") as refused:
        verify_consistency(proof, signed(SIZE), TRUSTED)
    assert "size" == part(refused)


def test_the_checkpoint_of_another_log_is_no_older_one_of_this() -> None:
    kept = sign(Checkpoint(ELSEWHERE.name, OLD, root_of(OLD)), ELSEWHERE).to_bytes()

    with pytest.raises(NotProved, match=f"is of {ELSEWHERE.name}") as refused:
        verify_consistency(CONSISTENCY, kept, TRUSTED, ELSEWHERE.verifier)
    assert "origin" == part(refused)


def test_a_kept_checkpoint_that_nobody_signed_proves_nothing() -> None:
    with pytest.raises(NotProved) as refused:
        verify_consistency(CONSISTENCY, sign(checkpoint(OLD), OTHER).to_bytes(), TRUSTED)
    assert "signature" == part(refused)


@pytest.mark.parametrize(
    "ask",
    [
        partial(verify_inclusion, INCLUSION, record(INDEX), TRUSTED),
        partial(verify_leaf, INCLUSION, leaf_hash(record(INDEX)), TRUSTED),
        partial(verify_consistency, CONSISTENCY, signed(OLD), TRUSTED),
    ],
    ids=["a record", "a leaf", "an older tree"],
)
def test_a_quorum_and_an_origin_are_asked_for_in_every_verdict(ask: Callable[..., Checkpoint]) -> None:
    assert checkpoint(SIZE) == ask(origin=KEY.name)
    with pytest.raises(NotProved, match="2 must have"):
        ask(quorum=2)
    with pytest.raises(NotProved, match=r"not of else\.example"):
        ask(origin="else.example")


def test_extra_data_is_carried_and_proved_by_nothing() -> None:
    proof = prove_inclusion(NODES, INDEX, signed(SIZE), extra=b"position 6")
    other = InclusionProof(proof.index, proof.hashes, proof.checkpoint, b"position 7")

    assert b"position 6" == proof.extra
    for each in (proof, other):
        assert checkpoint(SIZE) == verify_inclusion(each, record(INDEX), TRUSTED)


@pytest.mark.parametrize("level", range(3))
def test_nobody_gets_a_proof_from_a_damaged_tree_that_would_fail(level: int) -> None:
    for damaged in (Damaged(level, at) for at in range(SIZE >> level)):
        told = []
        for index in range(SIZE):
            with suppress(Corrupt):
                told.append(prove_inclusion(damaged, index, signed(SIZE)))
        assert len(told) < SIZE
        assert [checkpoint(SIZE)] * len(told) == [verify_inclusion(each, record(each.index), TRUSTED) for each in told]
        for old in range(SIZE + 1):
            with suppress(Corrupt):
                proof = prove_consistency(damaged, old, signed(SIZE))
                assert checkpoint(SIZE) == verify_consistency(proof, signed(old), TRUSTED)


def test_a_damaged_tree_is_named_with_the_position_of_the_record() -> None:
    with pytest.raises(Corrupt, match="does not lead to the checkpoint's root over 7 records") as damaged:
        prove_inclusion(Damaged(0, INDEX), INDEX, signed(SIZE))

    assert INDEX + 1 == damaged.value.position


def test_what_a_checkpoint_does_not_have_is_not_proved() -> None:
    with pytest.raises(InvalidInput, match=f"one of {SIZE} leaves"):
        prove_inclusion(NODES, SIZE, signed(SIZE))
    with pytest.raises(InvalidInput, match=f"the newer tree, {SIZE}"):
        prove_consistency(NODES, SIZE + 1, signed(SIZE))
    with pytest.raises(InvalidInput, match="a signed note"):
        prove_inclusion(NODES, 0, b"no note")
