"""A kept checkpoint may be anybody's: what `tally` makes of one that is spoilt, or of another name; and of a key."""

import tallystick
from tallystick.ledger.proofs.note import Note, Signature, parse_note
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tests.cli.support import process, tally
from tests.notary.parts import Place


def test_a_kept_checkpoint_that_the_key_did_not_sign_goes_into_no_proof(place: Place) -> None:
    note = parse_note(place.kept() or b"")
    [line] = note.signatures
    spoilt = Note(note.text, (Signature(line.name, line.key_id, bytes(64)),)).to_bytes()
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: spoilt})
    verified = ["verify", "--proof", "-", "--key", place.verifiers[0]]
    assert 4 == process(*verified, input=tally("prove", "7", "--out", "-").out).code  # nobody here can tell

    (place.beside / "elsewhere").rename(place.files[0])
    assert 0 == process(*verified, input=tally("prove", "7", "--out", "-").out).code
    older = process(*verified, "--old", "kept", input=tally("prove", "--from", "kept", "--out", "-").out)
    assert (0, spoilt) == (older.code, place.kept())


def test_a_check_up_holds_the_log_to_what_was_set_aside_under_its_name(place: Place) -> None:
    note = parse_note(place.kept() or b"").text
    false = "\n".join([*note.split("\n")[:2], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""])
    line = Signature(place.origin, b"abcd", b"x")
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: Note(false, (line,)).to_bytes()})
    other = Place(place.beside, "example.org/other")
    other.files = [place.beside / "other.key"]
    tallystick.keys.new(other.origin, other.files[0])
    other.open(0).close()
    assert "example.org/other" in tally("checkpoint", "--kept").out

    assert 4 == tally("doctor").code


def test_a_signing_key_in_the_wrong_place_is_not_repeated(place: Place) -> None:
    tally("prove", "7")
    text = (place.beside / "elsewhere").read_text("utf-8").strip()
    secret = text.split("+", 4)[-1]  # which may have a "+" in it
    (place.beside / "bare").write_text(text.removeprefix("PRIVATE+KEY+"), "utf-8")
    (place.beside / "cut").write_text(text[:-3], "utf-8")
    everywhere = [
        ["verify", "--key", "pin", "--proof"],
        ["verify", "--key", "pin", "--checkpoint"],
        ["checkpoint", "--key", "pin", "--add"],
        ["keys", "sign", "--file", "event-7.tlog-proof"],
        ["prove", "--from"],
        ["prove"],
        ["show"],
    ]
    for_keys = [["verify", "--proof", "event-7.tlog-proof", "--key"], ["checkpoint", "--add", "kept", "--key"]]
    for given in ("elsewhere", "bare", "cut", text, text[:-3]):
        refused_without(secret[:-3], [[*words, given] for words in (*everywhere, *for_keys)])
    refused_without(secret, [[*words, text.removeprefix("PRIVATE+KEY+")] for words in for_keys])


def refused_without(secret: str, calls: list[list[str]]) -> None:
    for words in calls:
        for said in (tally(*words), tally(*words, "--json")):
            assert (True, False) == (said.code > 0, secret in said.out + said.err), (words, said.err)
