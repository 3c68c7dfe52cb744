"""What an owner answers is bytes in the log, and whoever can write there can put others in their place."""

from pathlib import Path
from typing import cast

import msgspec
import pytest

from tallystick import NotProved
from tallystick.checkpoints import ask, asked
from tallystick.chores import Outcome, ask_for, chores_among
from tallystick.config import Integrity
from tallystick.ledger.errors import StoreError
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey, parse_vkey
from tallystick.ledger.proofs.note import Note, parse_note
from tallystick.ledger.store.port import EventLog
from tallystick.planning import planned
from tallystick.sharing.request import ID_BYTES
from tests.notary.parts import ORDINARY, ORIGIN, Place, said
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


OTHER = SigningKey(ORIGIN, bytes(32))


def forgeries(note: bytes) -> dict[str, bytes]:
    """What somebody without the key could put in the place of a checkpoint."""
    tree, [line] = said(note), parse_note(note).signatures
    forged = type(line)(line.name, line.key_id, OTHER.sign(tree.text.encode()).signature)
    return {
        "size": sign(Checkpoint(ORIGIN, tree.size + 1, tree.root_hash), OTHER).to_bytes(),
        "root": sign(Checkpoint(ORIGIN, tree.size, bytes(32)), OTHER).to_bytes(),
        "origin": sign(Checkpoint("example.org/other", tree.size, tree.root_hash), OTHER).to_bytes(),
        "signature": sign(tree, OTHER).to_bytes(),
        "signature that says it is of the key": Note(tree.text, (forged,)).to_bytes(),
        "signature beside a good one": Note(tree.text, (line, forged)).to_bytes(),
    }


def told(note: bytes) -> bytes:
    return msgspec.msgpack.encode((note, "", None))


@pytest.mark.parametrize("key_is", ["here", "elsewhere"])
@pytest.mark.parametrize("adds", [True, False], ids=["kept", "made"])
def test_an_answer_with_a_forged_checkpoint_is_refused_as_far_as_the_key_is_known(
    tmp_path: Path, key_is: str, *, adds: bool
) -> None:
    place = Place(tmp_path)
    vkey = parse_vkey(place.new_key())
    settings = place.config(*((0,) if key_is == "here" else ())).integrity
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        note = ledger.checkpoint()
        asks = (note, vkey) if adds else ()
        with place.log() as log:
            assert note == asked(place.ledger, log, settings, *asks)
            for what, forged in forgeries(note).items():
                if what.startswith("signature") and not adds and key_is == "elsewhere":
                    assert forged == asked(place.ledger, changed(log, told(forged)), settings)
                    continue
                with pytest.raises(NotProved) as refused:
                    asked(place.ledger, changed(log, told(forged)), settings, *asks)
                assert what.split()[0] == refused.value.what


@pytest.mark.parametrize("forged", [b"", b"text", b"no checkpoint\n\n\xe2\x80\x94 w AAAAAAA=\n"])
def test_an_answer_with_something_else_than_a_checkpoint_cannot_be_read(tmp_path: Path, forged: bytes) -> None:
    place = Place(tmp_path)
    place.new_key()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        with place.log() as log, pytest.raises(StoreError, match="cannot be read"):
            asked(place.ledger, changed(log, told(forged)), Integrity())


def test_an_owner_that_signs_with_a_key_that_is_not_named_any_more_is_told_from_a_forger_by_nobody(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.new_key()
    place.new_key()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        with place.log() as log:
            with pytest.raises(NotProved, match="until the ledger is opened again"):
                asked(place.ledger, log, place.config(1).integrity)
            assert ledger.checkpoint() == asked(place.ledger, log, place.config(0, 1).integrity)
