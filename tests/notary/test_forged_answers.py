"""What an owner answers is bytes in the log, and whoever can write there can put others in their place."""

from pathlib import Path
from typing import cast

import pytest

from tallystick.checkpoints import ask
from tallystick.chores import Outcome, ask_for, chores_among
from tallystick.ledger.errors import StoreError
from tallystick.ledger.store.port import EventLog
from tallystick.planning import planned
from tallystick.sharing.request import ID_BYTES
from tests.notary.parts import ORDINARY, Place
from tests.upkeep.cases import Scene, damage_a_record

FORGED = {
    "nothing": b"",
    "half of an answer": b"\x93\xc4\x05ab",
    "another kind": b"\x01",
    "text for a note": b"\x93\xa1a\xa0\xc0",
    "no UTF-8": b"\x93\xc0\xa2\xff\xfe\xc0",
    "arrays without end": b"\x93" + b"\x91" * 100_000,
}


class Changed:
    """A log in which somebody changes each answer as soon as it stands there, all but its first bytes."""

    def __init__(self, log: EventLog, forged: bytes) -> None:
        self._log, self._forged = log, forged

    def note(self, name: bytes) -> bytes | None:
        found = self._log.note(name)
        return None if found is None else found[:ID_BYTES] + self._forged

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def changed(log: EventLog, forged: bytes) -> EventLog:
    return cast("EventLog", Changed(log, forged))


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_answer_about_a_checkpoint_that_cannot_be_read_is_an_error_that_says_so(
    tmp_path: Path, forged: bytes
) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        with place.log() as log, pytest.raises(StoreError, match="cannot be read"):
            ask(place.ledger, changed(log, forged))


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_answer_about_chores_that_cannot_be_read_leaves_them(tmp_path: Path, forged: bytes) -> None:
    scene = Scene(tmp_path / "ledger")
    damage_a_record(scene)
    with scene.opened() as owner:
        house = owner._house  # noqa: SLF001 - who asks, with an answer that is not what was written
        steps = chores_among(planned(house.readings, scene.clock(), judging=None).steps)
        assert steps
        became = ask_for(scene.folder, changed(house.readings.log, forged), steps, "x")
        assert {Outcome.LEFT} == {outcome for outcome, _ in became.values()}
