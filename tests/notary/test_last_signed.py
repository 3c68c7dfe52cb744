"""One key signs one history: what it signed last is kept beside it, and copies of a ledger cannot part unnoticed."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick import InvalidInput, NotProved, StoreError
from tallystick.keys import read, record_of
from tallystick.last_signed import LastSigned, sign_next
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.keys import SigningKey
from tallystick.ledger.store.tree import EMPTY_ROOT
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.face.parts import Process
from tests.notary.parts import ORDINARY, ORIGIN, Place, said


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


def write(ledger: Ledger, count: int = 1) -> None:
    with ledger.batch() as batch:
        for _ in range(count):
            batch.create(**ORDINARY)


def grown(place: Place, count: int) -> bytes:
    """Write so much more, and return the checkpoint over it."""
    with place.open(0, clock=HandClock()) as ledger:
        write(ledger, count)
        return ledger.checkpoint()


def copied(place: Place, name: str = "copy") -> Place:
    """A copy of the ledger, as a folder is copied, for which the same keys sign."""
    copy = Place(place.beside)
    copy.ledger = place.beside / name
    copy.files, copy.verifiers = place.files, place.verifiers
    shutil.copytree(place.ledger, copy.ledger)
    return copy


def last(place: Place) -> Checkpoint | None:
    """What the key signed last."""
    return LastSigned(read(place.files[0]), place.files[0]).read()


def refusal(place: Place, count: int = 0) -> NotProved:
    """Why the ledger is not signed, and it MUST not be, when so much more was written."""
    before = place.kept()
    with place.open(0, clock=HandClock()) as ledger:
        write(ledger, count)
        with pytest.raises(NotProved) as refused:
            ledger.checkpoint()
    assert before == place.kept()
    return refused.value


# Two copies.


@pytest.mark.parametrize(
    ("first", "second", "part"), [(2, 2, "root"), (3, 2, "size"), (2, 3, "root"), (2, 300, "root")]
)
def test_of_two_copies_with_one_key_only_the_first_is_signed(place: Place, first: int, second: int, part: str) -> None:
    grown(place, 3)
    copy = copied(place)
    signed = grown(place, first)
    error = refusal(copy, second)

    assert part == error.what
    for size, root in ((3 + first, said(signed).root_hash), (3 + second, copy.root_of(3 + second))):
        assert f"{size} " in error.reason
        assert root.hex() in error.reason
    assert signed == place.signed().read_bytes()
    assert 3 + first + 1 == said(grown(place, 1)).size


def test_copies_in_which_the_same_was_written_are_both_signed(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)
    with copy.open(0, clock=HandClock()) as one, place.open(0, clock=HandClock()) as other:
        assert one.checkpoint() == other.checkpoint()


def test_a_ledger_may_go_on_elsewhere_if_only_one_copy_does(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)

    assert [4, 5, 6] == [said(grown(copy, 1)).size for _ in range(3)]
    assert "size" == refusal(place, 1).what


def test_a_ledger_that_was_restored_from_an_older_state_is_signed_no_more_whatever_it_writes(place: Place) -> None:
    grown(place, 3)
    older = copied(place)
    grown(place, 3)
    shutil.rmtree(place.ledger)
    older.ledger.rename(place.ledger)

    assert ["size", "size", "root", "root"] == [refusal(place, count).what for count in (1, 1, 1, 9)]


def test_an_owner_says_so_once_and_stops(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    grown(place, 3)
    copy = copied(place)
    grown(place, 1)
    clock = HandClock()
    with copy.open(0, clock=clock) as ledger:
        for _ in range(3):
            write(ledger)
            clock.advance(3_600_000)
            ledger.sweep()

    assert 1 == [each.getMessage() for each in caplog.records].count("checkpoint_contradicted")
    [told] = [each for each in caplog.records if each.getMessage() == "checkpoint_contradicted"]
    assert "another copy of this ledger has the key" in str(vars(told))
    assert 3 == said(copy.kept() or b"").size


def test_who_only_reads_a_copy_does_not_sign_it_either(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)
    grown(place, 1)
    with copy.open(clock=HandClock()) as ledger:
        write(ledger, 2)
    with (
        tallystick.open(copy.ledger, config=copy.config(0), read_only=True) as ledger,
        pytest.raises(NotProved, match="root"),
    ):
        ledger.checkpoint()


def test_the_error_says_how_to_find_the_true_copy_and_the_way_out(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)
    grown(place, 1)
    reason = refusal(copy, 1).reason
    record, verifier = place.signed(), place.verifiers[0]

    assert f'"tally verify --ledger COPY --checkpoint {record} --key {verifier}"' in reason
    assert "a new origin and a new key" in reason
    assert f"move {record} away" in reason
    assert read(place.files[0]).text not in reason
    record.rename(place.beside / "away")
    assert 4 == said(grown(copy, 0)).size
    assert "root" == refusal(place, 1).what  # it had its turn


def test_another_origin_with_another_key_is_held_to_nothing_of_the_first(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)
    grown(place, 1)
    copy.origin, copy.files = "example.org/ledger/second", [place.beside / "second.key"]
    tallystick.keys.new(copy.origin, copy.files[0])

    assert 5 == said(grown(copy, 2)).size


# What is kept.


def test_what_is_kept_is_the_signed_checkpoint_for_this_user_only(place: Place) -> None:
    before = os.umask(0)
    try:
        note = grown(place, 3)
    finally:
        os.umask(before)

    assert note == place.signed().read_bytes()
    assert 0o600 == stat.S_IMODE(place.signed().stat().st_mode)
    assert {"ledger", place.files[0].name, place.signed().name} == {each.name for each in place.beside.iterdir()}
    assert said(note) == last(place)


def test_what_is_signed_again_is_not_written_again(place: Place) -> None:
    grown(place, 3)
    before = place.signed().stat().st_mtime_ns
    config = place.config(0)
    for _ in range(3):
        with tallystick.open(place.ledger, config=config, read_only=True) as ledger:
            ledger.checkpoint()

    assert before == place.signed().stat().st_mtime_ns


def test_before_anything_was_signed_nothing_is_kept(place: Place) -> None:
    place.open(0).close()

    assert not place.signed().exists()
    assert last(place) is None


def test_by_whatever_name_a_key_is_called_what_it_signed_is_kept_once(place: Place) -> None:
    grown(place, 3)
    copy = copied(place)
    grown(place, 1)
    (place.beside / "links").mkdir()
    link = place.beside / "links" / "other-name.key"
    link.symlink_to(place.files[0])
    copy.files = [link]

    assert place.signed() == record_of(link) == record_of(place.files[0])
    assert "root" == refusal(copy, 1).what


def test_what_a_key_signed_may_be_kept_elsewhere_by_a_link(place: Place) -> None:
    elsewhere = place.beside / "var"
    elsewhere.mkdir()
    place.signed().symlink_to(elsewhere / "main.signed")
    note = grown(place, 3)
    newer = grown(place, 1)

    assert place.signed().is_symlink()
    assert ["main.signed"] == [each.name for each in elsewhere.iterdir()]
    assert note != newer == (elsewhere / "main.signed").read_bytes()


def test_a_new_key_takes_no_place_in_which_another_signed(place: Place) -> None:
    grown(place, 3)
    place.files[0].unlink()
    with pytest.raises(InvalidInput, match=f"{place.signed()} is what it signed last"):
        tallystick.keys.new(ORIGIN, place.files[0])
    assert not place.files[0].exists()

    place.signed().unlink()
    tallystick.keys.new(ORIGIN, place.files[0])


@pytest.mark.parametrize("what", ["nothing", "cut off", "of another key", "of another log", "empty", "a folder"])
def test_what_is_there_and_is_not_what_the_key_signed_keeps_a_ledger_from_being_opened(place: Place, what: str) -> None:
    note, record = grown(place, 3), place.signed()
    other = SigningKey(ORIGIN, bytes(32))
    key = read(place.files[0])
    elsewhere = Checkpoint("example.org/other", 0, EMPTY_ROOT)
    data = {
        "nothing": b"nothing",
        "empty": b"",
        "cut off": note[:-5],
        "of another key": sign(said(note), other).to_bytes(),
        "of another log": sign(elsewhere, key).to_bytes(),
    }
    if what == "a folder":
        record.unlink()
        record.mkdir()
    else:
        record.write_bytes(data[what])
    with pytest.raises(InvalidInput, match=rf"integrity\.key.*{record}"):
        place.open(0)
    with pytest.raises(InvalidInput, match=str(record)):
        sign_next(lambda: said(note), LastSigned(key, place.files[0]))


# Where it cannot be kept.


def test_where_what_is_signed_cannot_be_kept_nothing_is_signed(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    grown(place, 3)
    before = place.signed().read_bytes()
    clock = HandClock()
    (place.beside / f"{place.signed().name}.unfinished").mkdir()  # where it would be written
    with place.open(0, clock=clock) as ledger:
        write(ledger)
        ledger.sweep()
        with pytest.raises(StoreError, match=str(place.signed())):
            ledger.checkpoint()
        assert before == place.signed().read_bytes()
        assert 3 == (ledger.status().checkpoint or said(before)).size
        (place.beside / f"{place.signed().name}.unfinished").rmdir()
        clock.advance(3_600_000)
        ledger.sweep()
        assert 4 == (ledger.status().checkpoint or said(before)).size
    assert 1 == [each.getMessage() for each in caplog.records].count("checkpoint_failed")


AS_NOBODY = """
    import os, sys, tallystick
    from tallystick.config import Integrity
    from tallystick import keys
    folder, loaded, origin = sys.argv[1:]
    keys.new(origin, f"{loaded}/key")
    with tallystick.open(f"{loaded}/ledger", config=tallystick.Config(integrity=Integrity(origin, (f"{loaded}/key",)))):
        pass  # loads what may be out of sight later
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    os.umask(0)
    os.chdir(folder)
    keys.new(origin, "safe/main.key")
    os.chmod("safe", 0o500)
    config = tallystick.Config(integrity=Integrity(origin, ("safe/main.key",)))
    try:
        tallystick.open("ledger", config=config)
    except tallystick.InvalidInput as error:
        print(os.path.exists("ledger"), error)
    os.chmod("safe", 0o700)
    os.symlink("../main.signed", "safe/main.key.signed")
    os.chmod("safe", 0o500)
    with tallystick.open("ledger", config=config) as ledger:
        ledger.create(runtime="cli", task="Cut a tally", owner="agent:main:main")
    print(sorted(os.listdir(".")), sorted(os.listdir("safe")))
    os.chmod("safe", 0o700)
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder in which every user of the machine may write."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / "safe").mkdir()
        (folder / "safe").chmod(0o777)
        if os.geteuid() == 0:
            os.chown(folder / "safe", 65534, 65534)
        yield folder


@pytest.mark.slow
def test_a_key_in_a_folder_that_is_only_read_does_not_sign_and_a_link_is_the_way_out(
    public: Path, tmp_path: Path
) -> None:
    with Process(AS_NOBODY, public, tmp_path, ORIGIN) as nobody:
        refused, written = nobody.hear(), nobody.hear()

    assert refused.startswith("False integrity.key ")
    assert "a folder that is only read" in refused
    assert f"beside it, in {public}/safe/main.key.signed" in refused
    assert "['ledger', 'main.signed', 'safe'] ['main.key', 'main.key.signed']" == written
