"""The ledger is held to a checkpoint: `tally verify` and `ledger.verify()` say that it fits, does not, or may."""

import asyncio
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.proofs.checkpoint import Checkpoint, sign
from tallystick.ledger.proofs.note import Note, Signature
from tallystick.ledger.store import keys
from tallystick.ledger.store.tree import Edge
from tallystick.ledger.store.verify import Kind, Standing
from tallystick.readings import LOG_FOLDER
from tallystick.testing import HandClock
from tests.cli.support import Said, process, tally
from tests.ledger.store import raw
from tests.ledger.store.sound import write
from tests.notary.parts import ORIGIN, Place, said

SIZE, SEALED = 600, 512


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger of some hundred events, whose first ones are archived, and whose key is known."""
    made = Place(tmp_path)
    made.new_key()
    made.written(0)
    write(made.ledger / LOG_FOLDER, SIZE)
    with made.log(writable=True) as log:
        sealing = Sealing(log, segment_events=SEALED)
        sealing.due(2**50, 0)
        while sealing.step():
            pass
        assert SEALED == log.archived()
    return made


def lose_archive(place: Place) -> None:
    for segment in (place.ledger / LOG_FOLDER / "archive").glob("*.seg"):
        segment.unlink()


def keep(place: Place, note: bytes) -> None:
    with place.log(writable=True) as log:
        log.append((), {}, {keys.CHECKPOINT_NOTE: note})


def signed(place: Place, size: int, root: bytes) -> Path:
    file = place.beside / "given"
    file.write_bytes(sign(Checkpoint(place.origin, size, root), tallystick.keys.read(place.files[0])).to_bytes())
    return file


def verified(place: Place, checkpoint: Path, *words: str) -> Said:
    return tally(
        "verify", "--ledger", str(place.ledger), "--checkpoint", str(checkpoint), "--key", place.verifiers[0], *words
    )


def test_a_checkpoint_between_lost_records_is_neither_held_nor_refuted(place: Place) -> None:
    lose_archive(place)
    file = signed(place, 300, b"\x07" * 32)

    shown = verified(place, file)
    told = verified(place, file, "--json")

    assert (4, 4) == (shown.code, told.code)
    assert "The log goes on from the checkpoint." not in shown.out
    assert "It cannot be said whether the log goes on from the checkpoint (hashes): " in shown.out
    assert (False, False, "hashes") == (
        told.data["ok"],
        told.data["checkpoint"]["ok"],
        told.data["checkpoint"]["what"],
    )


def test_a_checkpoint_is_judged_however_much_else_is_wrong(place: Place) -> None:
    with raw.opened(place.ledger / LOG_FOLDER) as database:
        for stream, position in database(keys.STREAMS).rows():
            database(keys.STREAMS).remove(stream, position)
        meta = database(keys.META)
        meta[keys.EDGE] = raw.flipped(meta[keys.EDGE])
    good = signed(place, SIZE, place.root_of(SIZE))
    assert True is verified(place, good, "--json").data["checkpoint"]["ok"]

    told = verified(place, signed(place, SIZE, b"\x07" * 32), "--json").data["checkpoint"]
    assert (False, "root") == (told["ok"], told["what"])


def test_the_ledger_itself_is_held_to_the_newest_checkpoint_that_it_keeps(place: Place) -> None:
    with place.open() as ledger:
        assert () == ledger.verify().verdicts
    with place.open(0) as ledger:
        note = ledger.checkpoint()
        found = ledger.verify()
    kept = said(note)
    assert True is found.ok
    assert [(kept.size, kept.root_hash, Standing.HELD)] == [
        (verdict.checkpoint.size, verdict.checkpoint.root_hash, verdict.standing) for verdict in found.verdicts
    ]


@pytest.mark.parametrize(("size", "kind"), [(SIZE - 1, Kind.FORKED), (10 * SIZE, Kind.CUT_OFF)])
def test_a_kept_checkpoint_that_does_not_fit_is_a_problem_of_the_ledger(place: Place, size: int, kind: Kind) -> None:
    keep(place, signed(place, size, b"\x07" * 32).read_bytes())

    with place.open() as ledger:
        found = ledger.verify()

    assert (False, [kind]) == (found.ok, [problem.kind for problem in found.problems])


def test_what_is_kept_and_is_no_checkpoint_is_a_problem_of_the_ledger(place: Place) -> None:
    keep(place, b"no checkpoint")

    async def apart() -> bool:
        async with tallystick.open_async(place.ledger) as ledger:
            return (await ledger.verify()).ok

    with place.open() as ledger:
        found = ledger.verify()
    assert (False, 1, [(0, Kind.CHECKPOINT)]) == (
        found.ok,
        found.problem_count,
        [(problem.position, problem.kind) for problem in found.problems],
    )
    assert False is asyncio.run(apart())
    assert 4 == tally("verify", "--ledger", str(place.ledger)).code


def test_a_given_checkpoint_that_fits_does_not_hide_a_kept_one_that_does_not(place: Place) -> None:
    file = signed(place, SIZE, place.root_of(SIZE))
    keep(place, sign(Checkpoint(place.origin, 9, bytes(32)), tallystick.keys.read(place.files[0])).to_bytes())

    told = verified(place, file, "--json")

    assert (4, False, True) == (told.code, told.data["ok"], told.data["checkpoint"]["ok"])
    assert ["forked"] == [problem["kind"] for problem in told.data["problems"]]


@pytest.mark.parametrize("command", ["verify", "status", "doctor", "list"])
def test_no_command_goes_on_for_ever_in_a_log_that_says_that_it_is_too_long(place: Place, command: str) -> None:
    far = 2**50
    with raw.opened(place.ledger / LOG_FOLDER) as database:
        database(keys.META)[keys.EDGE] = Edge(far, (b"x" * 32,)).to_bytes()
        database(keys.EVENTS)[keys.event_key(far)] = b"far"

    done = process(command, "--ledger", place.ledger)

    assert (4 if command == "verify" else 0) == done.code


# Notes that were set aside for another origin.


@pytest.fixture
def renamed(place: Place) -> Place:
    """The ledger when it has another name by now: the note of its first name is set aside, and fits."""
    with place.open(0, clock=HandClock()) as ledger:
        ledger.checkpoint()
    second = Place(place.beside, "example.org/ledger/second")
    second.files = [place.beside / "second.key"]
    second.verifiers = [tallystick.keys.new(second.origin, second.files[0])]
    with second.open(0, clock=HandClock()) as ledger:
        ledger.checkpoint()
    second.written(0)
    return second


def set_aside(place: Place, note: bytes) -> None:
    """Put another note in the place of the one that was set aside."""
    with place.log(writable=True) as log:
        [name] = [name for name, _ in log.notes(keys.CHECKPOINT_NOTE + b"/")]
        log.append((), {}, {name: note})


def aside(place: Place, origin: str, size: int, root: bytes) -> None:
    line = Signature(origin, b"abcd", b"x")
    set_aside(place, Note(Checkpoint(origin, size, root).text, (line,)).to_bytes())


def test_a_note_that_was_set_aside_for_another_origin_and_fits_is_held_and_shown(renamed: Place) -> None:
    with renamed.open(0) as ledger:
        found = ledger.verify()
    shown, told = (tally("verify", "--ledger", str(renamed.ledger), *words) for words in ((), ("--json",)))

    assert (True, [Standing.HELD] * 2) == (found.ok, [verdict.standing for verdict in found.verdicts])
    assert (0, 0) == (shown.code, told.code)
    assert 2 == shown.out.count("The log goes on from the checkpoint.")
    assert f"checkpoint {ORIGIN}, {SIZE} events, as the log keeps it" in shown.out
    assert [(True, ORIGIN, SIZE)] == [(each["ok"], each["origin"], each["size"]) for each in told.data["setAside"]]
    assert (True, renamed.origin) == (told.data["checkpoint"]["ok"], told.data["checkpoint"]["origin"])


@pytest.mark.parametrize(("size", "kind", "what"), [(SIZE - 1, Kind.FORKED, "root"), (9 * SIZE, Kind.CUT_OFF, "size")])
@pytest.mark.parametrize("has_newest", [True, False])
def test_a_note_that_was_set_aside_for_another_origin_and_does_not_fit_is_a_problem(
    renamed: Place, size: int, kind: Kind, what: str, *, has_newest: bool
) -> None:
    aside(renamed, ORIGIN, size, b"\x07" * 32)
    if not has_newest:
        with raw.opened(renamed.ledger / LOG_FOLDER) as database:
            del database(keys.META)[keys.note_key(keys.CHECKPOINT_NOTE)]
    with renamed.open() as ledger:
        found = ledger.verify()
    told = tally("verify", "--ledger", str(renamed.ledger), "--json")

    assert (False, [kind]) == (found.ok, [problem.kind for problem in found.problems])
    assert (4, [(False, what)]) == (told.code, [(each["ok"], each["what"]) for each in told.data["setAside"]])
    assert has_newest is ("checkpoint" in told.data)
    assert "The log does not go on from the checkpoint" in tally("verify", "--ledger", str(renamed.ledger)).out
    assert 4 == tally("doctor", "--ledger", str(renamed.ledger)).code


def test_what_was_set_aside_and_is_no_checkpoint_is_a_problem(renamed: Place) -> None:
    set_aside(renamed, b"no checkpoint")
    with renamed.open() as ledger:
        found = ledger.verify()

    assert (False, [(0, Kind.CHECKPOINT)]) == (found.ok, [(each.position, each.kind) for each in found.problems])
    assert "of another origin" in found.problems[0].detail
    assert 4 == tally("verify", "--ledger", str(renamed.ledger)).code


def test_a_given_checkpoint_does_not_hide_what_was_set_aside(renamed: Place) -> None:
    aside(renamed, ORIGIN, 9, bytes(32))
    told = verified(renamed, signed(renamed, SIZE, renamed.root_of(SIZE)), "--json")

    assert (4, False, True) == (told.code, told.data["ok"], told.data["checkpoint"]["ok"])
    assert ["forked"] == [problem["kind"] for problem in told.data["problems"]]
