"""The owner of a ledger makes checkpoints by itself: seldom enough, and never one that contradicts another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.config import Integrity
from tallystick.keys import read
from tallystick.ledger.errors import Full, InvalidInput, NotFound, NotProved
from tallystick.ledger.events import Event
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.tree import EMPTY_ROOT
from tallystick.proofs import verify_checkpoint, verify_proof
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.face.parts import wait_until
from tests.notary.parts import ORDINARY, ORIGIN, Place, said, signers


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def newest(ledger: Ledger) -> int | None:
    """The size of the newest checkpoint that the log keeps, as its status says it."""
    found = ledger.status().checkpoint
    return None if found is None else found.size


def test_what_is_committed_has_a_checkpoint_soon_without_anybody_asking(place: Place) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        head = ledger.status().head
        wait_until(lambda: newest(ledger) == head)


def test_at_most_one_checkpoint_is_made_in_an_interval(place: Place) -> None:
    clock = HandClock()
    with place.open(0, clock=clock, checkpoint=5_000) as ledger:
        ledger.create(**ORDINARY)
        ledger.sweep()
        first = newest(ledger)
        ledger.create(**ORDINARY)
        clock.advance(4_999)
        ledger.sweep()
        assert first == newest(ledger)
        clock.advance(1)
        ledger.sweep()

        assert ledger.status().head == newest(ledger)


def test_a_clock_that_was_set_back_keeps_no_checkpoint_waiting(place: Place) -> None:
    clock = HandClock()
    with place.open(0, clock=clock) as ledger:
        ledger.create(**ORDINARY)
        ledger.sweep()
        clock.advance(-3_600_000)
        ledger.create(**ORDINARY)
        ledger.sweep()

        assert ledger.status().head == newest(ledger)


def test_closing_makes_the_last_one_of_all_that_was_written(place: Place) -> None:
    with place.open(0, clock=HandClock()) as ledger:
        task = ledger.create(**ORDINARY)
        task.start()
        task.progress("held back", step=1, steps=2)
        task.progress("held back, too", step=2, steps=2)

    with place.log() as log:
        head = log.head()
    assert head == said(place.kept() or b"").size
    assert place.root_of(head) == said(place.kept() or b"").root_hash


def test_a_ledger_in_which_nothing_happened_is_left_as_it_is(place: Place) -> None:
    place.open(0).close()
    assert place.kept() is None
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    before = place.kept()
    with place.log() as log:
        commits = log.environment.info()
    place.open(0).close()

    assert before == place.kept()
    with place.log() as log:
        assert commits.used_bytes == log.environment.info().used_bytes


def test_never_means_only_when_somebody_asks(place: Place) -> None:
    clock = HandClock()
    with place.open(0, clock=clock, checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        clock.advance(3_600_000)
        ledger.sweep()
        assert newest(ledger) is None
        ledger.checkpoint()
        ledger.create(**ORDINARY)
        asked = newest(ledger)

    assert asked == said(place.kept() or b"").size


def test_a_ledger_without_an_origin_says_what_is_missing(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        ledger.create(**ORDINARY)
        with pytest.raises(InvalidInput, match=r"integrity\.origin.*example\.org.*\[integrity\] key"):
            ledger.checkpoint()
        ledger.sweep()

        assert newest(ledger) is None


def test_a_log_in_memory_is_signed_like_any_other(place: Place) -> None:
    with memory_ledger(config=place.config(0)) as ledger:
        task = ledger.create(**ORDINARY)
        ledger.sweep()
        note = ledger.checkpoint()

        assert newest(ledger) == said(note).size == ledger.status().head
        event = verify_proof(ledger.prove(task.id), *place.verifiers).event
        assert event is not None
        assert task.id == event.task_id


# Keys.


def test_while_one_key_follows_another_both_sign(place: Place) -> None:
    place.new_key()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    only_first = place.kept() or b""
    with place.open(0, 1) as ledger:  # nothing was written since, and still whoever has the new key can verify
        both = ledger.checkpoint()
    with place.open(1) as ledger:
        ledger.create(**ORDINARY)
    only_second = place.kept() or b""

    old, new = place.verifiers
    assert [[old], [old, new], [new]] == [signers(note, [old, new]) for note in (only_first, both, only_second)]
    assert said(only_first) == said(both)


def test_a_key_that_others_may_read_keeps_a_ledger_from_being_opened(place: Place) -> None:
    place.files[0].chmod(0o640)

    with pytest.raises(InvalidInput, match=r"integrity\.key .*mode 0640.*chmod 600"):
        place.open(0)
    assert not place.ledger.exists()


def test_a_key_of_another_log_is_refused(place: Place) -> None:
    config = tallystick.Config(integrity=Integrity("example.org/other", (str(place.files[0]),)))

    with pytest.raises(InvalidInput, match=rf"{ORIGIN}.*example\.org/other"):
        tallystick.open(place.ledger, config=config)


def test_a_key_inside_of_the_ledger_is_refused_before_there_is_one(place: Place) -> None:
    place.ledger.mkdir()
    inside = place.files[0].rename(place.ledger / "main.key")
    config = tallystick.Config(integrity=Integrity(ORIGIN, (str(inside),)))

    with pytest.raises(InvalidInput, match="outside of"):
        tallystick.open(place.ledger, config=config)


def test_who_only_reads_needs_no_key(place: Place) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    place.files[0].unlink()

    with tallystick.open(place.ledger, config=place.config(0), read_only=True) as ledger:
        assert ledger.status().head == newest(ledger)
        with pytest.raises(InvalidInput, match="No such file"):
            ledger.checkpoint()


# What keeps it from signing.


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "checkpoint" in record.getMessage()]


def test_a_key_that_is_gone_is_told_once_and_tried_again_less_and_less_often(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    with memory_ledger(clock=clock, config=place.config(0)) as ledger:
        gone = place.files[0].rename(place.beside / "elsewhere")
        ledger.create(**ORDINARY)
        ledger.sweep()
        clock.advance(1_000)
        ledger.sweep()
        assert ["checkpoint_failed"] == failures(caplog)
        gone.rename(place.files[0])
        clock.advance(1_999)
        ledger.sweep()
        assert newest(ledger) is None
        clock.advance(1)
        ledger.sweep()

        assert ledger.status().head == newest(ledger)
        assert ["checkpoint_failed"] == failures(caplog)


def test_a_full_disk_only_puts_off_the_checkpoint(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    with place.open(0, clock=clock) as ledger:
        ledger.create(**ORDINARY)
        log = ledger._house.readings.log  # noqa: SLF001 - the disk cannot be made full for one write only
        write = log.append

        def full(
            events: Sequence[Event], claims: Mapping[bytes, bytes], notes: Mapping[bytes, bytes], *more: Any
        ) -> None:
            if CHECKPOINT_NOTE in notes:
                raise Full("the disk", bytes=1)
            write(events, claims, notes, *more)

        log.append = full  # type: ignore[method-assign,assignment]
        ledger.sweep()
        with pytest.raises(Full):
            ledger.checkpoint()
        log.append = write  # type: ignore[method-assign]
        clock.advance(1_000)
        ledger.sweep()

        assert ledger.status().head == newest(ledger)
        assert "checkpoint_failed" in failures(caplog)


def forged(place: Place, size: int, root: bytes) -> bytes:
    """A checkpoint that the real key signed, of a log that is not this one."""
    return sign(Checkpoint(ORIGIN, size, root), read(place.files[0])).to_bytes()


@pytest.mark.parametrize(("more", "part"), [(0, "root"), (1, "size")])
def test_a_log_that_is_not_the_one_that_was_signed_is_signed_no_more_and_that_is_told_loudly(
    place: Place, caplog: pytest.LogCaptureFixture, more: int, part: str
) -> None:
    clock = HandClock()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        head = ledger.status().head
    wrong = forged(place, head + more, bytes(32))
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: wrong})
    with place.open(0, clock=clock) as ledger:
        if not more:  # one more event would make up for the one that is missing
            ledger.create(**ORDINARY)
        ledger.sweep()
        with pytest.raises(NotProved) as refused:
            ledger.checkpoint()
        clock.advance(3_600_000)
        ledger.sweep()

    assert part == refused.value.what
    assert ["checkpoint_contradicted"] == failures(caplog)
    assert wrong == place.kept()


def test_what_is_no_checkpoint_in_its_place_is_not_taken_for_none(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: b"nothing"})
    with place.open(0, clock=HandClock()) as ledger:
        ledger.sweep()
        with pytest.raises(NotProved, match="none"):
            ledger.checkpoint()

    assert ["checkpoint_contradicted"] == failures(caplog)


def test_under_a_new_origin_a_log_begins_anew(place: Place) -> None:
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
    other = Place(place.beside, "example.org/ledger/second")
    other.files = [place.beside / "second.key"]
    verifier = tallystick.keys.new(other.origin, other.files[0])
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: forged(place, 7, bytes(32))})
    with other.open(0) as ledger:
        note = ledger.checkpoint()

    assert (other.origin, 1) == (said(note).origin, len(verify_checkpoint(note, verifier).keys))


def test_without_a_key_there_is_the_newest_that_was_signed_elsewhere(place: Place) -> None:
    config = tallystick.Config(integrity=Integrity(ORIGIN))
    with tallystick.open(place.ledger, config=config, clock=HandClock()) as ledger:
        ledger.create(**ORDINARY)
        with pytest.raises(NotFound, match="tally checkpoint --help"):
            ledger.checkpoint()
        head = ledger.status().head
        note = forged(place, head, ledger.verify().root_hash)
        assert note == ledger.add_checkpoint(note, *place.verifiers)
        ledger.create(**ORDINARY)
        ledger.sweep()
        assert note == ledger.checkpoint()
        # An older one does not replace it, and neither does one that is not of this log, or that nobody trusted signed.
        assert note == ledger.add_checkpoint(forged(place, 0, EMPTY_ROOT), *place.verifiers)
        for wrong, what in ((forged(place, head, bytes(32)), "root"), (forged(place, 99, bytes(32)), "size")):
            with pytest.raises(NotProved) as refused:
                ledger.add_checkpoint(wrong, *place.verifiers)
            assert what == refused.value.what
        with pytest.raises(NotProved):
            ledger.add_checkpoint(note, SigningKey.generate(ORIGIN).verifier.text)
        assert note == ledger.checkpoint()


def test_a_second_signature_of_the_same_state_joins_the_first(place: Place) -> None:
    place.new_key()
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        first = ledger.checkpoint()
        second = sign(said(first), read(place.files[1])).to_bytes()
        both = ledger.add_checkpoint(second, place.verifiers[1])

        assert place.verifiers == signers(both, place.verifiers)
        assert both == ledger.checkpoint()
