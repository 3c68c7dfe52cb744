"""Proofs as files are those of C2SP: what is read has the same bytes again, and what is no proof is refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import PROOF_BYTES_MAX, PROOF_HASHES_MAX, TREE_SIZE_MAX
from tallystick.ledger.proofs.lines import base64_text
from tallystick.ledger.proofs.proving import (
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tallystick.ledger.proofs.tlog_proof import (
    ConsistencyProof,
    InclusionProof,
    claimed,
    is_consistency_proof,
    parse_consistency_proof,
    parse_inclusion_proof,
)
from tests.proofs.golden import PATH
from tests.proofs.parts import KEY, TRUSTED, Levels, checkpoint, near, record, root_of, signed

GOLDEN = json.loads(PATH.read_text("utf-8"))
TREES = GOLDEN["trees"]

# The example of C2SP tlog-witness v1.0.0, section "add-checkpoint".
WITNESS_REQUEST = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa \
opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
""".encode()

INCLUSION = prove_inclusion(Levels(), 3, signed(7)).to_bytes()
WITH_EXTRA = prove_inclusion(Levels(), 0, signed(1), extra=b"anything").to_bytes()
CONSISTENCY = prove_consistency(Levels(), 3, signed(7)).to_bytes()

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=PROOF_HASHES_MAX).map(tuple)
numbers = st.integers(0, TREE_SIZE_MAX)
notes = st.sampled_from([signed(1), signed(7), signed(600)])


def of_trees(kind: str) -> list[Any]:
    """Each of the golden proofs: its tree, what it is of, and its hashes in base64."""
    return [
        pytest.param(tree, int(of), found, id=f"{of} of {tree['Size']}")
        for tree in TREES
        for of, found in tree[kind].items()
    ]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree["Size"])
def test_a_checkpoint_has_the_bytes_that_go_gives_it(tree: dict[str, Any]) -> None:
    assert tree["Checkpoint"].encode() == signed(tree["Size"])
    assert (GOLDEN["signingKey"], GOLDEN["verifierKey"]) == (KEY.text, TRUSTED.text)


@pytest.mark.parametrize(("tree", "index", "found"), of_trees("Inclusion"))
def test_a_proof_of_a_record_has_the_bytes_that_it_was_released_with(
    tree: dict[str, Any], index: int, found: list[str]
) -> None:
    golden = "\n".join(["c2sp.org/tlog-proof@v1", f"index {index}", *found, "", tree["Checkpoint"]]).encode()

    assert golden == prove_inclusion(Levels(), index, tree["Checkpoint"].encode()).to_bytes()
    assert checkpoint(tree["Size"]) == verify_inclusion(parse_inclusion_proof(golden), record(index), TRUSTED)


@pytest.mark.parametrize(("tree", "old", "found"), of_trees("Consistency"))
def test_a_proof_of_an_older_tree_has_the_bytes_that_it_was_released_with(
    tree: dict[str, Any], old: int, found: list[str]
) -> None:
    golden = "\n".join([f"old {old}", *found, "", tree["Checkpoint"]]).encode()

    assert golden == prove_consistency(Levels(), old, tree["Checkpoint"].encode()).to_bytes()
    assert checkpoint(tree["Size"]) == verify_consistency(parse_consistency_proof(golden), (old, root_of(old)), TRUSTED)


def test_the_example_of_the_witness_protocol_is_read() -> None:
    proof = parse_consistency_proof(WITNESS_REQUEST)

    assert (20_852_014, 4, 20_852_163) == (proof.old, len(proof.hashes), claimed(proof).size)
    assert WITNESS_REQUEST == proof.to_bytes()
    assert is_consistency_proof(WITNESS_REQUEST)
    assert not is_consistency_proof(INCLUSION)


@given(st.builds(InclusionProof, numbers, hashes, notes, st.none() | st.binary(max_size=40)))
def test_a_proof_of_a_record_that_was_written_is_read_as_it_was(proof: InclusionProof) -> None:
    assert proof == parse_inclusion_proof(proof.to_bytes())


@given(st.builds(ConsistencyProof, numbers, hashes, notes))
def test_a_proof_of_an_older_tree_that_was_written_is_read_as_it_was(proof: ConsistencyProof) -> None:
    assert proof == parse_consistency_proof(proof.to_bytes())


@given(near([INCLUSION, WITH_EXTRA, CONSISTENCY]) | st.binary(max_size=200))
@example(b"\n\n" + signed(1))
@example(b"c2sp.org/tlog-proof@v1\n\n" + signed(1))
@example(b"c2sp.org/tlog-proof@v1\nindex \n\n" + signed(1))
@example(b"c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n" + signed(1))
@example(b"c2sp.org/tlog-proof@v1\nindex 0\n\n\n" + signed(1))
def test_any_bytes_are_refused_or_are_a_proof_of_a_record_with_these_bytes(data: bytes) -> None:
    try:
        proof = parse_inclusion_proof(data)
    except InvalidInput:
        return
    assert data == proof.to_bytes()


@given(near([CONSISTENCY, WITNESS_REQUEST, INCLUSION]) | st.binary(max_size=200))
@example(b"\n\n" + signed(1))
@example(b"old \n\n" + signed(1))
def test_any_bytes_are_refused_or_are_a_proof_of_an_older_tree_with_these_bytes(data: bytes) -> None:
    try:
        proof = parse_consistency_proof(data)
    except InvalidInput:
        return
    assert data == proof.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(INCLUSION.replace(b"@v1", b"@v2"), id="another version"),
        pytest.param(INCLUSION.replace(b"index 3", b"index 03"), id="a leading zero"),
        pytest.param(INCLUSION.replace(b"index 3", b"index -3"), id="a sign"),
        pytest.param(INCLUSION.replace(b"index 3", f"index {2**63}".encode()), id="more than 63 bits"),
        pytest.param(INCLUSION.replace(b"index 3\n", b"index 3\n\n"), id="an empty line too early"),
        pytest.param(INCLUSION.replace(b"\n\n", b"\nAAAA\n\n", 1), id="a hash that is too short"),
        pytest.param(INCLUSION.replace(b"\n\n", b"\n" + b"AAAA" * 11 + b"\n\n", 1), id="a hash that is too long"),
        pytest.param(WITH_EXTRA.replace(b"extra ", b"extra  "), id="two spaces"),
        pytest.param(WITH_EXTRA.replace(b"index 0\n", b"index 0\nextra YQ==\n"), id="extra twice"),
        pytest.param(INCLUSION[:-1], id="cut off"),
        pytest.param(INCLUSION.replace(b"\n", b"\r\n"), id="newlines of another system"),
        pytest.param(CONSISTENCY, id="the other kind of proof"),
    ],
)
def test_what_the_specification_does_not_allow_is_no_proof_of_a_record(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_inclusion_proof(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(CONSISTENCY.replace(b"old 3", b"old 03"), id="a leading zero"),
        pytest.param(CONSISTENCY.replace(b"old 3", b"older 3"), id="another word"),
        pytest.param(CONSISTENCY.removeprefix(b"old 3\n"), id="no size"),
        pytest.param(CONSISTENCY[:-1], id="cut off"),
        pytest.param(INCLUSION, id="the other kind of proof"),
    ],
)
def test_what_the_specification_does_not_allow_is_no_proof_of_an_older_tree(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_consistency_proof(data)


def test_as_many_hashes_are_read_as_a_proof_can_have_and_no_more() -> None:
    def proof(number: int) -> bytes:
        return ConsistencyProof(1, (bytes(32),) * number, signed(7)).to_bytes()

    assert PROOF_HASHES_MAX == len(parse_consistency_proof(proof(PROOF_HASHES_MAX)).hashes)
    with pytest.raises(InvalidInput, match=f"at most {PROOF_HASHES_MAX} hashes"):
        parse_consistency_proof(proof(PROOF_HASHES_MAX + 1))


def test_a_file_as_long_as_the_limit_is_read_and_no_longer_one() -> None:
    def proof(extra: int, index: int) -> bytes:
        return InclusionProof(index, (), signed(1), bytes(extra)).to_bytes()

    room, digits = divmod(PROOF_BYTES_MAX - len(proof(0, 0)), 4)
    longest = proof(room * 3, 10**digits)

    assert PROOF_BYTES_MAX == len(longest)
    assert longest == parse_inclusion_proof(longest).to_bytes()
    with pytest.raises(InvalidInput, match=f"at most {PROOF_BYTES_MAX} bytes"):
        parse_inclusion_proof(proof(room * 3, 10 ** (digits + 1)))


def test_a_proof_has_its_checkpoint_byte_by_byte() -> None:
    assert INCLUSION.endswith(b"\n\n" + signed(7))
    assert signed(7) == parse_inclusion_proof(INCLUSION).checkpoint
    assert checkpoint(7) == claimed(parse_inclusion_proof(INCLUSION))
    assert base64_text(b"anything").encode() in WITH_EXTRA
