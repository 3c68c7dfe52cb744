"""A record comes back as it was written, whatever version wrote it, and no bytes surprise a reader."""

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.ledger.errors import Corrupt, InvalidInput
from tallystick.ledger.events import FACT_TYPES, NAMES, Event
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import TaskFailed, TaskLateSignal, TaskStarted
from tallystick.ledger.limits import RECORD_BYTES_MAX
from tallystick.ledger.store import codec
from tallystick.ledger.store.codec import Lifts, Raw
from tallystick.ledger.store.port import Damaged
from tests.ledger.store import make

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "records-1.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: NAMES[kind])
@given(data=st.data())
def test_every_fact_comes_back_as_it_was_written(kind: type[Fact], data: st.DataObject) -> None:
    event = data.draw(make.events(make.facts(kind)))

    body = codec.encode(event)

    assert event == codec.decode(body)
    assert event == codec.read_record(event.position, body)
    assert kind is type(codec.decode(body).data)


@given(st.lists(make.events(), max_size=5))
def test_a_batch_is_encoded_as_its_events_are(events: list[Event]) -> None:
    assert [codec.encode(event) for event in events] == codec.encode_all(events)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["says"])
def test_the_bytes_of_every_record_ever_released_are_kept_and_read(golden: dict[str, Any]) -> None:
    body = bytes.fromhex(golden["hex"])

    event = codec.decode(body)

    assert golden["fact"] == json.loads(msgspec.json.encode(event.data))
    assert golden["envelope"] == [
        event.position,
        event.stream.hex(),
        event.version,
        event.occurred_at,
        event.recorded_at,
        event.actor,
    ]
    assert body == codec.encode(event)


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: NAMES[kind])
def test_every_field_of_every_fact_has_golden_bytes(kind: type[Fact]) -> None:
    """A new fact, and a new field, gets a record of its own; those that are there stay as they are."""
    spelled = {name for golden in GOLDEN if golden["fact"]["type"] == NAMES[kind] for name in golden["fact"]}

    of_all = set(Fact.__struct_encode_fields__)
    assert {"type", *kind.__struct_encode_fields__} - of_all == spelled - of_all


def test_what_any_fact_may_say_of_its_fields_has_golden_bytes() -> None:
    assert set(Fact.__struct_encode_fields__) <= {name for golden in GOLDEN for name in golden["fact"]}


def test_a_record_is_an_array_whose_fact_is_a_map_with_its_name() -> None:
    event = Event(1, bytes(15) + b"\x01", 2, 3, 4, "me", TaskStarted(implied=True))

    expected = (
        b"\x97"  # an array of seven
        b"\x01"  # position
        b"\xc4\x10" + bytes(15) + b"\x01"  # stream: sixteen bytes
        b"\x02\x03\x04"  # version, occurred at, recorded at
        b"\xa2me"  # actor
        b"\x82\xa4type\xaetask-started.1\xa7implied\xc3"  # the fact; a field with its default is not stored
    )

    assert expected == codec.encode(event)


def test_a_record_of_the_greatest_size_is_taken_and_a_greater_one_is_refused() -> None:
    blank = make.event(1, data=TaskFailed(error="x" * 60_000))
    room = RECORD_BYTES_MAX - len(codec.encode(blank))
    fits = make.event(1, data=TaskFailed(error="x" * (60_000 + room)))
    too_long = make.event(1, data=TaskFailed(error="x" * (60_001 + room)))

    assert RECORD_BYTES_MAX == len(codec.encode(fits))
    for refused in (lambda: codec.encode(too_long), lambda: codec.encode_all([fits, too_long])):
        with pytest.raises(InvalidInput, match=f"{RECORD_BYTES_MAX + 1} bytes.*at most {RECORD_BYTES_MAX} bytes"):
            refused()


@pytest.mark.parametrize("value", [2**64, "\ud800", object()], ids=["a great number", "half a character", "an object"])
def test_what_no_bytes_can_say_is_refused_and_not_half_written(value: object) -> None:
    event = make.event(1, data=TaskLateSignal(signal="x", status="lost", content={"value": value}))  # type: ignore[arg-type]

    for refused in (lambda: codec.encode(event), lambda: codec.encode_all([event])):
        with pytest.raises(InvalidInput, match="a record can hold"):
            refused()


@given(st.integers(1, 9), st.binary(max_size=80))
@example(1, b"")
@example(1, b"\x91" * 100_000)  # an array in an array in an array …
@example(1, b"\x97\x01\xc4\x01a\x01\x01\x01\xa1\xff\x81\xa4type\xaetask-started.1")  # a text that is not UTF-8
@example(1, b"\x97\x01\xc4\x01a\x01\x01\x01\xa1x\x81\xa4type\x91\x90")  # a name that is a list
@example(1, b"\x97\x01\xc4\x01a\x01\x01\x01\xa1x\x01")  # a fact that is a number
def test_arbitrary_bytes_are_damaged_and_never_an_exception(position: int, body: bytes) -> None:
    assert isinstance(codec.read_record(position, body), Damaged)


@given(make.events(), st.data())
def test_a_record_with_one_wrong_byte_is_an_event_or_damaged(event: Event, data: st.DataObject) -> None:
    body = bytearray(codec.encode(event))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))

    record = codec.read_record(event.position, bytes(body))

    if isinstance(record, Event):  # then whatever it says can be handled as if it were true
        assert event.position == record.position
        assert 36 == len(record.task_id)
        assert record.type in NAMES.values()
    else:
        assert event.position == record.position
        assert record.detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"position": 0}, "`int` >= 1"),
        ({"stream": b"short"}, "length >= 16"),
        ({"stream": bytes(17)}, "length <= 16"),
        ({"version": 0}, "`int` >= 1"),
        ({"version": 2**32}, "`int` <= 4294967295"),
    ],
    ids=str,
)
def test_a_record_that_no_log_can_hold_is_damaged(changes: dict[str, Any], detail: str) -> None:
    body = codec.encode(msgspec.structs.replace(make.event(7), **changes))

    record = codec.read_record(7, body)

    assert isinstance(record, Damaged)
    assert detail in record.detail


def test_a_record_at_the_wrong_place_is_damaged() -> None:
    assert Damaged(8, "the record says that it stands at 7") == codec.read_record(8, codec.encode(make.event(7)))


def test_a_fact_of_a_newer_version_is_damaged_and_named() -> None:
    body = codec.encode(make.event(1)).replace(b"task-started.1", b"task-started.9")

    record = codec.read_record(1, body)

    assert isinstance(record, Damaged)
    assert "task-started.9" in record.detail


def test_what_is_said_of_damage_has_a_bound() -> None:
    body = codec.encode(make.event(1)).replace(b"\xaetask-started.1", b"\xda\x75\x30" + b"x" * 30_000)

    record = codec.read_record(1, body)

    assert isinstance(record, Damaged)
    assert codec.DETAIL_CHARACTERS_MAX == len(record.detail)


def seconds_to_ms(raw: Raw) -> Raw:
    return {"elapsedMs": raw.pop("seconds") * 1_000, **raw}


def drop_elapsed(raw: Raw) -> Raw:
    return {"implied": raw.pop("elapsedMs") > 5_000, **raw}


OLD: Lifts = {
    "task-began.1": ("task-began.2", seconds_to_ms),
    "task-began.2": ("task-started.1", drop_elapsed),
}


def old_record(fact: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode([3, bytes(16), 2, 5, 6, "me", fact])


def test_a_fact_of_an_older_version_is_lifted_step_by_step() -> None:
    body = old_record({"type": "task-began.1", "seconds": 7, "backing": {"pid": 1}})

    expected = Event(3, bytes(16), 2, 5, 6, "me", TaskStarted(implied=True, backing={"pid": 1}))

    assert expected == codec.decode(body, OLD)
    assert expected == codec.read_record(3, body, OLD)
    assert expected == codec.decode(
        old_record({"type": "task-began.2", "elapsedMs": 9_000, "backing": {"pid": 1}}), OLD
    )


def test_a_fact_that_cannot_be_lifted_is_corrupt() -> None:
    for fields in ({}, {"seconds": 1, "backing": 5}):
        with pytest.raises(Corrupt):
            codec.decode(old_record({"type": "task-began.1", **fields}), OLD)
    assert Damaged(4, "the record says that it stands at 3") == codec.read_record(
        4, old_record({"type": "task-began.1", "seconds": 7}), OLD
    )


def test_a_lifted_stream_must_be_bytes_and_not_text_that_looks_like_them() -> None:
    stored = [3, "AAAAAAAAAAAAAAAAAAAAAA==", 2, 5, 6, "me", {"type": "task-began.1", "seconds": 1}]

    with pytest.raises(Corrupt):
        codec.decode(msgspec.msgpack.encode(stored), OLD)


@pytest.mark.parametrize(
    ("lifts", "complaint"),
    [
        ({"a.1": ("a.2", dict), "a.2": ("a.1", dict)}, "form a cycle"),
        ({"a.1": ("a.1", dict)}, "form a cycle"),
        ({"a.1": ("a.2", dict)}, "which nobody knows"),
        ({"task-started.1": ("task-held.1", dict)}, "must not be lifted"),
    ],
)
def test_lifts_that_lead_nowhere_are_found(lifts: Lifts, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        codec.check_lifts(lifts)


def test_lifts_that_lead_to_a_known_name_are_fine() -> None:
    codec.check_lifts(OLD)
    codec.check_lifts(codec.LIFTS)


def test_numbers_keep_their_kind() -> None:
    event = make.event(1, data=TaskStarted(backing={"int": 1, "float": 1.0, "true": True, "none": None}))

    data = codec.decode(codec.encode(event)).data

    assert isinstance(data, TaskStarted)
    assert ["int", "float", "bool", "NoneType"] == [type(value).__name__ for value in (data.backing or {}).values()]


def test_a_number_that_is_none_comes_back_as_one() -> None:
    event = make.event(1, data=TaskStarted(backing={"nan": math.nan}))

    data = codec.decode(codec.encode(event)).data

    assert isinstance(data, TaskStarted)
    assert data.backing is not None
    assert math.isnan(data.backing["nan"])  # type: ignore[arg-type]
