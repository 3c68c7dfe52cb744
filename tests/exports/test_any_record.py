"""Whatever bytes stand in a log, every format writes an export of it, and says what could not be read."""

import io
import json

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import Event
from tallystick.ledger.store import codec
from tests.exports.parts import Spoiled, exported, lines, read
from tests.projections.histories import told

EVENTS = told()


def altered(event: Event) -> st.SearchStrategy[bytes]:
    """Other values in the record of an event: some of them can be read, and are nothing that JSON can say."""
    values = st.one_of(
        st.none(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5), st.binary(max_size=5)
    )
    nested = st.recursive(
        values, lambda each: st.lists(each, max_size=2) | st.dictionaries(st.text(), each, max_size=2)
    )
    fact = {**msgspec.msgpack.decode(codec.encode(event))[6]}
    return st.dictionaries(st.sampled_from([*fact, "content", "metadata", "evidence"]), nested, max_size=3).map(
        lambda more: msgspec.msgpack.encode([*msgspec.msgpack.decode(codec.encode(event))[:6], {**fact, **more}])
    )


@pytest.mark.slow
@given(st.data())
def test_whatever_bytes_a_record_has_the_export_has_as_many_entries_as_the_log(data: st.DataObject) -> None:
    position = data.draw(st.integers(1, len(EVENTS)))
    body = data.draw(st.binary(max_size=40) | altered(EVENTS[position - 1]))
    readings = read(Spoiled(EVENTS, position, body))

    ndjson, said = exported(readings)
    clouds, _ = exported(readings, "cloudevents")
    table, _ = exported(readings, "csv", rows="events")
    parquet, _ = exported(readings, "parquet", rows="events")
    exported(readings, "csv")

    _, *told_lines, end = lines(ndjson)
    assert list(range(1, len(EVENTS) + 1)) == [line["position"] for line in told_lines]
    assert (said.events, said.damaged) == (end["events"], end["damaged"])
    assert said.is_sound == (body == codec.encode(EVENTS[position - 1]))
    assert len(EVENTS) == len([json.loads(line) for line in clouds.splitlines()])
    assert len(EVENTS) == pq.read_table(io.BytesIO(parquet)).num_rows
    assert table.count(b"\r\n") > len(EVENTS)


@pytest.mark.parametrize("place", range(2, 5))
@pytest.mark.parametrize("number", [-(2**63), -1, 2**63, 2**64 - 1])
def test_a_number_for_which_no_table_has_a_type_keeps_no_other_row_out_of_it(place: int, number: int) -> None:
    record = msgspec.msgpack.decode(codec.encode(EVENTS[0]))
    record[place] = number
    readings = read(Spoiled(EVENTS, 1, msgspec.msgpack.encode(record)))

    events, _ = exported(readings, "parquet", rows="events")
    tasks, _ = exported(readings, "parquet")

    assert list(range(1, len(EVENTS) + 1)) == pq.read_table(io.BytesIO(events)).column("position").to_pylist()
    assert pq.read_table(io.BytesIO(tasks)).num_rows
