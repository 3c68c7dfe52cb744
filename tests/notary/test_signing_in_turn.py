"""Whoever signs with a key has it alone: however many processes there are, whoever is killed, and with several keys."""

import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import tallystick
from tallystick import NotProved, StoreError
from tallystick.keys import read
from tallystick.last_signed import LastSigned, sign_next
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.store.nodes import StoredNodes
from tallystick.ledger.store.tree import EMPTY_ROOT
from tallystick.projections.checkpoint import tree_of
from tallystick.testing import HandClock
from tests.face.parts import Process
from tests.notary.parts import ORDINARY, ORIGIN, Place, said, signers


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def grown(place: Place, count: int, *keys: int) -> bytes:
    """Write so much more, and return the checkpoint over it, signed with these keys."""
    with place.open(*keys or (0,), clock=HandClock()) as ledger:
        for _ in range(count):
            ledger.create(**ORDINARY)
        return ledger.checkpoint()


def remembering(place: Place, number: int = 0) -> LastSigned:
    """The key of this number, with what it signed last."""
    return LastSigned(read(place.files[number]), place.files[number])


def size_signed(place: Place, number: int = 0) -> int:
    """How many records the key of this number signed last."""
    found = remembering(place, number).read()
    return 0 if found is None else found.size


def any_tree(size: int = 0) -> Checkpoint:
    return Checkpoint(ORIGIN, size, EMPTY_ROOT if not size else bytes([size]) * 32)


# Several keys.


def test_of_several_keys_each_keeps_what_it_signed(place: Place) -> None:
    place.new_key()
    grown(place, 3, 0)
    both = grown(place, 1, 0, 1)
    second = grown(place, 1, 1)

    assert [place.verifiers, place.verifiers[1:]] == [signers(note, place.verifiers) for note in (both, second)]
    assert [4, 5] == [size_signed(place, number) for number in (0, 1)]
    assert [[verifier] for verifier in place.verifiers] == [
        signers(place.signed(number).read_bytes(), place.verifiers) for number in (0, 1)
    ]


def test_when_one_of_several_keys_signed_another_history_none_signs(place: Place) -> None:
    place.new_key()
    grown(place, 3, 0)
    other = Place(place.beside)
    other.ledger = place.beside / "other"
    other.files, other.verifiers = place.files, place.verifiers
    grown(other, 7, 1)
    for keys in ((0, 1), (1, 0)):
        with place.open(*keys, clock=HandClock()) as ledger, pytest.raises(NotProved) as refused:
            ledger.checkpoint()
        assert f"--checkpoint {place.signed(1)} --key {place.verifiers[1]}" in refused.value.reason

    assert [3, 7] == [size_signed(place, number) for number in (0, 1)]


def test_keys_in_one_folder_or_one_key_twice_do_not_wait_for_each_other(place: Place) -> None:
    place.new_key()
    (place.beside / "link").symlink_to(place.beside)
    (place.beside / "other").mkdir()
    place.signed(1).symlink_to(place.beside / "other" / ".." / "link" / "second.signed")
    linked = LastSigned(read(place.files[0]), place.beside / "link" / place.files[0].name)
    note = sign_next(any_tree, remembering(place), remembering(place, 1), linked, wait_ms=0)

    assert 3 == len(note.signatures)


# Several processes.


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Sign with a key in this folder, as another process, for as long as the block takes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def test_while_another_process_signs_nobody_reads_the_tree_or_signs(place: Place) -> None:
    asked = threading.Event()

    def tree() -> Checkpoint:
        asked.set()
        return any_tree()

    with ThreadPoolExecutor(1) as pool:
        with held(place.beside):
            signing = pool.submit(sign_next, tree, remembering(place))
            assert not asked.wait(0.05)
            assert not place.signed().exists()
        assert ORIGIN == signing.result(20).signatures[0].name


def test_who_signs_for_ever_keeps_others_waiting_only_so_long(place: Place) -> None:
    with held(place.beside), pytest.raises(StoreError, match=f"a key in {place.beside} for 20 ms. Nothing was signed"):
        sign_next(any_tree, remembering(place), wait_ms=20)


def test_a_tree_that_cannot_be_read_is_not_signed_and_lets_others_sign(place: Place) -> None:
    def broken() -> Checkpoint:
        raise Corrupt("no tree")

    with pytest.raises(Corrupt, match="no tree"):
        sign_next(broken, remembering(place))
    assert not place.signed().exists()
    assert ORIGIN == sign_next(any_tree, remembering(place), wait_ms=0).signatures[0].name


def test_an_owner_that_waited_for_its_turn_signs_what_the_log_is_by_then(place: Place) -> None:
    with place.open(0, clock=HandClock()) as ledger, ThreadPoolExecutor(1) as pool:
        ledger.create(**ORDINARY)
        with held(place.beside):
            asked = pool.submit(ledger.checkpoint)
            with pytest.raises(TimeoutError):
                asked.result(0.2)
            ledger.create(**ORDINARY)
            newer = Checkpoint(ORIGIN, 2, ledger.verify().root_hash)  # which a reader signs while the owner waits
            place.signed().write_bytes(sign(newer, read(place.files[0])).to_bytes())

        assert 2 == said(asked.result(20)).size


def test_an_owner_and_readers_that_sign_one_log_at_once_never_contradict_each_other(place: Place) -> None:
    """What a reader saw a moment ago would be an older state than what the owner has just signed."""
    notes: list[bytes] = []

    def reading() -> None:
        with tallystick.open(place.ledger, config=place.config(0), read_only=True) as ledger:
            notes.extend(ledger.checkpoint() for _ in range(25))

    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(reading) for _ in range(3)]
            while not all(reader.done() for reader in readers):
                ledger.create(**ORDINARY)
                notes.append(ledger.checkpoint())
            for reader in readers:
                reader.result()

    assert {said(note).size: said(note).root_hash for note in notes}.items() == {
        (said(note).size, said(note).root_hash) for note in notes
    }
    assert max(said(note).size for note in notes) <= size_signed(place)


# Crashes.


def test_who_was_killed_after_the_first_of_two_writes_signs_again(place: Place) -> None:
    """What the key signed is durable first; what the log keeps of it, and the signature, may be lost."""
    place.new_key()
    with place.open(0, 1, clock=HandClock(), checkpoint=None) as ledger:
        for _ in range(3):
            ledger.create(**ORDINARY)
        ledger.checkpoint()
        ledger.create(**ORDINARY)
    with place.log() as log:
        nodes = StoredNodes(log)
        note = sign_next(lambda: tree_of(log, ORIGIN, nodes), remembering(place), nodes=nodes)

    assert [4, 3, 3] == [size_signed(place, 0), size_signed(place, 1), said(place.kept() or b"").size]
    again = grown(place, 0, 0, 1)
    assert said(note.to_bytes()) == said(again)
    assert note.signatures[0].line in again.decode()
    assert [5, 5] == [said(grown(place, 1, 0, 1)).size, size_signed(place, 1)]


SIGNER = """
    import sys, tallystick
    from tallystick.config import Integrity
    folder, origin, key = sys.argv[1:]
    config = tallystick.Config(integrity=Integrity(origin, (key,)))
    with tallystick.open(folder, config=config) as ledger:
        print("open", flush=True)
        while True:
            ledger.create(runtime="cli", task="Cut a tally", owner="agent:main:main")
            print(ledger.checkpoint().split(b"\\n")[1].decode(), flush=True)
"""


@pytest.mark.slow
def test_whenever_a_signer_is_killed_nothing_is_told_that_is_not_kept_and_the_next_one_goes_on(place: Place) -> None:
    told = 0
    for lines in range(1, 9):
        with Process(SIGNER, place.ledger, ORIGIN, place.files[0]) as signer:
            assert "open" == signer.hear()
            told = [int(signer.hear()) for _ in range(lines)][-1]
            signer.kill()
        kept = remembering(place).read()
        assert kept is not None
        assert told <= kept.size
        assert place.root_of(kept.size) == kept.root_hash

    assert told < said(grown(place, 1)).size
