"""A bundle shows to somebody without the ledger what is in it, and nothing of it can be another unnoticed."""

import random
import re
import shutil
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tallystick import InvalidInput, NotFound, NotProved
from tallystick.exports import manifest
from tallystick.exports.evidence import verify_bundle
from tallystick.exports.manifest import proof_path
from tallystick.ledger.events import Event
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.limits import BUNDLE_EVENTS_MAX
from tallystick.ledger.proofs.tlog_proof import parse_inclusion_proof
from tallystick.ledger.store.codec import decode, encode
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.tree import leaf_hash
from tests.cli.support import make_stories, process, tally
from tests.cli.test_start import loaded
from tests.exports.evidence import bundled, contents, listed, paged, refused, verified
from tests.exports.parts import Spoiled, logged
from tests.exports.test_any_record import EVENTS
from tests.ledger.archive import test_deletion as deletion
from tests.ledger.archive.shelves import SEGMENT
from tests.notary.parts import Place
from tests.proofs.parts import flipped
from tests.story import BEGIN_MS, STREAM

FLIPS = 60  # of a file


# What is written holds.


def test_a_bundle_shows_every_event_of_the_log_without_the_ledger(place: Place, bundle: Path) -> None:
    found = verified(place, bundle)

    assert (len(EVENTS), len(EVENTS), 0, 0) == (found.events, found.size, found.damaged, found.deleted)
    assert (1, len(EVENTS), True, ()) == (found.first, found.last, found.is_unbroken, found.partial)
    assert (place.origin, None) == (found.origin, found.attested)


def test_a_task_is_selected_as_timelines_name_it_and_what_is_left_out_is_said(tmp_path: Path, place: Place) -> None:
    ids = make_stories(place.ledger)
    place.written(0)
    options = ["--ledger", str(place.ledger), "--format", "bundle", "--json"]

    made = tally("export", *options, "--out", str(tmp_path / "one"), ids["build"])
    part = tally("export", *options, "--out", str(tmp_path / "part.zip"), "--after", "1", "--until-position", "4")

    assert (0, 0) == (made.code, part.code)
    whole = verified(place, tmp_path / "one")
    assert (made.data["events"], ()) == (whole.events, whole.partial)
    assert "build" in (tmp_path / "one" / "index.html").read_text("utf-8")
    some = verified(place, tmp_path / "part.zip")
    assert (3, 2, 4, True) == (some.events, some.first, some.last, some.is_unbroken)
    assert ids["build"] in some.partial


def test_a_zip_of_the_same_events_at_the_same_time_has_the_same_bytes(place: Place, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        bundled(logged(EVENTS), place, tmp_path / name)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with ZipFile(tmp_path / "a.zip") as archive:
        assert {(1980, 1, 1, 0, 0, 0)} == {info.date_time for info in archive.infolist()}
    assert verified(place, tmp_path / "a.zip").events == len(EVENTS)


def test_a_bundle_is_there_as_a_whole_or_not_at_all_and_replaces_nothing(place: Place, tmp_path: Path) -> None:
    for name in ("out", "out.zip"):
        bundled(logged(EVENTS), place, tmp_path / f"first-{name}")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(NotFound, match="no events"):
            bundled(logged(EVENTS), place, tmp_path / name, since=BEGIN_MS * 2)
        assert before == sorted(tmp_path.iterdir())
        bundled(logged(EVENTS), place, tmp_path / name)
        with pytest.raises(InvalidInput, match="not there yet"):
            bundled(logged(EVENTS), place, tmp_path / name)
    assert 0o700 == (tmp_path / "out").stat().st_mode & 0o777
    assert 0o600 == (tmp_path / "out.zip").stat().st_mode & 0o777


@pytest.mark.slow
def test_too_many_events_are_refused_with_how_to_have_fewer(place: Place, tmp_path: Path) -> None:
    beats = [
        Event(position, STREAM, position, 1, 1, "a", TaskStarted()) for position in range(1, BUNDLE_EVENTS_MAX + 2)
    ]

    with pytest.raises(InvalidInput, match="narrow it with LOOKUP"):
        bundled(logged(beats), place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_older_than_the_events_is_refused(place: Place, tmp_path: Path) -> None:
    with place.open(0) as ledger:
        ledger.create(runtime="cli", task="x", owner="o")
    place.written()
    with place.open() as ledger:
        ledger.create(runtime="cli", task="y", owner="o")
    words = ["export", "--ledger", str(place.ledger), "--format", "bundle", "--json"]

    late = tally(*words, "--out", str(tmp_path / "out"))

    assert (1, True) == (late.code, "at least 2 records" in late.out)
    assert 0 == tally(*words, "--out", str(tmp_path / "out"), "--until-position", "1").code
    assert 1 == verified(place, tmp_path / "out").events


def test_a_changed_record_is_a_damaged_one_and_only_its_hash_is_proved(place: Place, tmp_path: Path) -> None:
    changed = encode(Event(2, STREAM, 2, 5, 5, "somebody else", TaskStarted()))

    made = bundled(Spoiled(EVENTS, 2, changed), place, tmp_path / "out")

    assert (1, len(EVENTS) - 1) == (made.about.damaged, made.about.events)
    assert 1 == verified(place, tmp_path / "out").damaged
    assert parse_inclusion_proof((tmp_path / "out" / proof_path(2)).read_bytes()).extra is None


def test_of_deleted_records_the_hashes_are_proved(place: Place, tmp_path: Path) -> None:
    path = place.ledger / "log"
    path.parent.mkdir()
    deletion.write(path)
    with DiskLog.open(path) as log:
        deletion.delete(log, before=SEGMENT + 1)
        last = SEGMENT + 2
        bundled(log, place, tmp_path / "out.zip", after=SEGMENT - 2, until_position=last)

    found = verified(place, tmp_path / "out.zip")
    assert (2, 2, last) == (found.deleted, found.events, found.last)


# What is another is noticed.


def test_one_flipped_bit_in_any_file_is_noticed(place: Place, tmp_path: Path) -> None:
    bundled(logged(EVENTS), place, tmp_path / "out", until_position=3)
    chance = random.Random(7)
    for path, sound in contents(tmp_path / "out").items():
        for bit in chance.sample(range(len(sound) * 8), FLIPS):
            (tmp_path / "out" / path).write_bytes(flipped(sound, bit))
            with pytest.raises(NotProved):
                verified(place, tmp_path / "out")
        (tmp_path / "out" / path).write_bytes(sound)
    assert 3 == verified(place, tmp_path / "out").events


def test_a_forged_line_is_caught_by_its_proof_though_the_manifest_fits(place: Place, bundle: Path) -> None:
    events = bundle / manifest.EVENTS
    events.write_bytes(events.read_bytes().replace(b"agent:main:main", b"agent:evil:evil", 1))
    listed(bundle)

    assert "says something else than its record" in refused(place, bundle)


def test_a_forged_record_is_caught_by_the_root_though_everything_else_fits(place: Place, bundle: Path) -> None:
    name = bundle / proof_path(1)
    proof = parse_inclusion_proof(name.read_bytes())
    assert proof.extra is not None
    forged = proof.extra.replace(b"agent:main:main", b"agent:evil:evil")
    assert forged != proof.extra
    name.write_bytes(type(proof)(proof.index, proof.hashes, proof.checkpoint, forged).to_bytes())
    events = bundle / manifest.EVENTS
    header, first, *rest = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join([header, first.replace(b"agent:main:main", b"agent:evil:evil"), *rest]))
    listed(bundle)
    paged(bundle, [decode(forged), *EVENTS[1:]])
    listed(bundle)

    assert refused(place, bundle).startswith(f"Not proved (root): {proof_path(1)}")


def test_a_page_that_says_something_else_is_caught_though_the_manifest_fits(place: Place, bundle: Path) -> None:
    text = (bundle / manifest.PAGE).read_text("utf-8")
    (bundle / manifest.PAGE).write_text(text.replace("Never proved", "Proved"), "utf-8")
    listed(bundle)

    assert f"{manifest.PAGE}: it is not the page" in refused(place, bundle)


@pytest.mark.parametrize(
    "said", [{"by": "the auditor"}, {"made_at": 1}, {"events": 1}, {"size": 1}, {"root_hash": "00"}]
)
def test_a_manifest_that_claims_something_else_is_caught(place: Place, bundle: Path, said: dict[str, object]) -> None:
    listed(bundle, **said)

    assert refused(place, bundle)


def leave_one_out(bundle: Path) -> None:
    """Take an event out that is neither the first nor the last of its history, and let everything else fit."""
    streams = [event.stream for event in EVENTS]
    left = next(at for at, stream in enumerate(streams, 1) if stream in streams[: at - 1] and stream in streams[at:])
    events = bundle / manifest.EVENTS
    raw = events.read_bytes().splitlines(keepends=True)
    end = raw[-1].replace(b'"events":%d' % len(EVENTS), b'"events":%d' % (len(EVENTS) - 1))
    events.write_bytes(b"".join([*raw[:left], *raw[left + 1 : -1], end]))
    (bundle / proof_path(left)).unlink()
    listed(bundle, events=len(EVENTS) - 1)
    paged(bundle, [*EVENTS[: left - 1], *EVENTS[left:]])
    listed(bundle)


def test_an_event_that_was_left_out_of_a_whole_log_is_caught(place: Place, bundle: Path) -> None:
    leave_one_out(bundle)

    assert f"all of {len(EVENTS)} events" in refused(place, bundle)


def test_an_event_that_was_left_out_of_a_part_shows_in_the_history(place: Place, tmp_path: Path) -> None:
    bundled(logged(EVENTS), place, tmp_path / "part", until_position=len(EVENTS))
    leave_one_out(tmp_path / "part")

    found = verified(place, tmp_path / "part")
    assert not found.is_unbroken
    assert found.partial


def test_a_file_that_is_missing_or_was_added_is_named(place: Place, bundle: Path) -> None:
    for path, content in contents(bundle).items():
        (bundle / path).unlink()
        assert path in refused(place, bundle)
        (bundle / path).write_bytes(content)
    (bundle / "README").write_text("trust me", "utf-8")
    assert "README" in refused(place, bundle)
    listed(bundle)
    assert "README" in refused(place, bundle)


@pytest.mark.parametrize(("old", "new"), [(b"{\n", b"{ \n"), (b'"about": {', b'"about": {\n    "by": "another",')])
def test_a_manifest_is_written_in_one_way_only(place: Place, bundle: Path, old: bytes, new: bytes) -> None:
    written = (bundle / manifest.MANIFEST).read_bytes()
    (bundle / manifest.MANIFEST).write_bytes(written.replace(old, new, 1))

    assert "written in another way" in refused(place, bundle)


def relined(bundle: Path, change: Callable[[list[bytes]], list[bytes]], **said: object) -> None:
    """Change the lines of the events, and let the manifest fit."""
    events = bundle / manifest.EVENTS
    events.write_bytes(b"".join(change(events.read_bytes().splitlines(keepends=True))))
    listed(bundle, **said)


def test_an_end_that_counts_other_events_is_caught(place: Place, bundle: Path) -> None:
    relined(bundle, lambda lines: [*lines[:-1], lines[-1].replace(b'"deleted":0', b'"deleted":7')])

    assert "not as many events" in refused(place, bundle)


def test_a_first_line_that_names_another_ledger_is_caught(place: Place, bundle: Path) -> None:
    relined(bundle, lambda lines: [lines[0].replace(b"example.org", b"example.com"), *lines[1:]])

    assert "its first line says something else" in refused(place, bundle)


@pytest.mark.parametrize("order", [[1, 1, 2], [2, 1, 3]])
def test_lines_that_stand_twice_or_in_another_order_are_caught(place: Place, tmp_path: Path, order: list[int]) -> None:
    bundled(logged(EVENTS), place, tmp_path / "out", until_position=3)
    relined(tmp_path / "out", lambda lines: [lines[0], *(lines[at] for at in order), lines[-1]])

    assert "behind a later one, or twice" in refused(place, tmp_path / "out")


def test_something_behind_the_end_and_an_end_that_is_missing_are_caught(place: Place, bundle: Path) -> None:
    relined(bundle, lambda lines: [*lines, lines[-1]])
    assert "behind its end" in refused(place, bundle)
    relined(bundle, lambda lines: lines[:-2])
    assert "its end is missing" in refused(place, bundle)


def test_a_hash_that_stands_elsewhere_in_the_log_does_not_pass_for_that_of_a_damaged_record(
    place: Place, tmp_path: Path
) -> None:
    bundled(Spoiled(EVENTS, 2, b"spoiled"), place, tmp_path / "out")
    sound = parse_inclusion_proof((tmp_path / "out" / proof_path(3)).read_bytes())
    assert sound.extra is not None
    moved = type(sound)(sound.index, sound.hashes, sound.checkpoint)
    (tmp_path / "out" / proof_path(2)).write_bytes(moved.to_bytes())
    there = b64encode(leaf_hash(sound.extra))
    relined(tmp_path / "out", lambda lines: [re.sub(rb'(?<="leafHash":")[^"]+', there, line) for line in lines])

    assert f"{proof_path(2)}: it is of position 3" in refused(place, tmp_path / "out")


def test_a_proof_that_holds_under_another_checkpoint_of_the_same_log_is_refused(
    place: Place, bundle: Path, tmp_path: Path
) -> None:
    bundled(logged(EVENTS[:3]), place, tmp_path / "older")
    shutil.copy(tmp_path / "older" / proof_path(1), bundle / proof_path(1))
    listed(bundle)

    assert f"{proof_path(1)}: it has another checkpoint" in refused(place, bundle)


def test_proofs_and_checkpoints_that_do_not_belong_are_named(place: Place, bundle: Path) -> None:
    shutil.copy(bundle / proof_path(1), bundle / proof_path(999))
    listed(bundle)
    assert proof_path(999) in refused(place, bundle)
    (bundle / proof_path(999)).unlink()
    (bundle / "attested").mkdir()
    (bundle / manifest.TOKEN).write_bytes(b"token")
    listed(bundle)
    assert manifest.TOKEN in refused(place, bundle)


def test_another_key_and_another_log_prove_nothing(place: Place, bundle: Path, tmp_path: Path) -> None:
    other = place.new_key()
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Place(tmp_path / "elsewhere", "example.org/another").new_key()

    for key in (other, elsewhere):
        with pytest.raises(NotProved, match="checkpoint: no trusted key"):
            verify_bundle(bundle, key)
    done = tally("verify", "--bundle", str(bundle), "--key", other)
    assert (4, True) == (done.code, "checkpoint" in done.err)


# Who verifies needs no ledger.


def test_a_bundle_is_verified_without_what_reads_a_ledger(place: Place, bundle: Path) -> None:
    modules = loaded("verify", "--bundle", str(bundle), "--key", place.verifiers[0])

    assert "tallystick.exports.evidence" in modules
    assert (
        not {"tallystick.readings", "tallystick.actors", "tallystick.ledger.store.disk", "tallystick.exports.bundle"}
        & modules
    )


def test_standard_output_is_refused(place: Place) -> None:
    make_stories(place.ledger)
    place.written(0)
    for out in ([], ["--out", "-"]):
        assert 2 == process("export", "--ledger", str(place.ledger), "--format", "bundle", *out).code


def test_the_checkpoint_of_a_bundle_is_that_of_every_proof(bundle: Path) -> None:
    note = (bundle / manifest.CHECKPOINT).read_bytes()

    for position in range(1, len(EVENTS) + 1):
        assert note == parse_inclusion_proof((bundle / proof_path(position)).read_bytes()).checkpoint
