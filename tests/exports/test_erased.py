"""In every format what was erased is marked as such, and nothing stands in its place that could be taken for a text."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given

from tallystick.config import Config, Payloads
from tallystick.exports.absent import on_disk
from tallystick.exports.ocel_types import event_types, object_types
from tallystick.ledger.events import Event
from tallystick.ledger.payloads import lacking
from tallystick.sync import Ledger
from tallystick.testing import HandClock, memory_ledger
from tests.aside import REASON, Kept, kept_histories, kept_log
from tests.exports.parts import exported, logged, read
from tests.projections.histories import told

SECRET = "Xylophone"


def erased_fields(kept: Kept) -> list[list[str]]:
    """What is not there of each event that a log has."""
    return [list(lacking(stored.data)) for stored in kept.log().read() if isinstance(stored, Event)]


def in_cell(text: str) -> list[str]:
    found: list[str] = json.loads(text) if text else []
    return found


@pytest.mark.slow
@given(kept_histories(most=10))
def test_a_row_of_an_event_names_the_fields_that_were_erased(kept: Kept) -> None:
    content = exported(read(kept.log()), "csv", rows="events")[0]
    parquet = exported(read(kept.log()), "parquet", rows="events")[0]

    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert erased_fields(kept) == [in_cell(row["erased"]) for row in rows]
    assert erased_fields(kept) == [row["erased"] or [] for row in pq.read_table(io.BytesIO(parquet)).to_pylist()]


@pytest.mark.slow
@given(kept_histories(most=10))
def test_a_row_of_a_task_says_when_it_was_erased_by_whom_and_why(kept: Kept) -> None:
    content = exported(read(kept.log()), "csv")[0]
    parquet = exported(read(kept.log()), "parquet")[0]

    records = {record.task_id: record for record in kept.tasks.values() if record.pruned_at is None}
    for rows in (
        list(csv.DictReader(io.StringIO(content.decode(), newline=""))),
        pq.read_table(io.BytesIO(parquet)).to_pylist(),
    ):
        assert set(records) == {row["taskId"] for row in rows}
        for row in rows:
            known = records[row["taskId"]].erased
            assert (None if known is None else msgspec.to_builtins(known)) == json.loads(row["erased"] or "null")


@pytest.mark.slow
@given(kept_histories(most=10))
def test_a_cloud_event_names_them_in_an_attribute_that_the_official_library_reads(kept: Kept) -> None:
    content = exported(read(kept.log()), "cloudevents")[0]

    clouds = [JSONFormat().read(CloudEvent, line) for line in content.splitlines()]
    marks = [cloud.get_extension("erased") for cloud in clouds]
    assert [",".join(names) or None for names in erased_fields(kept)] == marks


def attributes(element: ET.Element) -> dict[str, str]:
    """The attributes of an element of XES, by their keys."""
    return {each.attrib["key"]: each.attrib["value"] for each in element if "key" in each.attrib}


def xes_events(content: bytes) -> Iterator[dict[str, str]]:
    space = "{http://www.xes-standard.org/}"
    for event in ET.fromstring(content).iter(f"{space}event"):  # noqa: S314 - our own
        yield attributes(event)


@pytest.mark.slow
@given(kept_histories(most=10))
def test_an_event_of_xes_and_of_ocel_names_them_and_leaves_them_out(kept: Kept) -> None:
    log = kept.log()
    facts = {stored.position: stored.data for stored in log.read() if isinstance(stored, Event)}

    of_xes = {int(said["tally:position"]): said for said in xes_events(exported(read(log), "xes")[0])}
    ocel = json.loads(exported(read(log), "ocel")[0])
    of_ocel = {int(event["id"]): {at["name"]: at["value"] for at in event["attributes"]} for event in ocel["events"]}

    assert set(facts) == set(of_ocel)
    assert {position for position, fact in facts.items() if fact.__class__.__name__[0] != "F"} == set(of_xes)
    for said, mark in ((of_xes, "tally:{}"), (of_ocel, "{}")):
        for position, values in said.items():
            names = lacking(facts[position])
            assert list(names) == in_cell(values.get(mark.format("erased"), ""))
            assert not {mark.format(name) for name in on_disk(facts[position], names)} & set(values)


@pytest.mark.slow
@given(kept_histories(most=10))
def test_every_attribute_of_ocel_is_declared(kept: Kept) -> None:
    ocel = json.loads(exported(read(kept.log()), "ocel")[0])

    for things, types in ((ocel["events"], event_types()), (ocel["objects"], object_types())):
        declared = {each.name: {attribute.name for attribute in each.attributes} for each in types}
        for thing in things:
            assert {attribute["name"] for attribute in thing["attributes"]} <= declared[thing["type"]]


# A ledger.


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger of which everything is put aside: a task with a message in a session, one in a flow, and a flow."""
    with memory_ledger(clock=HandClock(), config=Config(payloads=Payloads(aside="content"))) as opened:
        yield opened


def filled(ledger: Ledger) -> tuple[Any, Any, Any]:
    task = ledger.create(
        runtime="subagent",
        task=f"{SECRET} task",
        label=f"{SECRET} label",
        owner="agent:main:main",
        metadata={"for": SECRET},
    )
    task.start()
    task.progress(f"{SECRET} progress")
    task.succeed(f"{SECRET} summary")
    flow = ledger.flows.create(owner="agent:main:main", goal=f"{SECRET} goal", controller="bot")
    flow.set_waiting({"for": SECRET}, state={"for": SECRET})
    other = ledger.create(runtime="cli", task="Another", owner="agent:main:main", flow=flow.id)
    flow.resume()
    flow.finish(f"{SECRET} summary")
    return task, flow, other


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("ndjson", {}),
    ("cloudevents", {}),
    ("csv", {}),
    ("csv", {"rows": "events"}),
    ("parquet", {}),
    ("parquet", {"rows": "events"}),
    ("xes", {}),
    ("ocel", {}),
]


def text(content: bytes, form: str) -> str:
    """Everything that an export says."""
    return str(pq.read_table(io.BytesIO(content)).to_pylist()) if form == "parquet" else content.decode()


@pytest.mark.parametrize(("form", "rows"), FORMS)
def test_an_export_has_what_is_kept_and_nothing_of_what_was_erased(
    ledger: Ledger, form: str, rows: dict[str, Any]
) -> None:
    task, flow, _ = filled(ledger)
    before = io.BytesIO()
    ledger.export(form, before, **rows)
    task.erase(REASON)
    flow.erase(REASON)
    after = io.BytesIO()
    ledger.export(form, after, **rows)

    assert SECRET in text(before.getvalue(), form)
    assert SECRET not in text(after.getvalue(), form)
    assert "Another" in text(after.getvalue(), form)
    if rows or form in ("xes", "ocel"):
        assert "erased" in text(after.getvalue(), form)


def test_objects_of_ocel_say_that_they_were_erased_and_have_no_blank_texts(ledger: Ledger) -> None:
    task, flow, _ = filled(ledger)
    task.erase(REASON)
    flow.erase(REASON)
    out = io.BytesIO()
    ledger.export("ocel", out)

    objects = {each["id"]: each for each in json.loads(out.getvalue())["objects"]}
    mirror = ledger.get(task.id).record.parent_flow_id
    for key in (task.id, flow.id, mirror):
        said = {attribute["name"]: attribute["value"] for attribute in objects[key]["attributes"]}
        assert REASON == json.loads(said["erased"])["reason"]
        assert not {"task", "label", "goal", "metadata"} & set(said)
    assert not any(attribute["value"] in ("", "{}") for each in objects.values() for attribute in each["attributes"])
    [message] = [each for each in objects.values() if each["type"] == "message"]
    assert "text" not in {attribute["name"] for attribute in message["attributes"]}


def test_a_trace_says_that_its_task_was_erased(ledger: Ledger) -> None:
    task, *_ = filled(ledger)
    task.erase(REASON)
    out = io.BytesIO()
    ledger.export("xes", out)

    traces = [attributes(trace) for trace in ET.fromstring(out.getvalue()) if trace.tag.endswith("trace")]  # noqa: S314
    [said] = [trace for trace in traces if trace["concept:name"] == task.id]
    assert REASON == json.loads(said["tally:erased"])["reason"]
    assert not {"tally:task", "tally:label", "tally:metadata"} & set(said)


def test_what_is_whole_has_no_mark() -> None:
    for log in (logged(told()), kept_log(told())):
        for form in ("cloudevents", "xes", "ocel"):
            assert '"erased"' not in exported(read(log), form)[0].decode().partition('"events":[')[2]
