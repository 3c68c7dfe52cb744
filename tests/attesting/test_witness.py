"""A witness cosigns what the log was and became; a history that was changed it does not, and that is said loudly."""

import asyncio
import shutil
import threading

import pytest

import tallystick
from tallystick import NotProved
from tallystick.ledger.proofs.checkpoint import open_checkpoint
from tallystick.ledger.proofs.keys import parse_vkey
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.projections.attested import Attestation, attestations, attested
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.attesting.witness import SEEN_AT, Witness, serving
from tests.face.parts import wait_until
from tests.notary.parts import ORDINARY, Place, said

HOUR_MS = 3_600_000


def write(ledger: Ledger, until: int) -> None:
    """Write tasks until the log has so many events."""
    batch = ledger.batch()
    with batch:
        for _ in range(until - ledger.status().head):
            batch.create(**ORDINARY)
    assert until == ledger.status().head


def kept(place: Place) -> Attestation:
    with place.log() as log:
        found = attested(log)
        assert found is not None
        return found


def test_a_checkpoint_is_cosigned_and_so_is_how_the_log_went_on(place: Place, witness: Witness) -> None:
    keys = [parse_vkey(place.verifiers[0]), witness.key]
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 600)
        first = ledger.attest()
        write(ledger, 1_000)
        second = ledger.attest()

    for attestation, size in ((first, 600), (second, 1_000)):
        opened = open_checkpoint(attestation.checkpoint, *keys, quorum=2)
        assert (size, {*keys}) == (opened.checkpoint.size, {*opened.signers})
        [standing] = attestation.standings
        assert (size, SEEN_AT, None) == (standing.size, standing.at, standing.failure)
    assert [200, 200] == witness.answers
    assert [b"old 0\n", b"old 600\n"] == [body[: body.index(b"\n") + 1] for body in witness.asked]
    assert kept(place) == second


def test_what_it_has_seen_it_is_not_shown_again(place: Place, witness: Witness) -> None:
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 3)
        assert ledger.attest() == ledger.attest()

    assert [200] == witness.answers


def test_who_forgot_what_a_witness_saw_proves_from_where_that_is(place: Place, witness: Witness) -> None:
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 600)
        ledger.attest()
    with place.log(writable=True) as log:
        log.append((), {}, {b"attested": b"nothing that can be read"})
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 1_000)
        ledger.attest()

    assert [200, 409, 200] == witness.answers


def rewritten(place: Place, until: int) -> None:
    """Make the ledger anew with another history, which is signed with the real key."""
    shutil.rmtree(place.ledger)
    place.forget()
    with place.open(0, clock=HandClock(1_780_000_000_000)) as ledger:
        write(ledger, until)


@pytest.mark.parametrize("until", [600, 1_000], ids=["as long", "longer"])
def test_a_history_made_anew_and_signed_with_the_real_key_is_refused_loudly(
    place: Place, witness: Witness, until: int, caplog: pytest.LogCaptureFixture
) -> None:
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 600)
        ledger.attest()
    rewritten(place, until)
    with (
        place.open(0, clock=HandClock(), witness=witness.configured) as ledger,
        pytest.raises(NotProved, match="contradicts this log"),
    ):
        ledger.attest()

    assert [200, 409, 422 if until > 600 else 409] == witness.answers
    assert ["ERROR"] == levels(caplog, "checkpoint_denied")
    [standing] = kept(place).standings
    assert standing.is_contradicted
    assert "past" in (standing.failure or "") or "do not go on" in (standing.failure or "")


def levels(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [each.levelname for each in caplog.records if each.getMessage() == event]


def test_a_log_whose_end_was_cut_off_is_refused_loudly(place: Place, witness: Witness) -> None:
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 600)
        before = place.beside / "before"
        ledger.backup(before)
        write(ledger, 700)
        ledger.attest()
    shutil.rmtree(place.ledger)
    before.rename(place.ledger)
    place.forget()
    with (
        place.open(0, clock=HandClock(), witness=witness.configured) as ledger,
        pytest.raises(NotProved, match="the end was cut off"),
    ):
        ledger.attest()


@pytest.mark.parametrize(
    ("instead", "why"),
    [
        ((200, b"garbage"), "no signature of a note"),
        ((200, b""), "no line of its answer is of the key"),
        ((409, b"many"), "did not say which"),
        ((409, b"1\n"), "named 1"),
        ((409, b"0\n"), "named 0"),
        ((403, b""), "does not know the key"),
        ((404, b""), "does not know this log"),
        ((500, b"\xff" * 2_000_000), "status 500"),
        ((302, b""), "status 302"),
    ],
)
def test_who_answers_something_else_has_seen_nothing(
    place: Place, witness: Witness, instead: tuple[int, bytes], why: str
) -> None:
    witness.instead = instead
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 3)
        [standing] = ledger.attest().standings

    assert why in (standing.failure or "")
    assert (0, False) == (standing.size, standing.is_contradicted)
    assert not kept(place).is_seen
    with place.log() as log:
        assert [] == attestations(log)


def test_a_cosignature_of_another_key_is_none(place: Place, witness: Witness) -> None:
    other = Witness(*place.verifiers, name=witness.key.name)
    with place.open(0, clock=HandClock(), witness=f"{other.key.text} {witness.address}") as ledger:
        write(ledger, 3)
        [standing] = ledger.attest().standings

    assert "no line of its answer is of the key" in (standing.failure or "")
    assert 1 == len(open_checkpoint(kept(place).checkpoint, parse_vkey(place.verifiers[0])).note.signatures)


def test_a_cosignature_of_another_checkpoint_is_none(place: Place, witness: Witness) -> None:
    witness.instead = (200, f"{witness.cosignature(b'another text').line}\n".encode())
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        write(ledger, 3)
        [standing] = ledger.attest().standings

    assert "not that of this checkpoint" in (standing.failure or "")


def test_who_does_not_know_the_log_is_no_reason_to_leave_out_the_others(place: Place, witness: Witness) -> None:
    with serving(Witness(name="other.example/w2")) as stranger:
        asked = (stranger.configured, witness.configured)
        with place.open(0, clock=HandClock(), witness=asked) as ledger:
            write(ledger, 3)
            strange, known = ledger.attest().standings

    assert "does not know this log" in (strange.failure or "")
    assert (3, None) == (known.size, known.failure)


def test_a_witness_that_hangs_keeps_nobody_from_writing_signing_and_closing(place: Place, witness: Witness) -> None:
    with place.open(0) as ledger:
        write(ledger, 3)
    witness.hangs.set()
    with place.open(0, witness=witness.configured) as ledger:
        wait_until(lambda: bool(witness.asked))
        write(ledger, 5)
        assert 5 == said(ledger.checkpoint()).size

    assert 5 == said(place.kept() or b"").size


def test_it_is_shown_by_itself_on_a_schedule_and_what_was_seen_is_kept(place: Place, witness: Witness) -> None:
    clock = HandClock()
    with place.open(0, clock=clock, witness=witness.configured) as ledger:
        for hour in range(30):
            write(ledger, hour + 1)
            ledger.sweep()
            clock.advance(HOUR_MS - 1)
            write_nothing_new = len(witness.answers)
            ledger.sweep()
            assert write_nothing_new == len(witness.answers)
            clock.advance(1)

    assert [200] * 30 == witness.answers
    with place.log() as log:
        found = attestations(log)
    sizes = [said(each.checkpoint).size for each in found]
    assert sizes == sorted(sizes)
    assert [*range(7, 31)] == sizes[-24:]
    assert len(sizes) <= 24 + 2


def test_who_could_not_be_reached_is_asked_again_and_that_is_said_once(
    place: Place, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    witness.instead = (503, b"")
    with place.open(0, clock=clock, witness=witness.configured) as ledger:
        write(ledger, 3)
        ledger.sweep()
        for minutes in (1, 2, 4):
            before = len(witness.asked)
            clock.advance(minutes * 60_000 - 1)
            ledger.sweep()
            assert before == len(witness.asked)
            clock.advance(1)
            ledger.sweep()
            assert before + 1 == len(witness.asked)
        witness.instead = None
        clock.advance(8 * 60_000)
        ledger.sweep()

    assert 3 == witness.size
    assert ["ERROR"] == levels(caplog, "attestation_failed")


def test_another_process_asks_the_owner(place: Place, witness: Witness) -> None:
    with (
        place.open(0, clock=HandClock(), witness=witness.configured) as owner,
        tallystick.join(place.ledger, config=place.config(0)) as other,
    ):
        write(owner, 3)
        assert 3 == said(other.attest().checkpoint).size
        witness.size = 50
        write(owner, 4)
        with pytest.raises(NotProved, match="the end was cut off"):
            other.attest()


def test_a_line_that_only_claims_to_be_of_the_witness_is_replaced_by_a_good_one(place: Place, witness: Witness) -> None:
    with place.open(0, clock=HandClock()) as ledger:
        write(ledger, 3)
        note = parse_note(ledger.checkpoint())
    forged = Note(note.text, (*note.signatures, witness.cosignature(b"another text")))
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: forged.to_bytes()})
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        made = ledger.attest()

    opened = open_checkpoint(made.checkpoint, parse_vkey(place.verifiers[0]), witness.key)
    assert (2, 2) == (len(opened.signers), len(opened.note.signatures))


def test_an_hour_goes_on_through_a_restart(place: Place, witness: Witness) -> None:
    clock = HandClock()
    for minutes, shown in ((0, 1), (30, 1), (59, 1), (60, 2)):
        clock.at_ms = HandClock().at_ms + minutes * 60_000
        with place.open(0, clock=clock, witness=witness.configured) as ledger:
            ledger.create(**ORDINARY)
            ledger.sweep()
        assert shown == len(witness.answers)


def test_its_thread_ends_with_the_ledger(place: Place, witness: Witness) -> None:
    others = set(threading.enumerate())
    with place.open(0, witness=witness.configured) as ledger:
        write(ledger, 3)
        ledger.attest()
        [its] = [each for each in threading.enumerate() if each.name == "tallystick-attestor" and each not in others]

    assert not its.is_alive()


def test_asyncio_waits_for_it_as_threads_do(place: Place, witness: Witness) -> None:
    async def attested_by(config: tallystick.Config) -> Attestation:
        async with tallystick.open_async(place.ledger, config=config) as ledger:
            await ledger.create(**ORDINARY)
            return await ledger.attest()

    made = asyncio.run(attested_by(place.config(0, witness=witness.configured)))
    assert (1, True) == (said(made.checkpoint).size, made.is_seen)
