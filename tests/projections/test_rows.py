"""The bytes of rows and keys: spelled out, so that nobody changes them without changing the format of the views."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace

from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import (
    TaskErased,
    TaskLeased,
    TaskNoted,
    TaskProgressed,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.projections.keys import (
    NameKind,
    cell_heading,
    cell_in,
    index_heading,
    mark_heading,
    mark_place,
    name_heading,
    name_headings,
    place,
)
from tallystick.projections.places import moment, moment_of, stream_of
from tallystick.projections.rows import ViewsDamaged, pack, pack_tombstone, read_tombstone, shape_hash, unpack
from tallystick.projections.views import VIEWS_FORMAT, Views
from tests.projections.histories import histories, logged, records_of
from tests.story import BEGIN_MS, STREAM, Story, created


@given(histories())
def test_a_record_comes_back_from_its_row_as_it_was(events: list[Event]) -> None:
    for stream, record in records_of(events).items():
        assert record == unpack(stream, pack(record))


def ended() -> Story:
    return Story(created(run_id="run-1", notify="done_only"), TaskStarted(), TaskSucceeded(summary="42 tallies"))


def test_a_row_has_these_bytes() -> None:
    # a root and a requester of 0 are the task itself and its owner, a flow of 0 is the one that mirrors it
    numbers = [2, 3, 1, 1, 2, 50, 0, 0, 0]
    since_creation = [2_000, 1_000, 2_000, None]
    no_room_for_more = [0, None]
    body = ["Count the tallies", BEGIN_MS + 1_000, 3, 3, "agent:main:main", None, None, "run-1", None]
    told = [None, None, None, "42 tallies"]

    stored = pack(ended().record)

    assert numbers + since_creation + no_room_for_more + body + told == msgspec.msgpack.decode(stored)
    assert "dc001c020301010232000000cd07d0cd03e8cd07d0c000" == stored[:23].hex()


def test_what_is_noted_is_the_last_that_a_row_may_say() -> None:
    record = Story(created(), TaskStarted(), TaskLeased(ttl_ms=60_000), TaskNoted(codes=("lost",))).record
    assert [60_000, ["lost"]] == msgspec.msgpack.decode(pack(record))[-2:]
    assert record == unpack(STREAM, pack(record))


def test_what_was_imported_is_behind_all_that_a_row_of_this_ledger_may_say() -> None:
    mark: Evidence = {"from": "openclaw", "row": "a"}
    record = Story(replace(created(), imported=mark)).record
    assert mark == msgspec.msgpack.decode(pack(record))[-1]
    assert record == unpack(STREAM, pack(record))


def test_that_it_was_erased_is_the_last_of_all_that_a_row_may_say() -> None:
    erasure = TaskErased(reason="asked for", fields=("task",), count=1)
    record = Story(created(), erasure).record
    assert {"at": BEGIN_MS + 2_000, "by": "agent", "reason": "asked for"} == msgspec.msgpack.decode(pack(record))[-1]
    assert record == unpack(STREAM, pack(record))


def test_an_origin_stands_under_the_names_that_it_has_in_the_log() -> None:
    record = Story(created(origin={"channel": "telegram", "to": 123}, metadata={"a": "b"})).record
    assert {"channel": "telegram", "to": 123} in msgspec.msgpack.decode(pack(record))
    assert record == unpack(STREAM, pack(record))


def test_the_shape_of_a_row_is_part_of_the_format_of_the_views(tmp_path: Path) -> None:
    with Views.open(tmp_path, logged([])) as views, views.environment.read() as txn:
        stored = txn.get(b"format", db=views.environment.databases[b"meta"])
    assert VIEWS_FORMAT.to_bytes(4).hex() + shape_hash() == (stored or b"").hex()


def test_a_task_that_goes_on_keeps_the_size_of_its_row() -> None:
    sizes = [
        len(pack(Story(created(run_id="run-1"), *facts).record))
        for facts in ([], [TaskStarted()], [TaskStarted(), TaskProgressed(message="reading")])
    ]
    assert max(sizes) - min(sizes) <= 4
    assert len(pack(ended().record)) <= min(sizes)


@pytest.mark.parametrize("stored", [b"", b"\xc1", b"\x90", b"\x91\xa1x", msgspec.msgpack.encode([99] * 30)])
def test_a_damaged_row_is_told_from_a_whole_one(stored: bytes) -> None:
    with pytest.raises(ViewsDamaged):
        unpack(STREAM, stored)


def test_a_row_with_a_number_that_nobody_knows_is_damaged() -> None:
    row = msgspec.msgpack.decode(pack(ended().record))
    row[0] = 99
    with pytest.raises(ViewsDamaged, match="99"):
        unpack(STREAM, msgspec.msgpack.encode(row))


def test_a_tombstone_says_what_the_task_was() -> None:
    story = ended()
    story.tell(TaskPruned())
    record = story.record
    tombstone = read_tombstone(pack_tombstone(record))
    assert ("succeeded", record.ended_at, record.pruned_at) == (
        tombstone.status,
        tombstone.ended_at,
        tombstone.pruned_at,
    )
    with pytest.raises(ViewsDamaged):
        read_tombstone(b"\xc1")


# Keys.


def test_a_place_is_a_moment_and_an_id() -> None:
    here = place(STREAM, replace(ended().record, created_at=1_790_000_000_000))
    assert "01a0c4506c00" + STREAM.hex() == here.hex()
    assert (1_790_000_000_000, STREAM) == (moment_of(here), stream_of(here))


@pytest.mark.parametrize(("at", "shown"), [(-1, 0), (0, 0), (2**48 - 1, 2**48 - 1), (2**48, 2**48 - 1)])
def test_a_moment_that_no_key_can_have_becomes_the_nearest(at: int, shown: int) -> None:
    assert shown.to_bytes(6) == moment(at)
    assert shown.to_bytes(6) + STREAM == place(STREAM, replace(ended().record, created_at=at))


def test_the_index_tells_runtime_and_shown_status() -> None:
    record = ended().record
    assert b"\x02\x03" == index_heading(record)
    assert b"\x02\x08" == index_heading(replace(record, terminal_outcome=BLOCKED))
    assert b"\x02\x04" == index_heading(replace(record, status=Status.FAILED, terminal_outcome=BLOCKED))
    assert (4, 7) == cell_in(cell_heading(4, 7))


def test_names_are_digests_under_what_they_are_to_the_task() -> None:
    record = replace(ended().record, owner_key="o", requester_session_key="r", child_session_key="c")
    parent = id_text(STREAM)
    expected = [
        (NameKind.OWNER_ENDED, "o"),
        (NameKind.REQUESTER_ENDED, "r"),
        (NameKind.CHILD_ENDED, "c"),
        (NameKind.RUN, "run-1"),
        (NameKind.PARENT, parent),
    ]
    assert [name_heading(kind, name) for kind, name in expected] == name_headings(
        replace(record, parent_task_id=parent)
    )
    active = [name_heading(NameKind.OWNER_ACTIVE, "o"), name_heading(NameKind.CHILD_ACTIVE, "c")]
    running = replace(record, status=Status.RUNNING, ended_at=None, requester_session_key="o", run_id=None)
    assert active == name_headings(running)
    assert [] == name_headings(replace(running, owner_key=None, requester_session_key=None, child_session_key=None))
    assert "01e823d16b60f4" == name_heading(NameKind.RUN, "run-1").hex()


def test_a_mark_is_a_class_and_a_moment() -> None:
    assert (b"\x21", b"\x00\x00\x00\x00\x00\x07" + STREAM) == (mark_heading(0x21), mark_place(7, STREAM))
