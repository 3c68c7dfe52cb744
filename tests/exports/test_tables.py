"""Tables have every task or event, a row each, in types that others read, and say what could not be read."""

import csv
import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import InvalidInput, TaskRecord
from tallystick.exports.spreadsheet import COMPUTED, cell
from tallystick.exports.table import OF_EVENTS, OF_TASKS, Column, Kind
from tallystick.ledger.events import Event
from tallystick.ledger.flows.record import FlowRecord
from tallystick.readings import VIEWS_FOLDER
from tallystick.testing import HandClock, memory_ledger
from tests.cli.damage import change_record
from tests.cli.support import make_stories, tally
from tests.exports.parts import NOW_MS, exported, logged, read
from tests.projections.histories import histories, live


def as_table(content: bytes) -> list[dict[str, str]]:
    """Read a CSV as it is."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def as_json(record: TaskRecord) -> dict[str, Any]:
    """Return a record as `list --json` has it."""
    told: dict[str, Any] = json.loads(msgspec.json.encode(read(logged([])).dated(record, NOW_MS)))
    return told


def unguarded(text: str) -> str:
    """Return the text of a cell to the letter."""
    return text.removeprefix("'")


def in_cell(column: Column, text: str) -> Any:
    """Return the value that a cell stands for."""
    if text == "":
        return None
    if column.kind in (Kind.NUMBER, Kind.MOMENT):
        return int(text)
    if column.kind is Kind.FLAG:
        return {"true": True, "false": False}[text]
    told = unguarded(text)
    return told if column.kind in (Kind.TEXT, Kind.WORD) else json.loads(told)


def blanks_apart(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no cell can tell from nothing."""
    return {name: value for name, value in record.items() if value not in (None, "")}


@pytest.mark.slow
@given(histories())
def test_a_row_of_a_csv_has_all_that_the_json_of_a_task_has(events: list[Event]) -> None:
    content, made = exported(read(logged(events)), "csv")

    rows = as_table(content)
    told = [blanks_apart({column.name: in_cell(column, row[column.name]) for column in OF_TASKS}) for row in rows]
    assert [blanks_apart(as_json(record)) for record in live(events)] == told
    assert len(rows) == made.tasks


@pytest.mark.slow
@given(histories(most=8))
def test_a_row_of_a_csv_of_events_has_all_that_the_json_of_an_event_has(events: list[Event]) -> None:
    content, made = exported(read(logged(events)), "csv", rows="events")

    rows = as_table(content)
    assert [(str(event.position), event.type, event.actor) for event in events] == [
        (row["position"], row["type"], unguarded(row["actor"])) for row in rows
    ]
    for event, row in zip(events, rows, strict=True):
        told = json.loads(msgspec.json.encode(event.data))
        assert {"type": event.type, **json.loads(row["data"])} == told
    assert len(events) == made.events


@given(st.text() | st.sampled_from([f"{sign}1+1" for sign in COMPUTED]))
def test_no_text_begins_a_cell_so_that_a_spreadsheet_would_compute_it_and_each_is_read_back(text: str) -> None:
    told = cell(Column("x", Kind.TEXT), text)

    assert not told.startswith(COMPUTED)
    assert text == unguarded(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'quoted'", "''quoted'"),
        ("1=1", "1=1"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe_and_so_does_an_apostrophe(text: str, told: str) -> None:
    assert told == cell(Column("x", Kind.TEXT), text)
    assert text == unguarded(told)


def test_lines_end_as_the_rfc_has_it_and_numbers_are_numbers(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")
    out = tmp_path / "tasks.csv"

    tally("export", "--ledger", str(tmp_path / "ledger"), "--format", "csv", "--out", str(out))

    content = out.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") == 11
    assert -5 == int(cell(Column("x", Kind.NUMBER), -5))


def in_parquet(record: TaskRecord) -> dict[str, Any]:
    """Return a record as its row reads."""
    row: dict[str, Any] = dict.fromkeys((column.name for column in OF_TASKS), None)
    kinds = {column.name: column.kind for column in OF_TASKS}
    for name, value in as_json(record).items():
        match kinds[name]:
            case Kind.MOMENT:
                row[name] = value
            case Kind.PAIRS:
                row[name] = list(value.items())
            case Kind.AMOUNTS:
                row[name] = [(key, float(amount)) for key, amount in value.items()]
            case Kind.JSON:
                row[name] = json.loads(json.dumps(value))
            case _:
                row[name] = value
    return row


@pytest.mark.slow
@given(histories())
def test_pyarrow_reads_every_task_back_in_its_types(events: list[Event]) -> None:
    content, made = exported(read(logged(events)), "parquet")

    table = pq.read_table(io.BytesIO(content))
    rows = [
        {**row, **{name: json.loads(row[name]) for name in _of_kind(Kind.JSON) if row[name] is not None}}
        for row in _without_moments(table).to_pylist()
    ]
    assert [in_parquet(record) for record in live(events)] == rows
    assert [column.name for column in OF_TASKS] == table.column_names
    assert len(rows) == made.tasks


def _of_kind(kind: Kind) -> list[str]:
    return [column.name for column in OF_TASKS if column.kind is kind]


def _without_moments(table: pa.Table) -> pa.Table:
    """Read timestamps as the milliseconds that they are: Python has none in the year 0, and none behind 9999."""
    for name in _of_kind(Kind.MOMENT):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.int64()))
    return table


def test_columns_have_the_types_that_analysts_expect(tmp_path: Path) -> None:
    ids = make_stories(tmp_path / "ledger")
    out = tmp_path / "tasks.parquet"

    said = tally("export", "--ledger", str(tmp_path / "ledger"), "--format", "parquet", "--out", str(out), "--json")

    table = pq.read_table(out)
    schema = table.schema
    assert pa.timestamp("ms", tz="UTC") == schema.field("createdAt").type
    assert pa.types.is_dictionary(schema.field("status").type)
    assert pa.types.is_map(schema.field("metadata").type)
    assert pa.list_(pa.string()) == schema.field("artifacts").type
    [build] = [row for row in table.to_pylist() if row["taskId"] == ids["build"]]
    assert datetime(2026, 9, 21, 14, 13, 21, tzinfo=UTC) == build["createdAt"]
    about = json.loads(schema.metadata[b"tallystick"])
    assert ("tasks", 31) == (about["rows"], about["size"])
    assert 10 == said.data["tasks"]


@pytest.mark.slow
def test_events_are_a_table_too_and_a_piped_one_is_the_same(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"), "--format", "parquet", "--rows", "events")
    tally("export", *where, "--out", str(tmp_path / "out"))
    words = [sys.executable, "-m", "tallystick", "export", *where]

    piped = subprocess.run(words, capture_output=True, check=True).stdout

    events = pq.read_table(tmp_path / "out")
    assert [column.name for column in OF_EVENTS] == events.column_names
    assert list(range(1, 32)) == events.column("position").to_pylist()
    assert events.to_pylist() == pq.read_table(io.BytesIO(piped)).to_pylist()


def test_more_rows_than_a_group_has_are_several_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tallystick.exports import parquet

    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    make_stories(tmp_path / "ledger")

    tally("export", "--ledger", str(tmp_path / "ledger"), "--format", "parquet", "--out", str(tmp_path / "out"))

    assert (3, 10) == (pq.ParquetFile(tmp_path / "out").num_row_groups, pq.read_table(tmp_path / "out").num_rows)


@pytest.mark.parametrize("rows", ["tasks", "events"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_cannot_be_read_has_a_row_that_says_so(form: str, rows: str, tmp_path: Path) -> None:
    ledger, out = tmp_path / "ledger", tmp_path / "out"
    make_stories(ledger)
    change_record(ledger, 20, lambda _: b"broken")
    shutil.rmtree(ledger / VIEWS_FOLDER)  # they knew the record when it could be read

    said = tally("export", "--ledger", str(ledger), "--format", form, "--rows", rows, "--out", str(out), "--json")

    table = as_table(out.read_bytes()) if form == "csv" else pq.read_table(out).to_pylist()
    damaged = [row for row in table if row["damaged"]]
    assert (4, False) == (said.code, said.data["ok"])
    assert 20 in [int(row["position"]) for row in damaged]
    assert len(damaged) == said.data["damaged"]


def test_only_the_tasks_that_are_meant_are_exported(tmp_path: Path) -> None:
    ids = make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"), "--format", "csv")
    all_tasks = as_table(tally("export", *where).out.encode())
    since, until = all_tasks[6]["createdAt"], all_tasks[2]["createdAt"]

    chosen = as_table(tally("export", *where, "--since", since, "--until", until).out.encode())
    [one] = as_table(tally("export", *where, ids["build"]).out.encode())

    assert all_tasks[3:7] == chosen
    assert ids["build"] == one["taskId"]


@pytest.mark.slow
@given(histories(), st.data())
def test_of_what_is_named_the_tasks_of_the_span_are_exported_as_of_all(
    events: list[Event], data: st.DataObject
) -> None:
    readings = read(logged(events))
    moments = st.sampled_from([None, *(event.occurred_at for event in events)])
    span = {"since": data.draw(moments), "until": data.draw(moments)}
    of_all, of_named = (
        sum(exported(readings, "csv", lookup=lookup, **span)[1].tasks for lookup in lookups)
        for lookups in ([None], [record.task_id for record in live(events)])
    )

    assert of_all == of_named


def test_of_a_flow_the_tasks_of_the_span_are_exported() -> None:
    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        flow = ledger.flows.create(owner="o", goal="Ship it", controller="bot")
        early, late = (
            ledger.create(runtime="cli", task="x", owner="o", flow=flow.id, occurred_at=clock() + n) for n in (0, 5)
        )

        begin = clock()
        for since, until, wanted in (
            (None, None, {early.id, late.id}),
            (begin + 5, None, {late.id}),
            (begin, begin + 5, {early.id}),
            (None, begin, set()),
        ):
            out = io.BytesIO()
            ledger.export("csv", out, lookup=flow.id, since=since, until=until)
            assert wanted == {row["taskId"] for row in as_table(out.getvalue())}


def test_what_cannot_be_selected_is_refused_by_name(tmp_path: Path) -> None:
    make_stories(tmp_path / "ledger")
    where = ("--ledger", str(tmp_path / "ledger"), "--json")

    for words, field in (
        (["--format", "csv", "--after", "3"], "after"),
        (["--format", "ndjson", "--rows", "tasks"], "rows"),
        (["--format", "xml"], "format"),
        (["--format", "ndjson", "--until-position", "0"], "until_position"),
        (["--format", "ndjson", "--since", "later"], "since"),
    ):
        said = tally("export", *where, *words)
        assert (2, field) == (said.code, said.error["field"])
    assert 1 == tally("export", *where, "--format", "csv", "nobody").code


def test_a_library_that_is_missing_is_named_with_what_installs_it() -> None:
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from tallystick.exports.formats import writer_of\n"
        "from tallystick import InvalidInput\n"
        "try: writer_of('parquet')\n"
        "except InvalidInput as error: print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)

    assert "pip install 'tallystick[export]'" in done.stdout


def test_a_ledger_without_tasks_is_a_table_without_rows() -> None:
    for form in ("csv", "parquet"):
        content, made = exported(read(logged([])), form)
        assert 0 == made.tasks
        assert content


def test_nobody_takes_a_flow_for_a_task() -> None:
    assert "flowId" not in [column.name for column in OF_TASKS]
    assert "flow_id" in FlowRecord.__struct_fields__
    with pytest.raises(InvalidInput):
        exported(read(logged([])), "csv", rows="flows")
