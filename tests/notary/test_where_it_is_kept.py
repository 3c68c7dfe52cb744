"""What a key signed last is kept where it can be, and where no copy of a ledger takes it along; each key signs once."""

import shutil
from pathlib import Path

import pytest

from tallystick import InvalidInput
from tallystick.keys import read
from tallystick.last_signed import LastSigned, sign_next
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.proofs.note import Note
from tallystick.ledger.store.tree import EMPTY_ROOT
from tests.notary.parts import ORDINARY, ORIGIN, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def signed_without_a_ledger(place: Place) -> Note:
    """What a key on another host signs."""
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    return sign_next(lambda: empty, LastSigned(read(place.files[0]), place.files[0]))


def test_a_link_into_a_folder_that_is_not_there_is_refused_as_that(place: Place) -> None:
    nowhere = place.beside / "nowhere"
    place.signed().symlink_to(nowhere / "main.signed")

    with pytest.raises(InvalidInput, match=rf"^integrity\.key {nowhere}: 'no folder'.*{nowhere}/main\.signed"):
        place.open(0)
    assert not place.ledger.exists()
    with pytest.raises(InvalidInput, match=rf"^file {nowhere}: 'no folder'"):
        signed_without_a_ledger(place)

    nowhere.mkdir()
    with place.open(0) as ledger:
        ledger.create(**ORDINARY)
        assert ledger.checkpoint() == (nowhere / "main.signed").read_bytes()


@pytest.mark.parametrize("is_made", [True, False])
def test_nothing_is_kept_in_a_ledger_for_a_copy_would_take_it_along(place: Place, *, is_made: bool) -> None:
    if is_made:
        place.open(0).close()
    place.ledger.mkdir(exist_ok=True)
    place.signed().unlink(missing_ok=True)
    place.signed().symlink_to(place.ledger / "main.signed")

    with pytest.raises(InvalidInput, match=rf"^integrity\.key: .*a place outside of {place.ledger}"):
        place.open(0)
    assert not (place.ledger / "main.signed").exists()


def test_a_key_without_its_ledger_keeps_nothing_in_another_ledger_either(place: Place) -> None:
    place.open(0).close()
    backup = place.beside / "backup"
    shutil.copytree(place.ledger, backup)
    place.signed().unlink(missing_ok=True)
    place.signed().symlink_to(backup / "main.signed")

    with pytest.raises(InvalidInput, match=f"a place outside of {backup}"):
        signed_without_a_ledger(place)
    assert not (backup / "main.signed").exists()


def test_a_key_that_is_named_twice_is_refused_for_it_would_sign_twice(place: Place) -> None:
    copy = place.beside / "copy.key"
    shutil.copy2(place.files[0], copy)
    place.files.append(copy)

    with pytest.raises(InvalidInput, match=r"^integrity\.key: .*each another one"):
        place.open(0, 1)
    with pytest.raises(InvalidInput, match=r"^integrity\.key: .*each another one"):
        place.open(0, 0)
    place.new_key()
    with place.open(0, 2) as ledger:
        ledger.create(**ORDINARY)
        assert 2 == ledger.checkpoint().decode().count("\n— ")
