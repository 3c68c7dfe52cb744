"""`tally prove` writes proofs, and `tally verify --proof` says without a ledger what they prove."""

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.store.keys import CHECKPOINT_NOTE
from tests.cli.damage import change_record
from tests.cli.support import make_stories, process, tally
from tests.notary.parts import Place

EVENTS = 31


@pytest.fixture
def ids(place: Place) -> Mapping[str, str]:
    found: Mapping[str, str] = place.ids  # type: ignore[attr-defined]
    return found


def named(place: Place) -> str:
    """The name and the id of the key."""
    return "+".join(place.verifiers[0].split("+")[:2])


def files(place: Place) -> list[str]:
    known = {"ledger", "kept", "pin", "elsewhere", "signing-0.key.signed"}
    return sorted(path.name for path in place.beside.iterdir() if path.name not in known)


def test_a_position_is_proved_into_a_file_and_verified_without_the_ledger(place: Place) -> None:
    written = tally("prove", "7")
    assert (0, "", ["event-7.tlog-proof"]) == (written.code, written.err, files(place))
    place.ledger.rename(place.beside / "gone")

    shown = process("verify", "--proof", "event-7.tlog-proof", "--key", place.verifiers[0], environment={"HOME": "/"})
    told = tally("verify", "--proof", "event-7.tlog-proof", "--key", "pin", "--json").data
    assert (0, "") == (shown.code, shown.err)
    assert f"{place.origin} has this record at position 7 of {EVENTS}.\n" in shown.out
    assert (True, 7, 6, EVENTS, place.origin) == tuple(
        told[name] for name in ("ok", "position", "index", "size", "origin")
    )
    assert {"position", "version", "type", "occurredAt", "recordedAt", "actor", "data"} == told["event"].keys()
    assert told["taskId"] in shown.out
    assert [named(place)] == told["keys"]


def test_of_a_task_the_end_is_proved_or_each_event_or_one(ids: Mapping[str, str]) -> None:
    def proved(file: str) -> tuple[str, str, int]:
        told = tally("verify", "--proof", file, "--key", "pin", "--json").data
        return told["taskId"], told["event"]["type"], told["event"]["version"]

    assert 0 == tally("prove", ids["late"], "--out", "end").code
    assert (ids["late"], "task-failed.1", 2) == proved("end")
    assert 0 == tally("prove", "run-7", "--event", "1", "--out", "begin").code
    assert (ids["tests"], "task-created.1", 1) == proved("begin")
    each = tally("prove", ids["build"], "--all", "--out", "all", "--json").data
    assert [1, 2, 3] == [version for _, _, version in (proved(proof["file"]) for proof in each["proofs"])]
    assert 3 == len(list(Path("all").iterdir()))


def test_a_proof_goes_to_standard_output_and_comes_from_standard_input(place: Place, ids: Mapping[str, str]) -> None:
    printed = process("prove", ids["lost"], "--out", "-")
    told = tally("prove", ids["lost"], "--out", "-", "--json").data

    assert printed.out == told["proof"]
    assert [] == files(place)
    checked = process("verify", "--proof", "-", "--key", place.verifiers[0], input=printed.out)
    assert (0, True) == (checked.code, ids["lost"] in checked.out)


def test_how_the_log_went_on_is_proved_from_a_size_or_a_checkpoint(place: Place) -> None:
    (place.beside / "elsewhere").rename(place.files[0])
    with tallystick.open(place.ledger) as ledger:
        ledger.create(runtime="cli", task="more", owner="agent:main:main")
    written = tally("prove", "--from", "kept")
    same = tally("prove", "--from", str(EVENTS), "--out", "-")

    name = f"from-{EVENTS}-to-{EVENTS + 1}.tlog-consistency"
    assert (0, True) == (written.code, name in files(place))
    assert Path(name).read_bytes() == same.out.encode()
    told = tally("verify", "--proof", name, "--key", "pin", "--old", "kept", "--json").data
    assert (True, EVENTS, EVENTS + 1) == (told["ok"], told["old"], told["size"])
    assert (2, True) == ((said := tally("verify", "--proof", name, "--key", "pin")).code, "old" in said.err)


@pytest.mark.parametrize("words", [["9" * 5_000], ["--from", "9" * 5_000], ["0" * 5_000]])
def test_a_number_that_nobody_can_read_is_wrong_usage(place: Place, words: list[str]) -> None:
    said = tally("prove", *words)
    assert (2, True, []) == (said.code, "5000 digits" in said.err, files(place))


def test_where_no_folder_can_be_there_are_no_proofs(place: Place, ids: Mapping[str, str]) -> None:
    for where in ("kept", "kept/below", "long" * 80):
        said = tally("prove", ids["build"], "--all", "--out", where, "--json")
        assert (2, "out") == (said.code, said.error["field"])
    assert [] == files(place)


@pytest.mark.usefixtures("place")
def test_nothing_is_written_over() -> None:
    tally("prove", "7")
    before = Path("event-7.tlog-proof").read_bytes()
    again = tally("prove", "7")

    assert (2, True) == (again.code, "--out" in again.err)
    assert before == Path("event-7.tlog-proof").read_bytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["7", "--from", "3"], 2),
        (["7", "--event", "1"], 2),
        (["7", "--all", "--out", "x"], 2),
        (["run-7", "--all"], 2),
        (["run-7", "--all", "--event", "1", "--out", "x"], 2),
        (["0"], 2),
        (["99"], 1),
        (["nobody"], 1),
        (["run-7", "--event", "99"], 1),
        (["--from", "99"], 2),
        (["--from", "missing"], 2),
        (["--from", "pin"], 2),
        (["7", "--out", "missing/folder/x"], 2),
    ],
)
def test_what_cannot_be_proved_is_said_and_nothing_is_written(place: Place, words: list[str], code: int) -> None:
    said = tally("prove", *words)

    assert (code, "") == (said.code, said.out)
    assert said.err
    assert [] == files(place)


def test_a_checkpoint_of_another_log_is_no_beginning(place: Place) -> None:
    other = place.beside / "other"
    other.mkdir()
    second = Place(other)
    second.new_key()
    second.written(0)
    make_stories(second.ledger)
    Path("second").write_bytes(tally("checkpoint", "--ledger", str(second.ledger)).out.encode())
    said = tally("prove", "--from", "second")

    assert (4, True) == (said.code, "the past was changed, or the checkpoint is of another log" in said.err)


def test_an_event_that_no_checkpoint_has_yet_says_so(place: Place) -> None:
    (place.ledger / "tallystick.toml").unlink()
    with tallystick.open(place.ledger) as ledger:
        ledger.create(runtime="cli", task="more", owner="agent:main:main")
    (place.ledger / "tallystick.toml").write_text(f'[integrity]\norigin = "{place.origin}"\n', "utf-8")
    said = tally("prove", str(EVENTS + 1))

    assert (1, True) == (said.code, '"tally checkpoint"' in said.err)
    assert 0 == tally("prove", str(EVENTS)).code


def test_no_proof_is_written_of_a_record_that_was_changed(place: Place) -> None:
    change_record(place.ledger, 7, lambda body: body + b"!")
    said = tally("prove", "7")

    assert (4, [], True) == (said.code, files(place), "position 7" in said.err)
    assert 0 == tally("prove", "8").code


# Verdicts.


def altered(proof: bytes, what: str) -> bytes:
    if what == "cut":
        return proof[:-40]
    if what == "index":
        return proof.replace(b"\nindex 6\n", b"\nindex 5\n")
    if what == "hash":
        head, _, rest = proof.partition(b"\nindex 6\n")
        return head + b"\nindex 6\n" + b"B" + rest[1:] if rest[:1] != b"B" else head + b"\nindex 6\nC" + rest[1:]
    if what == "size":
        return proof.replace(f"\n{EVENTS}\n".encode(), f"\n{EVENTS + 1}\n".encode())
    return b"\x00\xff" * 40


@pytest.mark.parametrize(
    ("what", "code", "kind"),
    [
        ("cut", 2, "InvalidInput"),
        ("index", 4, "NotProved"),
        ("hash", 4, "NotProved"),
        ("size", 4, "NotProved"),
        ("noise", 2, "InvalidInput"),
    ],
)
def test_a_proof_that_does_not_hold_has_a_clear_verdict(place: Place, what: str, code: int, kind: str) -> None:
    tally("prove", "7")
    Path("altered").write_bytes(altered(Path("event-7.tlog-proof").read_bytes(), what))
    before = files(place)
    said = tally("verify", "--proof", "altered", "--key", "pin", "--json")
    words = tally("verify", "--proof", "altered", "--key", "pin")

    assert (code, kind) == (said.code, said.error["type"])
    assert (code, "") == (words.code, words.out)
    assert said.error["message"] in words.err
    assert before == files(place)


def test_a_file_may_have_several_keys_one_a_line(place: Place) -> None:
    tally("prove", "7")
    other = tallystick.keys.new(place.origin, place.beside / "same.key")
    Path("pins").write_text(f"{other}\n\n  {place.verifiers[0]}\n", "utf-8")
    Path("empty").write_text("\n", "utf-8")

    assert 0 == tally("verify", "--proof", "event-7.tlog-proof", "--key", "pins").code
    assert 2 == tally("verify", "--proof", "event-7.tlog-proof", "--key", "empty").code


def test_a_file_whose_path_looks_like_a_key_is_a_file(place: Place) -> None:
    tally("prove", "7")
    folder = place.beside / "c++"
    folder.mkdir()
    (place.beside / "pin").rename(folder / "pin")
    long = tallystick.keys.new("n" * 400, place.beside / "long")  # longer than the name of a file can be
    for trusted in (["c++/pin"], [place.verifiers[0]], [long, place.verifiers[0]]):
        words = [word for key in trusted for word in ("--key", key)]
        assert 0 == tally("verify", "--proof", "event-7.tlog-proof", *words).code


def test_a_wrong_key_and_no_key_are_no_verdict_for_it(place: Place) -> None:
    tally("prove", "7")
    same = tallystick.keys.new(place.origin, place.beside / "same.key")
    other = tallystick.keys.new("example.org/other", place.beside / "other.key")
    for key in (same, other):
        said = tally("verify", "--proof", "event-7.tlog-proof", "--key", key, "--json")
        assert (4, "signature") == (said.code, said.error["what"])
    assert 0 == tally("verify", "--proof", "event-7.tlog-proof", "--key", other, "--key", place.verifiers[0]).code
    for words in (["--key", "missing"], ["--key", "a+b+c"], []):
        assert 2 == tally("verify", "--proof", "event-7.tlog-proof", *words).code
    for words in (
        ["--key", "pin"],
        ["--old", "kept"],
        ["--record", "kept"],
        ["--proof", "kept", "--checkpoint", "kept"],
    ):
        assert 2 == tally("verify", *words).code


# The ledger, held to a checkpoint that was kept elsewhere.


def held(*words: str) -> tuple[int, bool, str | None]:
    said = tally("verify", "--checkpoint", "kept", "--key", "pin", "--json", *words)
    return said.code, said.data["ok"], said.data["checkpoint"].get("what")


def test_a_ledger_that_went_on_is_held_to_what_was_kept(place: Place) -> None:
    (place.beside / "elsewhere").rename(place.files[0])
    before = tally("verify", "--checkpoint", "kept", "--key", "pin")
    with tallystick.open(place.ledger) as ledger:
        ledger.create(runtime="cli", task="more", owner="agent:main:main")
    said = tally("verify", "--checkpoint", "kept", "--key", "pin")

    assert (0, True, None) == held()
    assert f"checkpoint {place.origin}, {EVENTS} events, signed by {named(place)}" in said.out
    assert "The log goes on from the checkpoint." in said.out
    assert "vouch" not in before.out
    assert f"It does not vouch for the 1 event behind it, from position {EVENTS + 1} on." in said.out


def test_a_history_that_was_made_anew_is_seen_although_it_fits_itself_and_is_signed(place: Place) -> None:
    place.ledger.rename(place.beside / "true")
    (place.beside / "elsewhere").rename(place.files[0])
    place.forget()
    make_stories(place.ledger)
    place.written(0)
    assert 0 == tally("checkpoint").code
    assert 0 == tally("verify").code

    said = tally("verify", "--checkpoint", "kept", "--key", "pin")
    assert (4, False, "root") == held()
    assert "The log does not go on from the checkpoint (root)" in said.out


def test_a_log_whose_end_was_cut_off_is_seen(place: Place) -> None:
    place.ledger.rename(place.beside / "true")
    tallystick.open(place.ledger).close()

    said = tally("verify", "--checkpoint", "kept", "--key", "pin")
    assert (4, False, "size") == held()
    assert "the log ends at 0; a checkpoint that was kept has 31 records" in said.out


def test_a_checkpoint_that_nobody_trusted_signed_is_held_to_nothing(place: Place) -> None:
    same = tallystick.keys.new(place.origin, place.beside / "same.key")
    said = tally("verify", "--checkpoint", "kept", "--key", same)

    assert (4, "") == (said.code, said.out)


def test_without_a_given_one_the_log_is_held_to_the_checkpoint_that_it_keeps(place: Place) -> None:
    good = tally("verify")
    assert (0, True) == (good.code, "as the log keeps it; nobody verified it" in good.out)
    kept = place.kept() or b""
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: kept.replace(b"\n31\n", b"\n30\n")})
    said = tally("verify", "--json")
    assert (4, False, "root") == (said.code, said.data["ok"], said.data["checkpoint"]["what"])
    doctor = tally("doctor", "--json")
    assert (4, ["damaged"]) == (doctor.code, levels(doctor.data, "checkpoint"))


def levels(data: dict[str, list[dict[str, str]]], check: str) -> list[str]:
    return [finding["level"] for finding in data["findings"] if finding["check"] == check]


def test_a_check_up_says_whether_the_ledger_can_be_signed_and_is(place: Place) -> None:
    gone = tally("doctor", "--json").data
    assert (["bad"], ["ok"]) == (levels(gone, "signing key"), levels(gone, "checkpoint"))
    (place.beside / "elsewhere").rename(place.files[0])
    assert ["ok"] == levels(tally("doctor", "--json").data, "signing key")
    status = tally("status", "--json").data["checkpoint"]
    assert {"origin": place.origin, "size": EVENTS, "behind": 0} == status
    assert f"{place.origin}, {EVENTS} events" in tally("status").out
    longer = (place.kept() or b"").replace(b"\n31\n", b"\n32\n")
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: longer})
    assert 'more than there are: run "tally doctor"' in tally("status").out
    assert ["damaged"] == levels(tally("doctor", "--json").data, "checkpoint")
    with place.log(writable=True) as log:
        log.append((), {}, {CHECKPOINT_NOTE: b"nothing"})
    assert ["damaged"] == levels(tally("doctor", "--json").data, "checkpoint")
    assert 4 == tally("verify").code
    assert "checkpoint" not in tally("status", "--json").data


def test_a_named_log_without_a_checkpoint_is_a_warning(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.written()
    tallystick.open(place.ledger).close()

    assert ["warn"] == levels(tally("doctor", "--json", "--ledger", str(place.ledger)).data, "checkpoint")


def test_a_proof_names_what_is_kept_beside_the_log_and_does_not_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    place.new_key()
    place.written(0)
    file = place.ledger / "tallystick.toml"
    file.write_text(f'{file.read_text("utf-8")}[payloads]\naside = "content"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    where = ("--ledger", str(place.ledger))
    assert 0 == tally("run", *where, "--owner", "agent:main", "--label", "Xylophone", "--", "true").code

    assert 0 == tally("prove", *where, "1").code
    proof = Path("event-1.tlog-proof").read_bytes()
    words = tally("verify", "--proof", "event-1.tlog-proof", "--key", place.verifiers[0]).out
    told = tally("verify", "--proof", "event-1.tlog-proof", "--key", place.verifiers[0], "--json").data

    beside = "beside task, label: kept beside the log, and not in this proof; the record has digests of them"
    assert beside in " ".join(words.split())
    assert ["task", "label"] == told["beside"]
    assert {"task", "label"} == told["event"]["data"]["aside"].keys()
    assert "erased" not in told["event"]
    for said in (words, str(told), str(b64decode(proof.split(b"extra ")[1].split(b"\n")[0]))):
        assert "Xylophone" not in said
    plainly = tally("prove", *where, "2", "--out", "-").out
    Path("two").write_text(plainly, "utf-8")
    assert "beside" not in tally("verify", "--proof", "two", "--key", place.verifiers[0], "--json").data
