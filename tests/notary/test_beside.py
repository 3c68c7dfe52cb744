"""A checkpoint can be had from every process: the owner makes it, whoever asks for it."""

from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput, NotProved
from tallystick.config import Integrity
from tallystick.keys import read
from tallystick.ledger.errors import StoreError
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.proofs import verify_checkpoint
from tallystick.testing import HandClock
from tests.face.parts import Process
from tests.notary.parts import ORDINARY, Place, said

GATEWAY = """
    import sys, tallystick
    from tallystick.config import Integrity
    folder, origin, *keys = sys.argv[1:]
    config = tallystick.Config(integrity=Integrity(origin or None, tuple(keys), None))
    with tallystick.open(folder, config=config) as ledger:
        ledger.create(runtime="cli", task="Cut a tally", owner="agent:main:main")
        print("open", flush=True)
        sys.stdin.readline()
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def gateway(place: Place, *keys: int, origin: str | None = None) -> Process:
    started = Process(
        GATEWAY, place.ledger, place.origin if origin is None else origin, *(place.files[key] for key in keys)
    )
    assert "open" == started.hear()
    return started


def test_who_joined_has_the_owner_sign_and_needs_no_key(place: Place) -> None:
    with gateway(place, 0), tallystick.join(place.ledger, config=tallystick.Config()) as ledger:
        ledger.create(**ORDINARY)
        note = ledger.checkpoint()
        status = ledger.status()

    assert (2, 2) == (said(note).size, status.checkpoint and status.checkpoint.size)
    assert 1 == len(verify_checkpoint(note, *place.verifiers).keys)


def test_who_joined_brings_the_owner_what_was_signed_elsewhere(place: Place) -> None:
    with gateway(place), tallystick.join(place.ledger, config=tallystick.Config()) as ledger:
        root = ledger.verify().root_hash
        note = sign(Checkpoint(place.origin, 1, root), read(place.files[0])).to_bytes()

        assert note == ledger.add_checkpoint(note, *place.verifiers)
        assert note == ledger.checkpoint()
        with pytest.raises(NotProved, match="root"):
            ledger.add_checkpoint(
                sign(Checkpoint(place.origin, 1, bytes(32)), read(place.files[0])).to_bytes(), *place.verifiers
            )
    assert note == place.kept()


def test_an_owner_that_cannot_says_why_to_who_asks(place: Place) -> None:
    started = gateway(place, origin="")
    joined = tallystick.join(place.ledger, config=place.config(0))
    with started, joined as ledger, pytest.raises(StoreError, match=r"says: integrity\.origin"):
        ledger.checkpoint()


def test_who_joined_signs_while_it_is_the_owner(place: Place) -> None:
    with tallystick.join(place.ledger, config=place.config(0)) as ledger:
        ledger.create(**ORDINARY)
        assert 1 == said(ledger.checkpoint()).size
        ledger.create(**ORDINARY)

    assert 2 == said(place.kept() or b"").size


def test_a_sweep_of_who_joined_makes_a_checkpoint_that_is_due(place: Place) -> None:
    with tallystick.join(place.ledger, config=place.config(0), clock=HandClock()) as ledger:
        ledger.create(**ORDINARY)
        ledger.sweep()
        found = ledger.status().checkpoint

    assert 1 == (found and found.size)


def test_a_joined_owner_whose_key_cannot_be_read_records_all_the_same(place: Place) -> None:
    place.files[0].chmod(0o644)
    with tallystick.join(place.ledger, config=place.config(0)) as ledger:
        ledger.create(**ORDINARY)
        with pytest.raises(InvalidInput, match="0644"):
            ledger.checkpoint()

    assert place.kept() is None


def test_a_killed_owner_leaves_checkpoints_of_what_was_acknowledged(place: Place) -> None:
    with gateway(place, 0) as owner, tallystick.join(place.ledger, config=tallystick.Config()) as ledger:
        note = ledger.checkpoint()
        owner.kill()
        ledger.create(**ORDINARY)  # as the owner, for want of a better one
    with place.open(0) as again:
        newest = again.checkpoint()

    assert (1, 2) == (said(note).size, said(newest).size)
    assert place.root_of(1) == said(note).root_hash


def test_who_only_reads_beside_an_owner_asks_nobody(place: Place) -> None:
    config = tallystick.Config(integrity=Integrity(place.origin))
    with gateway(place, 0):
        ledger = tallystick.open(place.ledger, config=config, read_only=True)
        with ledger, pytest.raises(tallystick.NotFound):
            ledger.checkpoint()
