"""A proof carries the signatures of who saw its checkpoint, and is of one that others saw if there is such a one."""

from collections.abc import Iterator

import pytest

from tallystick import NotProved
from tallystick.cli.times import stamp
from tallystick.config import Integrity
from tallystick.ledger.proofs.checkpoint import open_checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey, VerifierKey, parse_vkey
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.proofs.tlog_proof import parse_consistency_proof, parse_inclusion_proof
from tallystick.projections.attested import Attestation, Standing, attested, notes_of
from tallystick.proofs import Seen, verify_proof
from tallystick.proving import beside
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.attesting.witness import SEEN_AT, Witness
from tests.cli.support import Said, tally
from tests.notary.parts import ORDINARY, Place, said


@pytest.fixture
def ledger(place: Place, witness: Witness) -> Iterator[Ledger]:
    """A ledger of which three events were seen, and two more were signed."""
    with place.open(0, clock=HandClock(), witness=witness.configured) as opened:
        write(opened, 3)
        opened.attest()
        write(opened, 5)
        opened.checkpoint()
        yield opened


def write(ledger: Ledger, until: int) -> None:
    while ledger.status().head < until:
        ledger.create(**ORDINARY)


def signers(note: bytes, place: Place, witness: Witness) -> set[VerifierKey]:
    return {*open_checkpoint(note, parse_vkey(place.verifiers[0]), witness.key).signers}


def both(place: Place, witness: Witness) -> set[VerifierKey]:
    return {parse_vkey(place.verifiers[0]), witness.key}


@pytest.mark.parametrize("position", [1, 2, 3])
def test_an_event_that_others_saw_is_proved_by_the_checkpoint_that_they_signed(
    ledger: Ledger, place: Place, witness: Witness, position: int
) -> None:
    proof = ledger.prove(position)
    note = parse_inclusion_proof(proof).checkpoint

    assert (3, both(place, witness)) == (said(note).size, signers(note, place, witness))
    assert position == verify_proof(proof, place.verifiers[0]).position


def test_a_proof_says_without_the_ledger_which_witness_saw_its_checkpoint_and_when(
    ledger: Ledger, place: Place, witness: Witness
) -> None:
    (place.beside / "seen").write_bytes(ledger.prove(2))
    (place.beside / "not-seen").write_bytes(ledger.prove(5))
    name = f"{witness.key.name}+{witness.key.key_id.hex()}"

    def verified(file: str, *more: str) -> Said:
        given = ("--proof", str(place.beside / file), "--key", place.verifiers[0], "--witness", witness.key.text)
        return tally("verify", *given, *more)

    found = verify_proof(ledger.prove(2), place.verifiers[0], witnesses=(witness.key.text,))
    assert (Seen(name=name, at=SEEN_AT),) == found.seen
    assert f"seen by         {name} at {stamp(SEEN_AT * 1_000)}" in verified("seen").out
    assert [{"name": name, "at": SEEN_AT * 1_000}] == verified("seen", "--json").data["seenBy"]
    said = verified("not-seen")
    assert (4, True) == (said.code, f"{name} did not cosign" in said.err)


def test_how_the_log_went_on_is_held_to_witnesses_as_well(ledger: Ledger, place: Place, witness: Witness) -> None:
    old = ledger.checkpoint()
    proof = ledger.prove_from(old)
    with pytest.raises(NotProved, match="did not cosign"):
        verify_proof(proof, place.verifiers[0], old=old, witnesses=(witness.key.text,))

    ledger.attest()
    found = verify_proof(ledger.prove_from(old), place.verifiers[0], old=old, witnesses=(witness.key.text,))
    assert [SEEN_AT] == [each.at for each in found.seen]


@pytest.mark.parametrize("position", [4, 5])
def test_a_later_event_is_proved_by_the_newest_checkpoint(
    ledger: Ledger, place: Place, witness: Witness, position: int
) -> None:
    proof = ledger.prove(position)
    note = parse_inclusion_proof(proof).checkpoint

    assert (5, {parse_vkey(place.verifiers[0])}) == (said(note).size, signers(note, place, witness))
    assert position == verify_proof(proof, place.verifiers[0]).position


def test_how_the_log_went_on_is_shown_up_to_the_newest_with_whatever_signatures_that_has(
    ledger: Ledger, place: Place, witness: Witness
) -> None:
    first = parse_consistency_proof(ledger.prove_from(2)).checkpoint
    ledger.attest()
    second = parse_consistency_proof(ledger.prove_from(2)).checkpoint

    assert (5, 1) == (said(first).size, len(signers(first, place, witness)))
    assert (5, both(place, witness)) == (said(second).size, signers(second, place, witness))


def test_while_nobody_can_be_reached_the_last_checkpoint_counts_that_anybody_saw(
    ledger: Ledger, place: Place, witness: Witness
) -> None:
    witness.instead = (503, b"")
    ledger.attest()
    note = parse_inclusion_proof(ledger.prove(1)).checkpoint

    assert (3, both(place, witness)) == (said(note).size, signers(note, place, witness))


def test_tiles_are_published_with_the_signatures_of_who_saw_their_checkpoint(
    ledger: Ledger, place: Place, witness: Witness
) -> None:
    ledger.attest()
    ledger.close()
    place.written(0)
    done = tally("export", "--ledger", str(place.ledger), "--format", "tiles", "--out", str(place.beside / "tiles"))

    note = (place.beside / "tiles" / "checkpoint").read_bytes()
    assert (0, 5, both(place, witness)) == (done.code, said(note).size, signers(note, place, witness))


def test_tiles_of_a_checkpoint_that_nobody_saw_carry_no_signature_of_another(ledger: Ledger, place: Place) -> None:
    ledger.close()
    place.written(0)
    assert (
        0 == tally("export", "--ledger", str(place.ledger), "--format", "tiles", "--out", str(place.beside / "t")).code
    )

    assert 1 == len(parse_note((place.beside / "t" / "checkpoint").read_bytes()).signatures)


def test_what_the_keys_of_now_did_not_sign_proves_nothing_although_others_saw_it(
    ledger: Ledger, place: Place, witness: Witness
) -> None:
    del witness
    place.new_key()
    ledger.close()
    with place.open(1, clock=HandClock()) as again:
        proof = again.prove(1)

    assert place.verifiers[1].startswith(verify_proof(proof, place.verifiers[1]).keys[0])


def noted(place: Place, attestation: Attestation) -> None:
    with place.log(writable=True) as log:
        log.append((), {}, dict(notes_of(attestation)))


def test_a_forged_line_beside_a_checkpoint_spoils_no_proof(ledger: Ledger, place: Place) -> None:
    ledger.close()
    with place.log() as log:
        kept = attested(log)
    assert kept is not None
    note = parse_note(kept.checkpoint)
    forger = SigningKey(place.origin, bytes(32))
    own, *others = note.signatures
    forged = type(own)(own.name, own.key_id, forger.sign(note.text.encode()).signature)
    noted(place, Attestation(kept.at, Note(note.text, (forged, *others)).to_bytes(), None, kept.standings))

    with place.open(0, clock=HandClock()) as again:
        assert 1 == verify_proof(again.prove(1), place.verifiers[0]).position


@pytest.mark.parametrize("keys", [(0,), ()], ids=["signed here", "signed elsewhere"])
def test_a_checkpoint_of_another_log_is_none_of_this_one(ledger: Ledger, place: Place, keys: tuple[int, ...]) -> None:
    ledger.close()
    with place.log() as log:
        tree = log.tree_head()
    other = SigningKey("example.org/another", bytes(32))
    elsewhere = sign(type(said(beside_of(place)))(other.name, tree.size, tree.root_hash), other).to_bytes()
    noted(place, Attestation(2**40, elsewhere, None, (Standing("w+1", tree.size, 1),)))

    with place.open(*keys, clock=HandClock()) as again:
        note = parse_inclusion_proof(again.prove(1)).checkpoint
        assert place.origin == said(note).origin


def beside_of(place: Place) -> bytes:
    with place.log() as log:
        return beside(log, Integrity(place.origin, (str(place.files[0]),)))
