"""Whoever is shown a checkpoint is counted, with what came of it and how long it took; who has seen it is not asked."""

import pytest

import tallystick
from tallystick import NotProved
from tallystick.actors.metrics import ATTEST_TOOK, ATTESTATIONS
from tallystick.testing import HandClock
from tests.attesting.authority import Authority, needs_openssl
from tests.attesting.authority import serving as serving_authority
from tests.attesting.witness import Witness
from tests.metrics.parts import Kept
from tests.notary.parts import ORDINARY, Place


def counted(kept: Kept) -> dict[tuple[str, ...], float]:
    """How often each kind was asked, by what came of it."""
    return {labels: count for (name, labels), count in kept.counted.items() if name == ATTESTATIONS.name}


def open_with(place: Place, kept: Kept, **more: str) -> tallystick.Ledger:
    return tallystick.open(place.ledger, config=place.config(0, **more), clock=HandClock(), metrics=kept)


def test_who_saw_a_checkpoint_is_counted_once_for_each(place: Place, witness: Witness) -> None:
    kept = Kept()
    with open_with(place, kept, witness=witness.configured) as ledger:
        for _ in range(2):
            ledger.create(**ORDINARY)
            for _ in range(3):
                ledger.attest()

    assert {("witness", "seen"): 2} == counted(kept)
    assert 2 == len(kept.observed[ATTEST_TOOK.name, ("witness",)])


def test_failures_and_contradictions_are_counted_as_such(place: Place, witness: Witness) -> None:
    kept = Kept()
    with open_with(place, kept, witness=witness.configured) as ledger:
        ledger.create(**ORDINARY)
        witness.instead = (503, b"")
        ledger.attest()
        ledger.attest()
        witness.instead = (409, b"9\n")
        with pytest.raises(NotProved):
            ledger.attest()

    assert {("witness", "failed"): 2, ("witness", "contradicted"): 1} == counted(kept)
    assert 3 == len(kept.observed[ATTEST_TOOK.name, ("witness",)])


@needs_openssl
def test_an_authority_is_counted_apart_from_witnesses(place: Place, witness: Witness) -> None:
    pytest.importorskip("rfc3161_client", reason="the extra timestamp is not installed")
    kept = Kept()
    with serving_authority(Authority(place.beside / "authority")) as authority:
        where = {"witness": witness.configured, "timestamp": authority.address, "authority": str(authority.root)}
        with open_with(place, kept, **where) as ledger:
            ledger.create(**ORDINARY)
            ledger.attest()
            authority.instead = (200, b"none")
            ledger.create(**ORDINARY)
            ledger.attest()

    assert {("witness", "seen"): 2, ("authority", "seen"): 1, ("authority", "failed"): 1} == counted(kept)


def test_who_keeps_the_numbers_wrongly_keeps_nobody_from_seeing_it(place: Place, witness: Witness) -> None:
    class Broken(Kept):
        def add(self, *_: object) -> None:
            raise RuntimeError("no room for numbers")

    with open_with(place, Broken(), witness=witness.configured) as ledger:
        ledger.create(**ORDINARY)
        assert ledger.attest().is_seen
