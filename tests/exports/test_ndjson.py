"""An NDJSON export has every record, can be read by people, and leads back to the very same log."""

import base64
import io
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.imports.rebuild import rebuild
from tallystick.ledger.events import Event
from tallystick.ledger.store import codec
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.restoring import restore
from tallystick.readings import LOG_FOLDER
from tests.cli.damage import change_record
from tests.cli.support import make_stories, tally
from tests.exports.parts import NOW_MS, bodies, exported, lines, logged, read, root
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.archive.test_deletion import write
from tests.projections.flow_histories import flow_histories
from tests.projections.histories import histories, records_of


def imported(content: bytes, folder: Path) -> Path:
    """Make a ledger of an export."""
    (folder / "export").write_bytes(content)
    rebuild(folder / "export", folder / "again", now=NOW_MS)
    return folder / "again"


@pytest.mark.slow
@given(st.one_of(histories(), flow_histories()))
def test_whatever_was_recorded_comes_back_byte_by_byte_with_the_same_root(events: list[Event]) -> None:
    log = logged(events)

    content, made = exported(read(log))
    with tempfile.TemporaryDirectory() as folder:
        again = imported(content, Path(folder))
        with DiskLog.open(again / "log", readonly=True) as rebuilt:
            assert list(log.bodies()) == list(rebuilt.bodies())
            assert log.tree_head() == rebuilt.tree_head()
            assert records_of(events) == records_of([each for each in rebuilt.read() if isinstance(each, Event)])

    assert made.is_sound
    assert made.is_whole
    assert len(events) == made.events


@pytest.mark.slow
@given(histories(most=8))
def test_the_lines_are_the_events_of_timelines_and_need_no_bytes(events: list[Event]) -> None:
    header, *told, end = lines(exported(read(logged(events)))[0])

    assert [event.position for event in events] == [line["position"] for line in told]
    assert [event.type for event in events] == [line["type"] for line in told]
    assert not any("body" in line for line in told)
    assert (header["rootHash"], len(events)) == (end["rootHash"], end["events"])


def test_an_event_has_the_fields_that_a_timeline_has(tmp_path: Path) -> None:
    ids = make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"))

    shown = tally("timeline", *where, ids["build"], "--json").data["events"]
    _, *told, _ = lines(tally("export", *where, "--format", "ndjson", ids["build"]).out.encode())

    assert [{"taskId": ids["build"], **event} for event in shown] == told


def test_a_record_that_another_version_wrote_keeps_its_own_bytes(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with tallystick.open(ledger) as opened:
        opened.create(runtime="cli", task="x", owner="o")

    def longer(body: bytes) -> bytes:
        """Say as much, with a default spelled out as an older version might have."""
        stored = msgspec.msgpack.decode(body)
        stored[6]["label"] = None
        return msgspec.msgpack.encode(stored)

    plain = codec.decode(bodies(ledger)[0][1])
    body = longer(bodies(ledger)[0][1])
    log = tmp_path / "old" / "log"
    with DiskLog.open(log) as old:
        restore(old, [body], lambda _events: {})
    assert plain == codec.decode(body)

    with DiskLog.open(log, readonly=True) as old:
        content, made = exported(read(old))
    again = imported(content, tmp_path)

    assert base64.b64encode(body).decode() == lines(content)[1]["body"]
    assert made.is_sound
    assert [(1, body)] == bodies(again)


def test_what_is_damaged_is_a_line_that_says_so_and_the_command_says_how_many(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    make_stories(ledger)
    change_record(ledger, 20, lambda _: b"broken")
    out = tmp_path / "out.ndjson"

    said = tally("export", "--ledger", str(ledger), "--format", "ndjson", "--out", str(out))
    piped = tally("export", "--ledger", str(ledger), "--format", "ndjson")
    gaps = [line for line in lines(out.read_bytes()) if line.get("damaged") and "position" in line]

    assert (4, 4) == (said.code, piped.code)
    assert '1 record is damaged: the export says so. See "tally verify".' == said.out.splitlines()[-1]
    assert said.out.splitlines()[-1] in piped.err
    [gap] = gaps
    assert (20, base64.b64encode(b"broken").decode()) == (gap["position"], gap["body"])
    assert lines(out.read_bytes())[0]["rootHash"] == lines(out.read_bytes())[-1]["rootHash"]


def test_a_record_that_was_changed_and_can_be_read_shows_in_the_root(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    make_stories(ledger)
    change_record(ledger, 3, lambda body: body.replace(b"3 files", b"4 files"))

    said = tally("export", "--ledger", str(ledger), "--format", "ndjson", "--out", str(tmp_path / "out"))
    header, *_, end = lines((tmp_path / "out").read_bytes())

    assert 4 == said.code
    assert "The root of what was written is not that of the log" in said.out
    assert header["rootHash"] != end["rootHash"]


def test_what_was_deleted_with_its_archive_is_a_line_that_says_who_did_it(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    write(ledger / LOG_FOLDER)
    with tallystick.open(ledger, actor="the clerk") as opened:
        opened.delete_archives(before=SEGMENT + 1, reason="the law")

    said = tally("export", "--ledger", str(ledger), "--format", "ndjson", "--out", str(tmp_path / "out"))
    header, *told, end = lines((tmp_path / "out").read_bytes())

    assert 0 == said.code
    assert f"{SEGMENT:,} events were deleted with their archive" in said.out
    assert [("the clerk", "the law")] * SEGMENT == [
        (line["deleted"]["by"], line["deleted"]["reason"]) for line in told[:SEGMENT]
    ]
    assert (SEGMENT, header["rootHash"]) == (end["deleted"], end["rootHash"])
    assert header["size"] == len(told)


def test_a_part_says_what_was_selected_and_has_no_root(tmp_path: Path) -> None:
    ids = make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"), "--format", "ndjson")

    header, *told, end = lines(tally("export", *where, "--after", "3", "--until-position", "6").out.encode())
    of_one = lines(tally("export", *where, ids["build"]).out.encode())

    assert [4, 5, 6] == [line["position"] for line in told]
    assert ({"after": 3, "untilPosition": 6}, False) == (header["selection"], header["whole"])
    assert "rootHash" not in header | end
    assert ({"lookup": ids["build"]}, 3) == (of_one[0]["selection"], of_one[-1]["events"])


def test_events_are_chosen_by_when_they_were_recorded(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"), "--format", "ndjson")
    _, *told, _ = lines(tally("export", *where).out.encode())
    since, until = told[5]["recordedAt"], told[12]["recordedAt"]

    _, *chosen, end = lines(tally("export", *where, "--since", str(since), "--until", str(until)).out.encode())

    assert [line for line in told if since <= line["recordedAt"] < until] == chosen
    assert len(chosen) == end["events"]


def test_a_ledger_without_events_has_a_header_and_an_end() -> None:
    content, made = exported(read(logged([])))

    header, end = lines(content)
    assert (0, 0, True) == (header["size"], end["events"], made.is_sound)
    assert header["rootHash"] == end["rootHash"]


def test_an_export_beside_a_writer_has_the_log_of_one_moment(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        for _ in range(3):
            ledger.create(runtime="cli", task="x", owner="o")

        class Busy(io.BytesIO):
            """A stream whose writing takes so long that somebody writes to the ledger meanwhile."""

            def write(self, content: object, /) -> int:
                ledger.create(runtime="cli", task="y", owner="o")
                return super().write(content)  # type: ignore[arg-type]  # as it came

        out = Busy()
        made = ledger.export("ndjson", out)

    again = imported(out.getvalue(), tmp_path)
    assert (3, True) == (made.events, made.is_sound)
    assert made.root_hash == root(again)
