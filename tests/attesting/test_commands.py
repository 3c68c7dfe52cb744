"""`tally attest` has others see a checkpoint, and `tally verify` says who saw it and when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.cli.times import stamp
from tests.attesting.authority import Authority, needs_openssl
from tests.attesting.authority import serving as serving_authority
from tests.attesting.witness import SEEN_AT, Witness, serving
from tests.cli.support import make_stories, process, tally
from tests.notary.parts import Place

EVENTS = 31


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    make_stories(made.ledger)
    return made


@pytest.fixture
def witness(place: Place) -> Iterator[Witness]:
    with serving(Witness(*place.verifiers)) as served:
        place.written(0, witness=served.configured)
        yield served


def name_of(witness: Witness) -> str:
    return f"{witness.key.name}+{witness.key.key_id.hex()}"


def files_of(place: Place, witness: Witness, folder: str = "seen") -> tuple[Path, list[str]]:
    """What was written of what others saw, and the options that verify it."""
    out = place.beside / folder
    tally("attest", "--out", str(out), "--ledger", str(place.ledger))
    [checkpoint] = out.glob("*.checkpoint")
    return checkpoint, [
        "--ledger", str(place.ledger), "--checkpoint", str(checkpoint),
        "--key", place.verifiers[0], "--witness", witness.key.text,
    ]  # fmt: skip


def test_it_says_who_saw_how_much_and_when(place: Place, witness: Witness) -> None:
    done = process("attest", "--ledger", str(place.ledger))

    assert (0, "") == (done.code, done.err)
    assert f"{EVENTS} events" in done.out
    assert f"seen by    {name_of(witness)} at {stamp(SEEN_AT * 1_000)}" in done.out
    [seen] = tally("attest", "--json", "--ledger", str(place.ledger)).data["seenBy"]
    assert {"name": name_of(witness), "size": EVENTS, "at": SEEN_AT * 1_000} == seen
    assert 1 == len(witness.asked)


def test_who_cannot_be_reached_is_named_and_the_command_fails(place: Place, witness: Witness) -> None:
    witness.instead = (404, b"")
    done = tally("attest", "--ledger", str(place.ledger))

    assert 1 == done.code
    assert f"not seen   {name_of(witness)}: it does not know this log" in done.out
    assert "does not know this log" in " ".join(tally("doctor", "--ledger", str(place.ledger)).out.split())
    assert "Nobody has seen" in tally("attest", "--kept", "--ledger", str(place.ledger)).out
    assert 1 == tally("checkpoint", "--attested", "--ledger", str(place.ledger)).code


def test_a_contradiction_is_damage(place: Place, witness: Witness) -> None:
    witness.size, witness.root = EVENTS + 1, bytes(32)
    done = tally("attest", "--ledger", str(place.ledger))

    assert (4, True) == (done.code, "the end was cut off" in done.err)
    found = tally("doctor", "--json", "--ledger", str(place.ledger))
    assert 4 == found.code
    assert "the end was cut off" in found.out


def test_without_anybody_to_ask_it_says_what_to_configure(place: Place) -> None:
    place.written(0)
    done = tally("attest", "--ledger", str(place.ledger))

    assert (2, True) == (done.code, "integrity.witness" in done.err)


def test_doctor_says_what_each_has_seen(place: Place, witness: Witness) -> None:
    before = tally("doctor", "--ledger", str(place.ledger)).out
    tally("attest", "--ledger", str(place.ledger))
    after = tally("doctor", "--ledger", str(place.ledger)).out

    assert f"{name_of(witness)} has seen nothing yet" in " ".join(before.split())
    assert f"{EVENTS} events seen by {name_of(witness)}" in " ".join(after.split())


def test_what_was_seen_is_kept_printed_and_written(place: Place, witness: Witness) -> None:
    tally("attest", "--ledger", str(place.ledger))
    checkpoint, _ = files_of(place, witness)
    printed = tally("checkpoint", "--attested", "--ledger", str(place.ledger))

    assert (0, checkpoint.read_text("utf-8")) == (printed.code, printed.out)
    assert f"— {witness.key.name} " in printed.out
    assert checkpoint.name.startswith(f"{EVENTS}-")
    assert [] == tally("attest", "--out", str(checkpoint.parent), "--ledger", str(place.ledger), "--json").data["files"]
    assert name_of(witness) in tally("attest", "--kept", "--ledger", str(place.ledger)).out


def test_verify_says_which_witness_saw_the_checkpoint_and_when(place: Place, witness: Witness) -> None:
    tally("attest", "--ledger", str(place.ledger))
    _, options = files_of(place, witness)
    done = tally("verify", *options)

    assert 0 == done.code
    assert f"seen by    {name_of(witness)} at {stamp(SEEN_AT * 1_000)}" in done.out
    data = tally("verify", *options, "--json").data["checkpoint"]
    assert [{"name": name_of(witness), "at": SEEN_AT * 1_000}] == data["seenBy"]


def test_a_witness_that_did_not_cosign_is_named(place: Place, witness: Witness) -> None:
    tally("attest", "--ledger", str(place.ledger))
    _, options = files_of(place, witness)
    other = Witness(name="other.example/w2")
    done = tally("verify", *options, "--witness", other.key.text)

    assert (4, True) == (done.code, f"{name_of(other)} did not cosign" in done.err)


def test_a_cosignature_that_was_altered_is_refused(place: Place, witness: Witness) -> None:
    tally("attest", "--ledger", str(place.ledger))
    checkpoint, options = files_of(place, witness)
    signed = witness.cosignature(b"another").line.encode()
    lines = checkpoint.read_bytes().split(b"\n")
    checkpoint.write_bytes(b"\n".join([*lines[:-2], signed, b""]))

    assert 4 == tally("verify", *options).code


@pytest.mark.parametrize(
    "options",
    [["--witness", "w+1+x"], ["--token", "x", "--tsa-cert", "y"], ["--checkpoint", "x", "--key", "y+", "--token", "z"]],
)
def test_options_that_do_not_go_together_are_refused(place: Place, options: list[str]) -> None:
    assert 2 == tally("verify", *options, "--ledger", str(place.ledger)).code


@needs_openssl
def test_verify_says_when_an_authority_saw_the_checkpoint(place: Place, witness: Witness) -> None:
    pytest.importorskip("rfc3161_client", reason="the extra timestamp is not installed")
    with serving_authority(Authority(place.beside / "authority")) as authority:
        where = {"timestamp": authority.address, "authority": str(authority.root)}
        place.written(0, witness=witness.configured, **where)
        assert 0 == tally("attest", "--ledger", str(place.ledger)).code
    checkpoint, options = files_of(place, witness)
    token = checkpoint.with_suffix(".tsr")
    options += ["--token", str(token), "--tsa-cert", str(authority.root)]
    done = tally("verify", *options)

    assert (0, True) == (done.code, f"seen by    {authority.root} at " in done.out)
    assert authority.verifies(token, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n\n", b"\n\n" + _line(place) + b"\n"))
    assert 4 == tally("verify", *options).code


def _line(place: Place) -> bytes:
    """One more signature that is good, so that only the bytes are others."""
    other = Witness(*place.verifiers, name="other.example/w2")
    return other.cosignature(b"any").line.encode()
