"""What is kept of who saw what is bytes in the log: what there cannot be is left out, and keeps nobody from asking."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.ledger.limits import TIME_MS_MAX, TREE_SIZE_MAX
from tallystick.projections.attested import NEWEST, SLOTS, Attestation, Standing, attestations, attested
from tallystick.testing import HandClock
from tests.attesting.witness import Witness
from tests.cli.support import tally
from tests.notary.parts import ORDINARY, Place

AT, DATA, _TOKEN, STANDINGS = range(4)
FORGED: dict[str, tuple[int, Any]] = {
    "no checkpoint": (DATA, b"nothing of that kind"),
    "a note that is none": (DATA, "one line\n\n— example.org/x AAAAAAA=\n".encode()),
    "a time behind all": (AT, TIME_MS_MAX + 1),
    "a time before all": (AT, -1),
    "a size behind all": (STANDINGS, [Standing("w+1", TREE_SIZE_MAX + 1, 1)]),
    "a size before all": (STANDINGS, [Standing("w+1", -1, 1)]),
}


@pytest.fixture(params=FORGED)
def forged(request: pytest.FixtureRequest, place: Place, witness: Witness) -> Place:
    """A ledger of which a checkpoint was seen, and somebody wrote something else into what is kept of that."""
    with place.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        ledger.create(**ORDINARY)
        ledger.attest()
    part, value = FORGED[request.param]
    with place.log(writable=True) as log:
        found = msgspec.msgpack.decode(log.note(NEWEST) or b"")
        found[part] = value
        slots = [SLOTS + name.removeprefix(SLOTS) for name, _ in log.notes(SLOTS)]
        log.append((), {}, dict.fromkeys([NEWEST, *slots], msgspec.msgpack.encode(found)))
    place.written(0, witness=witness.configured)
    return place


def test_what_there_cannot_be_is_as_if_it_were_not_there(forged: Place) -> None:
    with forged.log() as log:
        assert attested(log) is None
        assert [] == attestations(log)


def test_the_next_that_others_see_takes_its_place(forged: Place, witness: Witness) -> None:
    with forged.open(0, clock=HandClock(), witness=witness.configured) as ledger:
        made = ledger.attest()
        assert [None] == [each.failure for each in made.standings]
    with forged.log() as log:
        kept: Attestation | None = attested(log)
    assert made == kept


def test_nobody_who_reads_it_hears_of_wrong_usage(forged: Place, tmp_path: Path) -> None:
    ledger = ("--ledger", str(forged.ledger))

    assert "Nobody has seen a checkpoint of this ledger." == tally("attest", *ledger, "--kept").out.strip()
    assert 0 == tally("attest", *ledger, "--out", str(tmp_path / "seen")).code
    assert [] == list((tmp_path / "seen").glob("*"))
    assert 1 == tally("checkpoint", *ledger, "--attested").code
