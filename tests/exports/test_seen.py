"""A bundle shows who else saw its events, and to whoever asks for that nothing less."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tallystick import NotProved
from tallystick.exports import manifest
from tallystick.exports.evidence import verify_bundle
from tallystick.ledger.events import Event
from tallystick.ledger.proofs.proving import prove_consistency
from tallystick.ledger.store.nodes import StoredNodes
from tests.attesting.authority import Authority, needs_openssl
from tests.attesting.authority import serving as serving_authority
from tests.attesting.witness import SEEN_AT, Witness, serving
from tests.cli.support import make_stories, tally
from tests.exports.evidence import EVENTS, bundled, listed, paged, refused, verified
from tests.exports.parts import logged
from tests.notary.parts import Place


def test_a_witness_that_saw_every_event_is_named_and_one_that_did_not_is_an_error(place: Place, tmp_path: Path) -> None:
    make_stories(place.ledger)
    with serving(Witness(*place.verifiers)) as witness:
        place.written(0, witness=witness.configured)
        assert 0 == tally("attest", "--ledger", str(place.ledger)).code
    place.written(0)
    with place.open(0) as ledger:
        ledger.create(runtime="cli", task="later", owner="o")
    words = ["export", "--ledger", str(place.ledger), "--format", "bundle", "--out"]
    tally(*words, str(tmp_path / "all"))
    tally(*words, str(tmp_path / "seen"), "--until-position", "31")
    options = ["--key", place.verifiers[0], "--witness", witness.key.text]

    assert (tmp_path / "seen" / manifest.CONSISTENCY).exists()
    done = tally("verify", "--bundle", str(tmp_path / "seen"), *options, "--json")
    assert [{"name": f"{witness.key.name}+{witness.key.key_id.hex()}", "at": SEEN_AT * 1_000}] == done.data["seenBy"]
    late = tally("verify", "--bundle", str(tmp_path / "all"), *options)
    assert (4, True) == (late.code, "the event at position 32 is later" in " ".join(late.err.split()))
    other = Witness(name="other.example/w2").key.text
    with pytest.raises(NotProved, match=r"attested/checkpoint: the witness other\.example"):
        verify_bundle(tmp_path / "seen", place.verifiers[0], witnesses=(other,))
    (tmp_path / "seen" / manifest.CONSISTENCY).unlink()
    listed(tmp_path / "seen")
    assert manifest.CONSISTENCY in refused(place, tmp_path / "seen")


def test_a_bundle_without_others_does_not_show_what_a_witness_saw(place: Place, bundle: Path) -> None:
    with pytest.raises(NotProved, match="no checkpoint that others saw"):
        verify_bundle(bundle, place.verifiers[0], witnesses=(Witness().key.text,))


@needs_openssl
def test_the_token_of_an_authority_is_verified_here_and_by_openssl(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("rfc3161_client", reason="the extra timestamp is not installed")
    make_stories(place.ledger)
    with serving_authority(Authority(tmp_path / "authority")) as authority:
        place.written(0, timestamp=authority.address, authority=str(authority.root))
        assert 0 == tally("attest", "--ledger", str(place.ledger)).code
    out = tmp_path / "out"
    tally("export", "--ledger", str(place.ledger), "--format", "bundle", "--out", str(out))
    words = ["verify", "--bundle", str(out), "--key", place.verifiers[0], "--tsa-cert"]

    assert 0 == tally(*words, str(authority.root)).code
    assert authority.verifies(out / manifest.TOKEN, out / manifest.ATTESTED)
    other = Authority(tmp_path / "other")
    assert (4, True) == ((done := tally(*words, str(other.root))).code, manifest.TOKEN in done.err)


def show(bundle: Path, seen: bytes, consistency: bytes | None = None) -> None:
    """Put a checkpoint into a bundle as one that others saw, and let everything else fit."""
    (bundle / "attested").mkdir(exist_ok=True)
    (bundle / manifest.ATTESTED).write_bytes(seen)
    if consistency is not None:
        (bundle / manifest.CONSISTENCY).write_bytes(consistency)
    listed(bundle)
    paged(bundle, list(EVENTS))
    listed(bundle)


def signed(place: Place, out: Path, events: Sequence[Event]) -> bytes:
    """The checkpoint of a log with these events, signed with the key of the place."""
    bundled(logged(events), place, out)
    return (out / manifest.CHECKPOINT).read_bytes()


def proved(old: int, checkpoint: bytes, events: Sequence[Event] = EVENTS) -> bytes:
    """The proof that the log goes on from its first records to a checkpoint."""
    return prove_consistency(StoredNodes(logged(events)), old, checkpoint).to_bytes()


def test_what_others_saw_has_to_be_of_this_history_whatever_its_size(
    place: Place, bundle: Path, tmp_path: Path
) -> None:
    forked = [replace(event, actor="somebody else") for event in EVENTS]
    note = (bundle / manifest.CHECKPOINT).read_bytes()

    show(bundle, signed(place, tmp_path / "older", EVENTS[:5]), proved(5, note))
    assert 5 == verified(place, bundle).attested
    show(bundle, signed(place, tmp_path / "forked", forked[:5]), proved(5, note))
    assert manifest.CONSISTENCY in refused(place, bundle)
    (bundle / manifest.CONSISTENCY).unlink()
    show(bundle, signed(place, tmp_path / "same", forked))
    assert f"(root): {manifest.ATTESTED}" in refused(place, bundle)


def test_the_proof_between_the_checkpoints_is_of_the_newer_one(place: Place, bundle: Path, tmp_path: Path) -> None:
    older, between = signed(place, tmp_path / "a", EVENTS[:5]), signed(place, tmp_path / "b", EVENTS[:8])
    show(bundle, older, proved(5, between, EVENTS[:8]))

    assert "another checkpoint than the newer one" in refused(place, bundle)
    show(bundle, (bundle / manifest.CHECKPOINT).read_bytes(), proved(5, between, EVENTS[:8]))
    assert "need none" in refused(place, bundle)


def test_what_others_saw_may_be_newer_than_the_checkpoint(place: Place, tmp_path: Path) -> None:
    bundled(logged(EVENTS[:8]), place, tmp_path / "out")
    newer = signed(place, tmp_path / "newer", EVENTS)
    (tmp_path / "out" / "attested").mkdir()
    (tmp_path / "out" / manifest.ATTESTED).write_bytes(newer)
    (tmp_path / "out" / manifest.CONSISTENCY).write_bytes(proved(8, newer))
    listed(tmp_path / "out")
    paged(tmp_path / "out", list(EVENTS[:8]))
    listed(tmp_path / "out")

    assert len(EVENTS) == verified(place, tmp_path / "out").attested
