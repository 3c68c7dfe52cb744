"""`tally checkpoint` and `tally keys sign`: made here, kept by the ledger, or signed where the key is."""

import shutil
import subprocess
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.proofs.checkpoint import Checkpoint
from tallystick.ledger.store.tree import EMPTY_ROOT
from tests.cli.support import COMMAND, Said, make_stories, process, tally
from tests.notary.parts import Place, said

EVENTS = 31


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    make_stories(made.ledger)
    return made


def ledger(place: Place) -> list[str]:
    return ["--ledger", str(place.ledger)]


def test_a_checkpoint_is_made_kept_and_printed_byte_by_byte(place: Place) -> None:
    place.written(0)
    done = process("checkpoint", *ledger(place))
    kept = process("checkpoint", "--kept", *ledger(place))

    assert (0, "") == (done.code, done.err)
    assert done.out == kept.out == (place.kept() or b"").decode()
    told = tally("checkpoint", "--json", *ledger(place)).data
    assert done.out == told["checkpoint"]
    assert (place.origin, EVENTS, place.root_of(EVENTS).hex()) == (told["origin"], told["size"], told["rootHash"])


def test_the_key_may_be_on_another_host(place: Place) -> None:
    place.written()
    unsigned = tally("checkpoint", "--unsigned", *ledger(place)).out
    text, signed = place.beside / "text", place.beside / "signed"
    text.write_text(unsigned, "utf-8")
    signed.write_text(tally("keys", "sign", "--file", str(place.files[0]), str(text)).out, "utf-8")
    added = tally("checkpoint", "--add", str(signed), "--key", place.verifiers[0], *ledger(place))

    assert (0, signed.read_text("utf-8")) == (added.code, added.out)
    assert signed.read_bytes() == place.kept()
    assert signed.read_text("utf-8").startswith(unsigned)
    again = tally("keys", "sign", "--file", str(place.files[0]), "--old", str(signed), str(text), "--json")
    assert (0, signed.read_text("utf-8")) == (again.code, again.data["checkpoint"])


@pytest.mark.slow
def test_the_three_commands_make_a_pipe(place: Place) -> None:
    place.written()
    tally_here = [*COMMAND, "checkpoint", *ledger(place)]
    with subprocess.Popen([*tally_here, "--unsigned"], stdout=subprocess.PIPE) as unsigned:
        sign = [*COMMAND, "keys", "sign", "--file", str(place.files[0])]
        with subprocess.Popen(sign, stdin=unsigned.stdout, stdout=subprocess.PIPE) as signed:
            add = [*tally_here, "--add", "-", "--key", place.verifiers[0]]
            added = subprocess.run(add, stdin=signed.stdout, capture_output=True, check=True)

    assert added.stdout == place.kept()


def test_what_was_signed_before_is_not_contradicted_where_the_key_is(place: Place) -> None:
    place.written(0)
    before = place.beside / "before"
    before.write_bytes(tally("checkpoint", *ledger(place)).out.encode())
    head, root = EVENTS, place.root_of(EVENTS)
    text = place.beside / "text"
    for lines in (f"{head - 1}\n{said(before.read_bytes()).root_hash.hex()}", f"{head}\nother"):
        size, _ = lines.split("\n")
        text.write_text(f"{place.origin}\n{size}\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "utf-8")
        refused = tally("keys", "sign", "--file", str(place.files[0]), "--old", str(before), str(text))
        assert (4, True) == (refused.code, "do not go on" in refused.err)
    assert root == said(before.read_bytes()).root_hash


def signed(place: Place, size: int, root: bytes, *words: str) -> Said:
    """What `tally keys sign` says to a text, which is all that it is given."""
    text = place.beside / "text"
    text.write_text(Checkpoint(place.origin, size, root).text, "utf-8")
    return tally("keys", "sign", "--file", str(place.files[0]), *words, str(text))


def test_where_the_key_is_it_remembers_size_and_root_and_takes_a_larger_tree_at_its_word(place: Place) -> None:
    one, other = bytes([1]) * 32, bytes([2]) * 32
    assert 0 == signed(place, 7, one).code
    kept = place.signed().read_bytes()
    for size, root, part in ((6, one, "size"), (7, other, "root"), (0, EMPTY_ROOT, "size")):
        refused = signed(place, size, root)
        assert (4, "", True) == (refused.code, refused.out, f"({part})" in refused.err)
        assert f"the 7 with the root {one.hex()}" in refused.err
        assert f"move {place.signed()} away" in refused.err
        assert kept == place.signed().read_bytes()
    again = signed(place, 7, one)
    assert (0, kept.decode()) == (again.code, again.out)

    larger = signed(place, 8, other)
    assert (0, larger.out.encode()) == (larger.code, place.signed().read_bytes())
    assert 4 == signed(place, 7, one).code


def test_a_given_older_checkpoint_does_not_stand_for_what_the_key_remembers(place: Place) -> None:
    root = bytes([1]) * 32
    old = place.beside / "old"
    old.write_text(signed(place, 5, root).out, "utf-8")
    assert 0 == signed(place, 9, root, "--old", str(old)).code

    assert 4 == signed(place, 7, root, "--old", str(old)).code
    place.signed().unlink()
    assert 4 == signed(place, 4, root, "--old", str(old)).code
    assert not place.signed().exists()


def test_what_the_key_signed_last_says_which_of_two_copies_goes_on_from_it(place: Place) -> None:
    place.written(0)
    copy = place.beside / "copy"
    shutil.copytree(place.ledger, copy)
    with place.open(0) as opened:
        opened.create(runtime="cli", task="Cut a tally", owner="agent:main:main")
    with tallystick.open(copy, config=tallystick.Config()) as opened:
        opened.create(runtime="cli", task="Cut another", owner="agent:main:main")
    refused = tally("checkpoint", "--ledger", str(copy))
    assert (4, True) == (refused.code, "another copy of this ledger has the key" in refused.err)
    levels = {
        folder.name: [each["level"] for each in doctor["findings"] if each["check"] == "signing key"]
        for folder in (place.ledger, copy)
        for doctor in [tally("doctor", "--ledger", str(folder), "--json").data]
    }
    assert {"ledger": ["ok"], "copy": ["bad"]} == levels

    words = refused.err.partition('"tally ')[2].partition('"')[0].split()
    assert [0, 4] == [
        tally(*(str(folder) if word == "COPY" else word for word in words)).code for folder in (place.ledger, copy)
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a checkpoint"),
        ("anything at all\n", "a checkpoint"),
        ("example.org/other\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "whose key this is"),
    ],
)
def test_a_key_signs_nothing_but_checkpoints_of_its_own_log(place: Place, text: str, why: str) -> None:
    file = place.beside / "text"
    file.write_text(text, "utf-8")
    refused = tally("keys", "sign", "--file", str(place.files[0]), str(file))

    assert (2, "", True) == (refused.code, refused.out, why in refused.err)


def test_what_is_added_must_be_signed_by_who_is_trusted_and_be_of_this_log(place: Place) -> None:
    place.written(0)
    note = tally("checkpoint", *ledger(place)).out.encode()
    cases = {
        "cut": (note[:-3], 2),
        "flipped": (note.replace(b"\n31\n", b"\n30\n"), 4),
        "empty": (b"", 2),
    }
    for name, (data, code) in cases.items():
        file = place.beside / name
        file.write_bytes(data)
        refused = tally("checkpoint", "--add", str(file), "--key", place.verifiers[0], *ledger(place), "--json")
        assert (code, False) == (refused.code, refused.data["ok"]), name
    other = Place(place.beside, "example.org/other")
    other.files = [place.beside / "other.key"]
    verifier = tallystick.keys.new(other.origin, other.files[0])
    good = place.beside / "good"
    good.write_bytes(note)
    assert 4 == tally("checkpoint", "--add", str(good), "--key", verifier, *ledger(place)).code
    assert note == place.kept()


@pytest.mark.parametrize(
    "words", [["--kept", "--unsigned"], ["--add", "x"], ["--key", "a+b"], ["--kept", "--key", "a+b+c"]]
)
def test_options_that_do_not_go_together_are_wrong_usage(place: Place, words: list[str]) -> None:
    assert 2 == tally("checkpoint", *words, *ledger(place)).code
    assert place.kept() is None


def test_without_an_origin_and_without_a_checkpoint_it_says_what_to_do(place: Place) -> None:
    kept = tally("checkpoint", "--kept", *ledger(place))
    made = tally("checkpoint", *ledger(place))

    assert (1, True) == (kept.code, '"tally checkpoint"' in kept.err)
    assert (2, True) == (made.code, "integrity.origin" in made.err)
    assert 2 == tally("checkpoint", "--unsigned", *ledger(place)).code


def test_reading_commands_never_write(place: Place) -> None:
    place.written(0)
    before = [
        (path, path.stat().st_mtime_ns) for path in sorted((place.ledger / "log").iterdir()) if "lock" not in path.name
    ]
    tally("checkpoint", "--unsigned", *ledger(place))
    tally("prove", "3", "--out", "-", *ledger(place))
    tally("verify", *ledger(place))

    assert before == [
        (path, path.stat().st_mtime_ns) for path in sorted((place.ledger / "log").iterdir()) if "lock" not in path.name
    ]
    assert place.kept() is None
