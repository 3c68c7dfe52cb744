"""An export is imported as a whole or not at all, and whatever was done to it gets a clear verdict."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tallystick
from tallystick import InvalidInput, NewerFormat, NotOwner, TallystickError
from tallystick.exports.lines import FORMAT, End, Header, event_line, written
from tallystick.imports.exported import ExportFile
from tallystick.imports.rebuild import checked, rebuild
from tallystick.ledger.events import Event
from tallystick.ledger.limits import IMPORT_LINE_BYTES_MAX
from tallystick.ledger.store import codec
from tallystick.ledger.store.tree import Tree, leaf_hashes
from tests.cli.support import make_stories, process, tally
from tests.exports.parts import NOW_MS, bodies, everything, exported, logged, read, root
from tests.projections.histories import histories, told


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of four tasks."""
    path = tmp_path / "export.ndjson"
    path.write_bytes(exported(read(logged(told())))[0])
    return path


def refused(path: Path, content: bytes, ledger: Path) -> str:
    """Import something that cannot be; returns the verdict. Nothing may be left of it."""
    path.write_bytes(content)
    with pytest.raises(TallystickError) as caught:
        rebuild(path, ledger, now=NOW_MS)
    assert not ledger.exists()
    return str(caught.value)


Spoil = Callable[[list[bytes], random.Random], None]


def cut(lines: list[bytes], chance: random.Random) -> None:
    """Lose everything from somewhere in a line on."""
    place = chance.randrange(len(lines))
    lines[place:] = [lines[place][: chance.randrange(len(lines[place]))]]


def lose(lines: list[bytes], chance: random.Random) -> None:
    """Lose a line."""
    del lines[chance.randrange(len(lines))]


def swap(lines: list[bytes], chance: random.Random) -> None:
    """Put a line before the one that it follows."""
    place = chance.randrange(1, len(lines))
    lines[place - 1 : place + 1] = [lines[place], lines[place - 1]]


def double(lines: list[bytes], chance: random.Random) -> None:
    """Say a line twice."""
    place = chance.randrange(len(lines))
    lines.insert(place, lines[place])


def alter(lines: list[bytes], chance: random.Random) -> None:
    """Change one letter or digit of what an event says."""
    place = chance.randrange(1, len(lines) - 1)
    line = bytearray(lines[place])
    spots = [spot for spot, byte in enumerate(line) if chr(byte).isalnum()]
    spot = chance.choice(spots)
    line[spot] = ord("7") if line[spot] != ord("7") else ord("8")
    lines[place] = bytes(line)


SPOILS: tuple[Spoil, ...] = (cut, lose, swap, double, alter)


@pytest.mark.slow
@given(
    histories(most=10).filter(lambda events: len(events) > 1),
    st.sampled_from(SPOILS),
    st.randoms(use_true_random=False),
)
def test_whatever_is_done_to_a_line_is_noticed_and_nothing_is_written(
    events: list[Event], spoil: Spoil, chance: random.Random
) -> None:
    content = exported(read(logged(events)))[0]
    lines = content.splitlines()
    spoil(lines, chance)
    with tempfile.TemporaryDirectory() as folder:
        verdict = refused(Path(folder, "export"), b"\n".join([*lines, b""]), Path(folder, "ledger"))

    assert "not allowed" in verdict or "format" in verdict


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_are_imported_that_are_no_export(noise: bytes, is_compressed: bool) -> None:  # noqa: FBT001 - drawn
    content = b"\x28\xb5\x2f\xfd" * is_compressed + noise
    with tempfile.TemporaryDirectory() as folder:
        assert refused(Path(folder, "export"), content, Path(folder, "ledger"))


@pytest.mark.slow
@given(st.binary(max_size=60), st.integers(0, 3_000), st.booleans())
def test_bytes_in_the_middle_of_an_export_are_noticed(noise: bytes, place: int, replaces: bool) -> None:  # noqa: FBT001
    content = exported(read(logged(told())))[0]
    place %= len(content)
    spoiled = content[:place] + noise + content[place + len(noise) * replaces :]
    with tempfile.TemporaryDirectory() as folder:
        path, ledger = Path(folder, "export"), Path(folder, "ledger")
        path.write_bytes(spoiled)
        try:
            rebuild(path, ledger, now=NOW_MS)
        except TallystickError:
            assert not ledger.exists()
        else:  # white space, or the moment of the export
            assert logged(told()).tree_head().root_hash == root(ledger)


def test_a_line_that_was_altered_is_named(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines()
    lines[3] = lines[3].replace(b'"position":3', b'"position":4')

    verdict = refused(export, b"\n".join([*lines, b""]), tmp_path / "ledger")

    assert "(line 4: position 4 stands where 3 should)" in verdict
    assert 'a file that "tally export --format ndjson" wrote, as it was written' in verdict


def test_a_file_that_was_cut_off_says_where_it_ends(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines()

    verdict = refused(export, b"\n".join([*lines[:5], b""]), tmp_path / "ledger")

    assert "it was cut off behind event 4 of 12" in verdict


def test_a_summary_that_somebody_rewrote_has_another_root_and_both_are_named(export: Path, tmp_path: Path) -> None:
    content = export.read_bytes()

    verdict = refused(export, content.replace(b"Needs a key", b"Needs a kex"), tmp_path / "ledger")

    assert f"and not {logged(told()).tree_head().root_hash.hex()}" in verdict


def test_bytes_that_say_something_else_than_their_line_are_refused(export: Path, tmp_path: Path) -> None:
    lines = export.read_bytes().splitlines()
    line = json.loads(lines[1])
    other = json.loads(exported(read(logged(told())))[0].splitlines()[1])
    line["body"] = "lwE="
    lines[1] = json.dumps(line).encode()
    assert other != line

    verdict = refused(export, b"\n".join([*lines, b""]), tmp_path / "ledger")

    assert "line 2: its body" in verdict


def test_a_line_without_an_end_is_not_read_for_ever(tmp_path: Path) -> None:
    verdict = refused(tmp_path / "export", b"[" * (2 * IMPORT_LINE_BYTES_MAX), tmp_path / "ledger")

    assert f"longer than {IMPORT_LINE_BYTES_MAX:,} bytes" in verdict


def test_an_export_of_a_newer_version_is_left_alone(export: Path, tmp_path: Path) -> None:
    export.write_bytes(export.read_bytes().replace(b'"version":1,"madeAt"', b'"version":3,"madeAt"'))

    with pytest.raises(NewerFormat, match="has format 3, this version knows 2"):
        rebuild(export, tmp_path / "ledger", now=NOW_MS)


@pytest.mark.parametrize("version", [0, -1])
def test_an_export_of_a_version_that_never_was_is_no_export(export: Path, tmp_path: Path, version: int) -> None:
    altered = export.read_bytes().replace(b'"version":1,"madeAt"', b'"version":%d,"madeAt"' % version)

    assert "line 1: " in refused(export, altered, tmp_path / "ledger")


def test_a_part_of_a_log_is_no_log(tmp_path: Path) -> None:
    verdict = refused(tmp_path / "export", exported(read(logged(told())), after=3)[0], tmp_path / "ledger")

    assert "it has a part: after 3" in verdict
    assert "an export of a whole log" in verdict


def test_white_space_and_the_order_of_names_do_not_matter(export: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in export.read_bytes().splitlines()]
    export.write_text("".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines), "utf-8")

    rebuild(export, tmp_path / "ledger", now=NOW_MS)

    assert logged(told()).tree_head().root_hash == root(tmp_path / "ledger")


def test_a_file_with_a_root_of_its_own_whose_events_do_not_follow_each_other_leaves_no_log(tmp_path: Path) -> None:
    path, ledger = tmp_path / "forged", tmp_path / "ledger"
    first, second, *_ = told()
    forged = [first, replace(second, version=3)]
    root_hash = Tree().extend(leaf_hashes(map(codec.encode, forged))).tree.edge.root()
    header = Header(
        format=FORMAT, version=1, made_at=1, made_by="me", ledger="x", size=2, whole=True, root_hash=root_hash
    )
    end = End(end=True, events=2, damaged=0, deleted=0, root_hash=root_hash)
    lines = [written(header), *(event_line(event, codec.encode(event)) for event in forged), written(end)]
    path.write_bytes(b"\n".join([*lines, b""]))

    with pytest.raises(InvalidInput, match="an export whose events follow each other"):
        rebuild(path, ledger, now=NOW_MS)

    assert [] == [each.name for each in ledger.iterdir() if each.name.startswith("log")]


@pytest.mark.parametrize("said", ['"version":0', '"version":4294967296'])
def test_an_event_with_a_version_that_none_can_have_is_refused_with_its_line(
    export: Path, tmp_path: Path, said: str
) -> None:
    content = export.read_bytes().replace(b'"version":2,"type"', f'{said},"type"'.encode(), 1)

    verdict = refused(export, content, tmp_path / "ledger")

    assert "line " in verdict
    assert "Expected `int`" in verdict


def test_a_ledger_that_has_events_stays_as_it_is_and_the_error_says_what_to_do(export: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with tallystick.open(ledger) as opened:
        opened.create(runtime="cli", task="x", owner="o")
    before = everything(ledger)

    with pytest.raises(
        InvalidInput, match=r'without events.*name another one with "--ledger" \(this one has 1 event\)'
    ):
        rebuild(export, ledger, now=NOW_MS)

    assert before == everything(ledger)


def test_a_ledger_without_events_becomes_the_one_that_was_exported_and_keeps_its_configuration(
    export: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    tallystick.open(ledger).close()
    (ledger / "tallystick.toml").write_text('[grace]\nacp = "1m"\n', "utf-8")

    rebuild(export, ledger, now=NOW_MS)

    assert (ledger / "tallystick.toml").exists()
    assert [name.name for name in ledger.glob("*.unfinished")] == []
    with tallystick.open(ledger) as opened:
        assert (4, 12, True) == (opened.counts().total + 1, opened.verify().head, opened.verify().ok)


def test_read_models_that_another_log_has_left_there_are_made_anew(export: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    make_stories(ledger)
    shutil.rmtree(ledger / "log")

    rebuild(export, ledger, now=NOW_MS)

    with tallystick.open(ledger, read_only=True) as opened:
        assert 3 == opened.counts().total
    with tallystick.open(ledger) as opened:
        opened.settled()
        assert 3 == opened.counts().total


def test_a_live_owner_keeps_its_ledger(export: Path, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as opened:
        with pytest.raises(NotOwner, match="has a live owner"):
            rebuild(export, tmp_path / "ledger", now=NOW_MS)
        with pytest.raises(NotOwner, match="has a live owner"):
            checked(export, tmp_path / "ledger")
        assert 0 == opened.verify().head


def test_an_owner_that_gives_way_is_none_for_a_dry_run_either(export: Path, tmp_path: Path) -> None:
    with tallystick.join(tmp_path / "ledger"):
        assert 12 == checked(export, tmp_path / "ledger").events


def test_a_dry_run_says_what_would_be_and_writes_nothing(export: Path, tmp_path: Path) -> None:
    made = checked(export, tmp_path / "ledger")

    assert (12, logged(told()).tree_head().root_hash) == (made.events, made.root_hash)
    assert not (tmp_path / "ledger").exists()


def test_runs_and_keys_are_known_again_and_the_log_verifies(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "first") as first:
        run = first.create(runtime="cli", task="x", owner="o", run_id="run-1")
        key = first.create(runtime="cli", task="x", owner="o", idempotency_key="key-1")
        first.create(runtime="cli", task="x", owner="o", run_id="run-1", idempotency_key="key-2")
        flow = first.flows.create(owner="o", goal="g", controller="c", idempotency_key="key-3")
        picture = first.create(runtime="cli", task="A fox", owner="o", kind="image_generation")
        first.export("ndjson", tmp_path / "export.zst")
    rebuild(tmp_path / "export.zst", tmp_path / "ledger", now=NOW_MS)

    with tallystick.open(tmp_path / "ledger") as ledger:
        assert ledger.verify().ok
        assert run.id == ledger.create(runtime="cli", task="x", owner="o", run_id="run-1").id
        assert key.id == ledger.create(runtime="acp", task="y", owner="o", idempotency_key="key-1").id
        assert run.id == ledger.create(runtime="acp", task="y", owner="o", idempotency_key="key-2").id
        assert flow.id == ledger.flows.create(owner="o", goal="g", controller="c", idempotency_key="key-3").id
        assert picture.id == ledger.create(runtime="cli", task="A fox", owner="o", kind="image_generation").id


@pytest.mark.slow
def test_the_commands_carry_a_ledger_to_another_folder(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")
    out, again = str(tmp_path / "all.ndjson.zst"), str(tmp_path / "again")

    made = process("export", "--ledger", tmp_path / "ledger", "--format", "ndjson", "--out", out, "--json")
    taken = process("import", "--ledger", again, out, "--json")
    verified = tally("verify", "--ledger", again, "--json")

    assert (0, 0, True) == (made.code, taken.code, verified.data["ok"])
    assert made.data["rootHash"] == taken.data["rootHash"] == verified.data["rootHash"]
    assert bodies(tmp_path / "ledger") == bodies(Path(again))
    assert (
        tally("list", "--ledger", str(tmp_path / "ledger"), "--json").data["tasks"]
        == (tally("list", "--ledger", again, "--json").data["tasks"])
    )


def test_what_a_command_cannot_import_is_a_wrong_use_in_words_and_as_data(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")

    said = tally("import", "--ledger", str(tmp_path / "ledger"), str(tmp_path / "x"), "--json")

    assert (2, "InvalidInput", "file") == (said.code, said.error["type"], said.error["field"])
    assert 'or the state database of OpenClaw, "openclaw.sqlite"' in said.error["message"]
    assert 2 == tally("import", "--ledger", str(tmp_path / "ledger"), str(tmp_path / "nowhere")).code
    assert not (tmp_path / "ledger").exists()


def test_what_an_export_says_of_itself_is_read_without_reading_all_of_it(export: Path) -> None:
    assert 12 == ExportFile.open(export).header.size
