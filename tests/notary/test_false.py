"""Nothing false is signed, kept or handed out: not what the disk says of the tree, not lines that nobody verified."""

from pathlib import Path

import lmdb
import pytest

import tallystick
from tallystick import InvalidInput, NotProved
from tallystick.checkpoints import ask
from tallystick.config import Integrity
from tallystick.keys import read
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.limits import CHECKPOINT_BYTES_MAX, NOTE_SIGNATURES_MAX
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import VerifierKey, parse_vkey
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tallystick.ledger.store import keys as stored
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.tree import EMPTY_ROOT, Edge
from tallystick.proofs import verify_checkpoint, verify_proof
from tallystick.proving import unsigned
from tallystick.readings import LOG_FOLDER
from tallystick.testing import HandClock
from tests.notary.parts import ORDINARY, ORIGIN, Place, said
from tests.proofs.parts import cosign, witness


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def key_of(place: Place, number: int) -> VerifierKey:
    return parse_vkey(place.verifiers[number])


def names(note: bytes) -> list[str]:
    return [signature.name for signature in parse_note(note).signatures]


def put_kept(place: Place, note: bytes) -> None:
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: note})


# The tree.


@pytest.fixture
def bent(place: Place) -> Place:
    """A ledger that was signed, went on, and whose edge has another bit; its tiles and records are as they were."""
    with place.open(0) as ledger:
        for _ in range(3):
            ledger.create(**ORDINARY)
    with place.open() as ledger:
        ledger.create(**ORDINARY)
    environment = lmdb.open(str(place.ledger / LOG_FOLDER), max_dbs=16)
    meta = environment.open_db(stored.META, create=False)
    with environment.begin(write=True) as txn:
        edge = Edge.from_bytes(txn.get(stored.EDGE, db=meta) or b"")
        last = bytes([edge.hashes[-1][0] ^ 1]) + edge.hashes[-1][1:]
        txn.put(stored.EDGE, Edge(edge.size, (*edge.hashes[:-1], last)).to_bytes(), db=meta)
    environment.close()
    return place


def test_a_root_that_the_stored_tree_does_not_lead_to_is_signed_by_nobody(bent: Place) -> None:
    before = bent.kept()
    with bent.open(0, clock=HandClock()) as ledger:
        ledger.sweep()
        with pytest.raises(Corrupt, match="does not lead to"):
            ledger.checkpoint()
    with (
        tallystick.open(bent.ledger, config=bent.config(0), read_only=True) as ledger,
        pytest.raises(Corrupt, match="does not lead to"),
    ):
        ledger.checkpoint()
    with bent.log() as log, pytest.raises(Corrupt, match="does not lead to"):
        unsigned(log, ORIGIN)

    assert before == bent.kept()


# Lines that nobody verified.


def test_only_lines_of_trusted_keys_are_taken_in(place: Place) -> None:
    place.new_key()
    friend, friend_key = witness("witness.example/w1")
    with place.open(0, 1, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        first = parse_note(ledger.checkpoint())
        junk = Signature(ORIGIN, key_of(place, 1).key_id, bytes(64))
        stranger = Signature("nobody.example", b"abcd", b"x")
        lines = (first.signatures[0], junk, stranger, cosign(friend, first.text))
        kept = ledger.add_checkpoint(Note(first.text, lines).to_bytes(), place.verifiers[0], friend_key.text)

        assert [ORIGIN, ORIGIN, friend_key.name] == names(kept)
        assert 2 == len(verify_checkpoint(ledger.checkpoint(), *place.verifiers).keys)
        assert 1 == len(verify_proof(ledger.prove(1), place.verifiers[1]).keys)


def test_what_a_joined_process_rings_with_does_not_spoil_an_own_line(place: Place) -> None:
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        first = parse_note(ledger.checkpoint())
        bad = Note(first.text, (Signature(ORIGIN, key_of(place, 0).key_id, bytes(64)),)).to_bytes()
        with place.log() as log, pytest.raises(NotProved, match="signature"):
            ask(place.ledger, log, bad)

        assert first.to_bytes() == ledger.checkpoint()


def test_a_witness_that_signs_again_has_one_line_the_newest(place: Place) -> None:
    friend, friend_key = witness("witness.example/w1")
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        first = parse_note(ledger.checkpoint())
        for at in range(1, NOTE_SIGNATURES_MAX + 20):
            again = Note(first.text, (first.signatures[0], cosign(friend, first.text, at)))
            kept = ledger.add_checkpoint(again.to_bytes(), place.verifiers[0], friend_key.text)

        assert again.to_bytes() == kept == place.kept()
        ledger.create(**ORDINARY)
        assert 2 == said(ledger.checkpoint()).size


def test_what_would_not_be_read_again_is_not_kept(place: Place) -> None:
    pairs = [witness(f"witness.example/{number}", number) for number in range(1, 2 * NOTE_SIGNATURES_MAX // 3 * 2)]
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        first = parse_note(ledger.checkpoint())
        half = len(pairs) // 2
        for part in (pairs[:half], pairs[half:]):
            many = Note(first.text, (first.signatures[0], *(cosign(key, first.text) for key, _ in part)))
            trusted = [public.text for _, public in part]
            if part == pairs[:half]:
                kept = ledger.add_checkpoint(many.to_bytes(), place.verifiers[0], *trusted)
                continue
            with pytest.raises(InvalidInput, match=f"at most {NOTE_SIGNATURES_MAX}"):
                ledger.add_checkpoint(many.to_bytes(), place.verifiers[0], *trusted)

        assert kept == ledger.checkpoint() == place.kept()
        assert CHECKPOINT_BYTES_MAX > len(kept)


def test_a_kept_note_that_nobody_can_read_is_replaced_by_one_that_was_kept_elsewhere(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    elsewhere = place.kept() or b""
    put_kept(place, b"nothing that could be read")
    clock = HandClock()
    with place.open(0, clock=clock) as ledger:
        ledger.sweep()
        with pytest.raises(NotProved, match="tally checkpoint --add"):
            ledger.checkpoint()
        assert elsewhere == ledger.add_checkpoint(elsewhere, *place.verifiers)
        ledger.create(**ORDINARY)
        clock.advance(3_600_000)
        ledger.sweep()
        assert 2 == said(place.kept() or b"").size
    assert 1 == [getattr(each, "event", each.msg) for each in caplog.records].count("checkpoint_contradicted")


# Origins.


def test_a_log_that_was_called_otherwise_for_a_while_is_held_to_what_its_first_name_signed(place: Place) -> None:
    other = Place(place.beside, "example.org/ledger/second")
    other.files = [place.beside / "second.key"]
    tallystick.keys.new(other.origin, other.files[0])
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        head = ledger.status().head
    false = sign(Checkpoint(ORIGIN, head, bytes(32)), read(place.files[0])).to_bytes()
    put_kept(place, false)
    with place.open(0, clock=HandClock()) as ledger, pytest.raises(NotProved, match="root"):
        ledger.checkpoint()
    with other.open(0) as ledger:
        assert other.origin == said(ledger.checkpoint()).origin
    with place.open(0, clock=HandClock()) as ledger, pytest.raises(NotProved, match="root"):
        ledger.checkpoint()


def test_each_name_goes_on_from_its_own_newest(place: Place) -> None:
    other = Place(place.beside, "example.org/ledger/second")
    other.files = [place.beside / "second.key"]
    tallystick.keys.new(other.origin, other.files[0])
    sizes: list[tuple[str, int]] = []
    for each in (place, other, place, other):
        with each.open(0) as ledger:
            ledger.create(**ORDINARY)
            sizes.append((said(ledger.checkpoint()).origin, said(place.kept() or b"").size))

    assert [(place.origin, 1), (other.origin, 2), (place.origin, 3), (other.origin, 4)] == sizes
    for each in (place, other, place):  # without anything new since the other one signed
        with each.open(0, clock=HandClock()) as ledger:
            note = ledger.checkpoint()
            assert (each.origin, 4, note) == (said(note).origin, said(note).size, place.kept())


# What is handed out.


@pytest.fixture
def spoilt(place: Place) -> Place:
    """A ledger whose kept checkpoint has the line of the right key with a signature that is none."""
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    good = parse_note(place.kept() or b"")
    [line] = good.signatures
    put_kept(place, Note(good.text, (Signature(line.name, line.key_id, bytes(64)),)).to_bytes())
    return place


def test_a_kept_checkpoint_whose_signature_is_none_is_signed_anew(spoilt: Place) -> None:
    with spoilt.open(0, clock=HandClock()) as ledger:
        assert 1 == verify_proof(ledger.prove(1), *spoilt.verifiers).size
        assert 1 == verify_checkpoint(ledger.checkpoint(), *spoilt.verifiers).size


def test_a_spoilt_line_that_is_kept_does_not_stay_beside_one_that_is_added(spoilt: Place) -> None:
    spoilt.new_key()
    added = sign(said(spoilt.kept() or b""), read(spoilt.files[1])).to_bytes()
    with spoilt.open(0, clock=HandClock(), checkpoint=None) as ledger:
        assert added == ledger.add_checkpoint(added, spoilt.verifiers[1])


def test_who_only_reads_puts_no_spoilt_checkpoint_into_a_proof(spoilt: Place) -> None:
    with tallystick.open(spoilt.ledger, config=spoilt.config(0), read_only=True) as ledger:
        assert 1 == verify_proof(ledger.prove(1), *spoilt.verifiers).size
        assert 0 == verify_proof(ledger.prove_from(0), *spoilt.verifiers, old=_empty(spoilt)).old


def _empty(place: Place) -> bytes:
    return sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT), read(place.files[0])).to_bytes()


def test_a_checkpoint_of_a_key_that_is_not_configured_is_put_into_no_proof(place: Place) -> None:
    place.new_key()
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        found = ledger.verify()
        theirs = sign(Checkpoint(ORIGIN, found.head, found.root_hash), read(place.files[1])).to_bytes()
        ledger.add_checkpoint(theirs, place.verifiers[1])

        assert 1 == verify_proof(ledger.prove(1), place.verifiers[0]).size


def test_a_proof_of_a_log_has_no_checkpoint_of_another_name(place: Place) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    other = tallystick.Config(integrity=Integrity("example.org/ledger/second"))
    with (
        tallystick.open(place.ledger, config=other, read_only=True) as ledger,
        pytest.raises(tallystick.NotFound, match="second"),
    ):
        ledger.prove(1)
