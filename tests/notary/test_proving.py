"""What a proof proves of a ledger, and what it does not: for every event, and for every bit that is another."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tallystick
from tallystick import InvalidInput, NotFound, NotProved, keys
from tallystick.config import Integrity
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import Event
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tallystick.ledger.proofs.tlog_proof import InclusionProof
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tallystick.ledger.store.tree import leaf_hash, root_from_leaves
from tallystick.proofs import Proved, verify_checkpoint, verify_proof
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.cli.damage import change_record
from tests.face.parts import at_once
from tests.notary.parts import ORDINARY, Place, root_of, said

KEY = SigningKey("example.org/ledger/other", bytes(range(32)))
EVENTS = 300  # so that a tile is full, and another one is not


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("proving"))
    made.new_key()
    return made


def unused(place: Place) -> int:
    """The number of a key that signed for no ledger yet: no key signs for two."""
    place.new_key()
    return len(place.files) - 1


@pytest.fixture(scope="module")
def ledger(place: Place) -> Iterator[Ledger]:
    with memory_ledger(config=place.config(0)) as opened:
        while opened.status().head < EVENTS:
            task = opened.create(**ORDINARY)
            task.start()
            task.succeed("cut")
        opened.checkpoint()
        yield opened


@pytest.fixture(scope="module")
def verifier(place: Place) -> str:
    return place.verifiers[0]


@given(data=st.data())
def test_every_event_can_be_proved_and_the_proof_says_which_it_is(
    ledger: Ledger, verifier: str, data: st.DataObject
) -> None:
    position = data.draw(st.integers(1, EVENTS))
    [event] = [event for event in ledger.events(after=position - 1) if event.position == position]
    by_version = ledger.prove(event.task_id, version=event.version)
    proved = verify_proof(by_version, verifier)

    assert ledger.prove(position) == by_version
    assert (event, position, EVENTS) == (proved.event, proved.position, proved.size)
    assert proved.record is not None
    assert ledger.verify().root_hash == proved.root_hash


def test_of_a_task_the_event_is_proved_that_ended_it_and_else_its_newest(ledger: Ledger, verifier: str) -> None:
    def types(task: tallystick.Task) -> list[str]:
        event = verify_proof(ledger.prove(task.id), verifier).event
        assert event is not None
        return [event.type, event.task_id]

    task = ledger.create(**ORDINARY)
    assert ["task-created.1", task.id] == types(task)
    task.fail("no wood")
    task.hold("an auditor looks at it")
    assert ["task-failed.1", task.id] == types(task)


def test_a_session_or_a_run_names_a_task_as_everywhere(ledger: Ledger, verifier: str) -> None:
    task = ledger.create(**ORDINARY, run_id="run-of-a-proof")
    proved = verify_proof(ledger.prove("run-of-a-proof"), verifier)

    assert proved.event is not None
    assert task.id == proved.event.task_id


def test_of_a_flow_its_newest_event_is_proved(ledger: Ledger, verifier: str) -> None:
    flow = ledger.flows.create(owner="agent:main:main", goal="a hundred tallies", controller="cutter")
    flow.claim("cut")
    event = verify_proof(ledger.prove(flow.id), verifier).event

    assert event is not None
    assert (True, flow.id, 2) == (event.is_of_flow, event.task_id, event.version)


@pytest.mark.parametrize(
    ("lookup", "version", "error"),
    [
        (0, None, InvalidInput),
        (-1, None, InvalidInput),
        (10**6, None, NotFound),
        (1, 1, InvalidInput),
        ("nobody", None, NotFound),
        ("run-7", 0, InvalidInput),
        ("run-7", 9, NotFound),
        ("", None, InvalidInput),
    ],
)
def test_what_is_not_there_is_not_proved(
    place: Place, lookup: Any, version: int | None, error: type[Exception]
) -> None:
    with memory_ledger(config=place.config(unused(place))) as ledger:
        ledger.create(**ORDINARY, run_id="run-7")
        with pytest.raises(error):
            ledger.prove(lookup, version=version)


# Consistency.


@given(data=st.data())
@settings(max_examples=30)
def test_the_log_goes_on_from_every_size_and_every_checkpoint_that_it_ever_had(
    place: Place, data: st.DataObject
) -> None:
    with memory_ledger(clock=HandClock(), config=place.config(unused(place))) as ledger:
        noted = [ledger.checkpoint()]
        for count in data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=6)):
            for _ in range(count):
                ledger.create(**ORDINARY)
            noted.append(ledger.checkpoint())
        log = ledger._house.readings.log  # noqa: SLF001 - for the bytes of the records
        for old in noted:
            proved = verify_proof(ledger.prove_from(old), *place.verifiers, old=old)
            assert (said(old).size, said(noted[-1]).size) == (proved.old, proved.size)
            assert root_of(log, said(old).size) == said(old).root_hash
            assert ledger.prove_from(old) == ledger.prove_from(said(old).size)


def test_a_proof_shows_what_came_since_although_the_kept_checkpoint_is_older(place: Place) -> None:
    with memory_ledger(config=place.config(unused(place))) as ledger:
        ledger.create(**ORDINARY)
        old = ledger.checkpoint()
        ledger.create(**ORDINARY)
        proved = verify_proof(ledger.prove_from(old), *place.verifiers, old=old)

        assert (1, 2) == (proved.old, proved.size)


def test_what_another_log_signed_is_no_beginning_of_this_one(place: Place, ledger: Ledger) -> None:
    with memory_ledger(config=place.config(unused(place))) as other:
        other.create(**ORDINARY)
        elsewhere = other.checkpoint()

    with pytest.raises(NotProved) as refused:
        ledger.prove_from(elsewhere)
    assert "root" == refused.value.what
    proof = ledger.prove_from(1)
    with pytest.raises(NotProved) as refused:
        verify_proof(proof, *place.verifiers, old=elsewhere)
    assert "root" == refused.value.what
    with pytest.raises(InvalidInput, match="old"):
        verify_proof(proof, *place.verifiers)
    with pytest.raises(InvalidInput, match="at most"):
        ledger.prove_from(10**6)


def test_from_a_checkpoint_under_another_name_nobody_gets_a_proof_that_would_fail(tmp_path: Path) -> None:
    place, renamed = Place(tmp_path), Place(tmp_path, "example.org/renamed")
    place.new_key()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        old = ledger.checkpoint()
    renamed.files = place.files[:]
    renamed.files.append(tmp_path / "renamed.key")
    verifier = keys.new(renamed.origin, renamed.files[1])
    with renamed.open(1) as ledger:
        with pytest.raises(NotProved, match="Its size, 1, will do") as refused:
            ledger.prove_from(old)
        assert "origin" == refused.value.what
        proof = ledger.prove_from(1)
        with pytest.raises(NotProved, match="origin"):
            verify_proof(proof, *place.verifiers, verifier, old=old)
        assert 1 == verify_proof(proof, verifier, old=ledger.checkpoint()).old


# What does not hold.


def verdict(data: bytes, *trusted: str, **more: Any) -> Proved | None:
    """What a file proves; None for nothing. Anything but the two errors is a bug."""
    try:
        return verify_proof(data, *trusted, **more)
    except (NotProved, InvalidInput):
        return None


@given(data=st.data())
@settings(max_examples=300)
def test_no_bit_of_a_proof_can_be_another(ledger: Ledger, verifier: str, data: st.DataObject) -> None:
    proof = bytearray(ledger.prove(data.draw(st.integers(1, EVENTS))))
    place = data.draw(st.integers(0, len(proof) - 1))
    proof[place] ^= 1 << data.draw(st.integers(0, 7))

    assert verdict(bytes(proof), verifier) is None


@given(data=st.data())
def test_no_bit_of_a_consistency_proof_can_be_another(ledger: Ledger, verifier: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, EVENTS - 1))
    old = checkpoint_of(ledger, size)
    proof = bytearray(ledger.prove_from(size))
    assert verdict(bytes(proof), verifier, *old[1:], old=old[0].encode()) is not None
    proof[data.draw(st.integers(0, len(proof) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert verdict(bytes(proof), verifier, *old[1:], old=old[0].encode()) is None


def checkpoint_of(ledger: Ledger, size: int) -> tuple[str, str]:
    """An old checkpoint, and the key that signed it: another one of the same log."""
    origin = said(ledger.checkpoint()).origin
    key = SigningKey(origin, bytes(32))
    log = ledger._house.readings.log  # noqa: SLF001 - for the bytes of the records
    return sign(Checkpoint(origin, size, root_of(log, size)), key).to_bytes().decode(), key.verifier.text


@given(length=st.integers(0, 600))
@example(length=0)
def test_a_file_that_is_cut_off_proves_nothing(ledger: Ledger, verifier: str, length: int) -> None:
    proof = ledger.prove(17)

    assert verdict(proof[: min(length, len(proof) - 1)], verifier) is None


@given(st.binary(max_size=400))
def test_whatever_else_a_file_has_it_is_a_clear_error(verifier: str, data: bytes) -> None:
    assert verdict(data, verifier) is None
    assert verdict(b"old " + data, verifier, old=data) is None


def test_another_key_and_another_record_prove_nothing(ledger: Ledger, verifier: str, tmp_path: Path) -> None:
    proof = ledger.prove(17)
    same_name = keys.new(said(ledger.checkpoint()).origin, tmp_path / "same.key")
    other_name = keys.new("example.org/other", tmp_path / "other.key")
    for key in (same_name, other_name):
        with pytest.raises(NotProved, match="signature"):
            verify_proof(proof, key)
    with pytest.raises(NotProved, match="root"):
        verify_proof(proof, verifier, record=b"another record")
    with pytest.raises(InvalidInput, match="at least one verifier key"):
        verify_proof(proof)
    with pytest.raises(InvalidInput, match="verifier key"):
        verify_proof(proof, "nonsense")
    assert verify_proof(proof, same_name, verifier).keys == verify_proof(proof, verifier).keys


def test_what_does_not_go_with_a_proof_is_refused_and_not_ignored(ledger: Ledger, verifier: str) -> None:
    of_one, onwards = ledger.prove(3), ledger.prove_from(2)
    with pytest.raises(InvalidInput, match="old"):
        verify_proof(of_one, verifier, old=b"anything")
    with pytest.raises(InvalidInput, match="record"):
        verify_proof(onwards, verifier, old=ledger.checkpoint(), record=b"anything")


def test_a_record_that_stands_elsewhere_than_it_says_is_not_proved(ledger: Ledger) -> None:
    log = ledger._house.readings.log  # noqa: SLF001 - for the bytes of the records
    [body] = log.records(1, 1)
    assert isinstance(body, bytes)
    leaf = leaf_hash(body)
    tree = Checkpoint(KEY.name, 2, root_from_leaves([leaf, leaf]))  # one log that has it twice
    for index in (0, 1):
        proof = InclusionProof(index, (leaf,), sign(tree, KEY).to_bytes(), body).to_bytes()
        assert (verdict(proof, KEY.verifier.text) is not None) == (index == 0)
    unknown = b"no event at all"
    alone = Checkpoint(KEY.name, 1, leaf_hash(unknown))
    proof = InclusionProof(0, (), sign(alone, KEY).to_bytes(), unknown).to_bytes()
    proved = verify_proof(proof, KEY.verifier.text)
    assert (None, unknown, 1) == (proved.event, proved.record, proved.position)


def test_nobody_gets_a_proof_of_a_record_that_was_changed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0) as ledger:
        for _ in range(3):
            ledger.create(**ORDINARY)
    change_record(place.ledger, 2, lambda body: body.replace(b"Cut a", b"Cut 2"))

    with tallystick.open(place.ledger, config=place.config(0), read_only=True) as ledger:
        with pytest.raises(Corrupt, match="position 2"):
            ledger.prove(2)
        assert 3 == verify_proof(ledger.prove(3), *place.verifiers).position


def test_who_reads_proves_by_what_is_kept_and_signs_only_what_came_since(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0, checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        ledger.checkpoint()
        ledger.create(**ORDINARY)
    kept = place.kept()

    without = tallystick.Config(integrity=Integrity(place.origin))
    with tallystick.open(place.ledger, config=without, read_only=True) as ledger:
        assert kept == ledger.checkpoint()
        assert 1 == verify_proof(ledger.prove(1), *place.verifiers).size
        with pytest.raises(NotFound, match=r'at least 2 records.*"tally checkpoint"'):
            ledger.prove(2)
        with pytest.raises(tallystick.NotOwner):
            ledger.add_checkpoint(kept or b"", *place.verifiers)
    with tallystick.open(place.ledger, config=place.config(0), read_only=True) as ledger:
        assert 2 == verify_proof(ledger.prove(2), *place.verifiers).size
        assert 2 == verify_checkpoint(ledger.checkpoint(), *place.verifiers).size
    assert kept == place.kept()


def test_the_same_in_asyncio(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.new_key()

    async def proved() -> tuple[Event | None, int | None]:
        async with tallystick.open_async(place.ledger, config=place.config(0)) as ledger:
            task = await ledger.create(**ORDINARY)
            old = await ledger.checkpoint()
            await task.start()
            event = verify_proof(await ledger.prove(task.id), *place.verifiers).event
            added = await ledger.add_checkpoint(await ledger.checkpoint(), *place.verifiers)
            assert 2 == said(added).size
            return event, verify_proof(await ledger.prove_from(old), *place.verifiers, old=old).old

    event, old = asyncio.run(proved())
    assert event is not None
    assert ("task-started.1", 1) == (event.type, old)


# What is remembered from one proof to the next.


def test_proofs_that_are_asked_for_again_while_the_log_grows_are_of_the_newest_checkpoint(place: Place) -> None:
    number = unused(place)
    with memory_ledger(clock=HandClock(), config=place.config(number)) as ledger:
        for count in (3, 252, 1, 1, 300):
            with ledger.batch() as batch:
                for _ in range(count):
                    batch.create(**ORDINARY)
            head = ledger.status().head
            for position in (1, head // 2 + 1, head):
                proved = verify_proof(ledger.prove(position), place.verifiers[number])
                assert (position, True) == (proved.position, proved.size >= position)
            assert head == verify_proof(ledger.prove(head), place.verifiers[number]).size


def test_any_number_of_threads_have_proofs_of_one_ledger(ledger: Ledger, verifier: str) -> None:
    proofs = at_once(8, lambda number: [ledger.prove(position) for position in range(1 + number, EVENTS, 8)])

    assert list(range(1, EVENTS)) == sorted(
        verify_proof(each, verifier).position or 0 for part in proofs for each in part
    )


def test_a_kept_checkpoint_that_was_spoilt_after_a_proof_is_in_no_later_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0, clock=HandClock(), checkpoint=None) as ledger:
        ledger.create(**ORDINARY)
        note = parse_note(ledger.checkpoint())
        assert 1 == verify_proof(ledger.prove(1), *place.verifiers).size
        [line] = note.signatures
        spoilt = Note(note.text, (Signature(line.name, line.key_id, bytes(64)),)).to_bytes()
        ledger._house.readings.log.append((), {}, {CHECKPOINT_NOTE: spoilt})  # noqa: SLF001 - beside the notary

        assert 1 == verify_proof(ledger.prove(1), *place.verifiers).size
