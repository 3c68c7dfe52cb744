"""What a witness answers is held to the key: nothing else than its signature of this very checkpoint is taken."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.proofs.checkpoint import Checkpoint, open_checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.tlog_proof import ConsistencyProof
from tallystick.ledger.proofs.witness import Contradicted, Cosigned, Declined, Remembers, response
from tallystick.ledger.store.tree import EMPTY_ROOT
from tests.attesting.witness import Witness

LOG = SigningKey("example.org/ledger", bytes(32))
WITNESS, OTHER = Witness(), Witness()
sizes = st.integers(0, 2_000)


def asked(old: int, size: int = 1_000) -> ConsistencyProof:
    return ConsistencyProof(
        old, (), sign(Checkpoint(LOG.name, size, bytes(32) if size else EMPTY_ROOT), LOG).to_bytes()
    )


def text(proof: ConsistencyProof) -> bytes:
    return proof.checkpoint.split(b"\n\n")[0] + b"\n"


@given(status=st.integers(100, 599), body=st.binary(max_size=300), is_behind=st.booleans())
def test_whatever_comes_is_understood_and_none_of_it_is_a_cosignature(
    *, status: int, body: bytes, is_behind: bool
) -> None:
    proof = asked(400)
    said = response(proof, WITNESS.key, status, (b"\xe2\x80\x94 w " if is_behind else b"") + body)

    assert isinstance(said, Contradicted if status == 422 else Declined | Remembers | Contradicted)


@given(st.binary(max_size=80))
def test_who_saw_no_record_contradicts_nothing(body: bytes) -> None:
    assert isinstance(response(asked(0), WITNESS.key, 422, body), Declined)
    assert isinstance(response(asked(1), WITNESS.key, 422, body), Contradicted)


@given(st.integers(0, 2**62))
def test_a_cosignature_of_the_checkpoint_is_taken_with_its_time(at: int) -> None:
    proof = asked(400)
    line = WITNESS.cosignature(text(proof), at).line
    said = response(proof, WITNESS.key, 200, f"{line}\n".encode())

    assert isinstance(said, Cosigned)
    assert at == said.at
    assert {LOG.verifier, WITNESS.key} == {*open_checkpoint(said.note, LOG.verifier, WITNESS.key).signers}


@given(st.permutations(range(4)))
def test_lines_of_others_are_left_out_and_the_newest_of_its_own_counts(order: list[int]) -> None:
    proof = asked(0)
    lines = [WITNESS.cosignature(text(proof), at).line for at in (1, 2, 3)] + [OTHER.cosignature(text(proof)).line]
    said = response(proof, WITNESS.key, 200, "".join(f"{lines[place]}\n" for place in order).encode())

    assert isinstance(said, Cosigned)
    assert (3, 2) == (said.at, len(open_checkpoint(said.note, LOG.verifier).note.signatures))


@given(st.data())
def test_a_cosignature_with_one_flipped_bit_is_none(data: st.DataObject) -> None:
    proof = asked(400)
    body = f"{WITNESS.cosignature(text(proof)).line}\n".encode()
    place, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    flipped = body[:place] + bytes([body[place] ^ (1 << bit)]) + body[place + 1 :]

    assert isinstance(response(proof, WITNESS.key, 200, flipped), Declined)


@given(sizes, sizes, sizes)
def test_the_size_that_it_saw_last_is_where_to_begin_or_a_contradiction(old: int, size: int, seen: int) -> None:
    said = response(asked(min(old, size), size), WITNESS.key, 409, b"%d\n" % seen)

    if seen > size or seen == old == size:
        assert isinstance(said, Contradicted)
    elif seen == min(old, size):
        assert isinstance(said, Contradicted if seen == size else Declined)
    else:
        assert Remembers(seen) == said
