"""XES: well-formed whatever the texts have, a trace for each task, in the log's order, in little memory."""

import io
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.exports.exporting import export, selection_of
from tallystick.exports.values import fields_of
from tallystick.exports.xml_text import ascii_bytes, xml_text
from tallystick.ledger.errors import InvalidInput, NotFound
from tallystick.ledger.events import TASK_FACTS, AnyFact, Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import EXPORT_SLICE_EVENTS
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tests.ledger.archive.shelves import SEGMENT
from tests.ledger.archive.test_deletion import delete
from tests.ledger.archive.test_deletion import write as write_archive
from tests.ledger.store.raw import change_record
from tests.mining.logs import as_stream, exported, log_of, readings_of, stream_of
from tests.projections.flow_histories import flow_histories
from tests.story import BEGIN_MS, Story, created
from tests.strategies import announced, stories

NS = "{http://www.xes-standard.org/}"
ESCAPED = re.compile("_x([0-9A-F]{4})_")

Attributes: TypeAlias = dict[str, str]
Trace: TypeAlias = tuple[Attributes, list[Attributes]]


def root_of(content: bytes) -> ET.Element:
    return ET.fromstring(content)  # noqa: S314 - it is our own


def attributes_of(element: ET.Element) -> Attributes:
    found = [child for child in element if "key" in child.attrib]
    assert len(found) == len({child.attrib["key"] for child in found}), "a key comes once"
    return {child.attrib["key"]: child.attrib["value"] for child in found}


def traces_of(content: bytes) -> list[Trace]:
    """Return the attributes of each trace, and of its events."""
    return [
        (attributes_of(trace), [attributes_of(event) for event in trace.iter(f"{NS}event")])
        for trace in root_of(content).iter(f"{NS}trace")
    ]


def read_back(text: str) -> str:
    """Undo the escapes of what XML cannot say."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


_CHARACTERS = st.one_of(st.characters(), st.sampled_from("\x00\x01\t\n\r\x1f\x7f\x85\ud800\udfff\ufffe\uffff\"'<>&_x0"))
any_texts = st.one_of(st.text(_CHARACTERS), st.sampled_from(["_x0001_", "_x005F_x0001_", "a_xFFFF_b", "]]>", "&amp;"]))


@given(text=any_texts)
@example(text="\ud800 and \udfff")
@example(text="\x00\t\n\r\x1f\ufffe\uffff")
@example(text="_x0001_ _x005F_ _x1_")
def test_any_text_can_be_written_and_read_back(text: str) -> None:
    element = root_of(b'<a v="' + ascii_bytes(xml_text(text)) + b'"/>')

    assert text == read_back(element.attrib["v"])


@given(told=st.lists(st.one_of(stories(), announced()), max_size=4))
def test_every_event_of_every_task_is_there_in_order(told: list[Story]) -> None:
    log = log_of([story.events for story in told])

    traces = traces_of(exported(log, "xes"))

    assert [id_text(stream_of(number)) for number in range(len(told))] == [trace["concept:name"] for trace, _ in traces]
    for number, (_, found) in enumerate(traces):
        expected = [event for event in log.stream(stream_of(number)) if isinstance(event, Event)]
        assert [(str(event.position), str(event.version), event.type) for event in expected] == [
            (event["tally:position"], event["tally:version"], event["tally:type"]) for event in found
        ]
        assert [event.actor for event in expected] == [event.get("org:resource", "") for event in found]


@given(events=flow_histories())
def test_flows_are_no_traces(events: Sequence[Event]) -> None:
    log = MemoryLog()
    log.append(events)

    traces = traces_of(exported(log, "xes"))

    assert {id_text(event.stream) for event in events if not event.is_of_flow} == {
        trace["concept:name"] for trace, _ in traces
    }


@given(story=stories())
def test_time_is_when_it_happened_unless_that_was_before_what_it_follows(story: Story) -> None:
    [(_, found)] = traces_of(exported(log_of([story.events]), "xes"))

    times = [event["time:timestamp"] for event in found]
    reported = [event["tally:occurredAt"] for event in found]
    assert sorted(times) == times
    assert reported[0] == times[0]
    for (before, _), (now, said) in pairwise(zip(times, reported, strict=True)):
        assert now == max(before, said)


@given(story=announced())
def test_a_trace_says_what_became_of_its_task(story: Story) -> None:
    [(trace, _)] = traces_of(exported(log_of([story.events]), "xes"))
    record = fold(story.events)

    assert record is not None
    assert (record.shown_status, record.runtime) == (trace["tally:status"], trace["tally:runtime"])
    assert record.owner_key == (read_back(trace["tally:owner"]) if "tally:owner" in trace else None)
    assert record.label == (read_back(trace["tally:label"]) if "tally:label" in trace else None)


def test_a_success_without_its_result_is_blocked_as_in_lists() -> None:
    facts: list[AnyFact] = [created(), TaskStarted(), TaskSucceeded(outcome="blocked")]
    [(trace, events)] = traces_of(exported(log_of([as_stream(facts)]), "xes"))

    assert ("blocked", "blocked") == (trace["tally:status"], events[2]["tally:outcome"])
    assert "tally:implied" not in events[1], "what has its default is left out"


def test_nothing_that_a_fact_says_hides_what_is_said_of_its_event() -> None:
    names = {field.name for kind in TASK_FACTS for field in fields_of(kind)}

    assert set() == names & {"type", "position", "version", "occurredAt", "recordedAt", "detail"}


def test_texts_numbers_and_lists_are_attributes_of_the_event() -> None:
    progressed = TaskProgressed(message="a\n\x01📦", step=2, tools=1, usage={"costUsd": 0.5})
    facts: list[AnyFact] = [created(), TaskStarted(implied=True), progressed]
    content = exported(log_of([as_stream(facts)]), "xes")

    [(_, events)] = traces_of(content)
    assert "true" == events[1]["tally:implied"]
    assert ("a\n_x0001_📦", "2", "1") == tuple(events[2][f"tally:{name}"] for name in ("message", "step", "tools"))
    assert '{"costUsd":0.5}' == events[2]["tally:usage"]
    assert b'<int key="tally:step" value="2"/>' in content
    assert content.isascii(), "a reader that splits the file anywhere splits no letter"
    assert b'<boolean key="tally:implied" value="true"/>' in content


def test_the_file_declares_what_it_uses_before_its_traces() -> None:
    root = root_of(exported(log_of([as_stream([created()])]), "xes", origin="example.org/ledger"))
    tags = [child.tag.removeprefix(NS) for child in root]

    order = {"extension": 0, "global": 1, "classifier": 2, "string": 3, "int": 3, "trace": 4}
    assert sorted(tags, key=order.__getitem__) == tags
    assert ["extension"] * 4 + ["global"] * 2 + ["classifier"] * 2 == tags[:8]
    assert "trace" == tags[-1]
    assert {"concept", "lifecycle", "org", "time"} == {each.attrib["prefix"] for each in root.iter(f"{NS}extension")}
    globals_ = {each.attrib["scope"]: set(attributes_of(each)) for each in root.iter(f"{NS}global")}
    assert {"concept:name"} == globals_["trace"]
    assert {"concept:name", "time:timestamp", "tally:position"} == globals_["event"]
    assert "example.org/ledger" == attributes_of(root)["concept:name"]


@pytest.mark.parametrize(
    ("facts", "steps"),
    [
        ([TaskStarted(), TaskProgressed(), TaskSucceeded()], ["start", None, "complete"]),
        ([TaskStarted(), TaskFailed(error="boom")], ["start", "ate_abort"]),
        ([TaskStarted(), TaskTimedOut()], ["start", "ate_abort"]),
        ([TaskStarted(), TaskCancelled()], ["start", "ate_abort"]),
        ([TaskCancelled()], ["withdraw"]),
        ([TaskFailed(error="no room")], [None]),
        ([TaskStarted(), TaskSettled(status=Status.FAILED, reason="r")], ["start", "ate_abort"]),
        ([TaskSettled(status=Status.CANCELLED, reason="r")], ["withdraw"]),
        (
            [
                TaskStarted(),
                TaskLost(rule="proved dead", evidence={}),
                TaskRecovered(status=Status.SUCCEEDED, corrects=3, signal="succeed"),
            ],
            ["start", None, "complete"],
        ),
        ([TaskStarted(), TaskSettled(status=Status.LOST, reason="r")], ["start", None]),
    ],
)
def test_steps_of_the_standard_lifecycle_are_named_where_there_are_some(
    facts: list[AnyFact], steps: list[str | None]
) -> None:
    [(_, events)] = traces_of(exported(log_of([as_stream([created(), *facts])]), "xes"))

    assert ["schedule", *steps] == [event.get("lifecycle:transition") for event in events]


def test_the_version_of_the_format_is_the_decimal_number_that_its_schema_asks_for() -> None:
    assert "1849.2016" == root_of(exported(log_of([]), "xes")).attrib["xes.version"]


def test_the_same_log_gives_the_same_bytes() -> None:
    log = log_of([as_stream([created(), TaskStarted()])] * 3)

    assert exported(log, "xes") == exported(log, "xes")


def test_a_damaged_record_is_an_event_in_its_place(tmp_path: Path) -> None:
    facts: list[AnyFact] = [created(), TaskStarted(), TaskProgressed(), TaskSucceeded()]
    with DiskLog.open(tmp_path) as log:
        log.append(as_stream(facts, stream_of(1)))
    change_record(tmp_path, 3, lambda _body: b"nonsense")

    with DiskLog.open(tmp_path, readonly=True, create=False) as log:
        [(trace, events)] = traces_of(exported(log, "xes"))

    assert ["task-created", "task-started", "record-damaged", "task-succeeded"] == [
        event["concept:name"] for event in events
    ]
    assert ("3", events[1]["time:timestamp"]) == (events[2]["tally:position"], events[2]["time:timestamp"])
    assert "tally:detail" in events[2]
    assert "tally:status" not in trace, "nobody knows what became of it"


def test_what_was_deleted_with_its_archive_is_an_event_in_its_place(tmp_path: Path) -> None:
    write_archive(tmp_path)
    with DiskLog.open(tmp_path) as log:
        delete(log, before=2 * SEGMENT + 1)
        traces = traces_of(exported(log, "xes"))

        gone = [event for _, events in traces for event in events if event["concept:name"] == "record-deleted"]
        assert log.head() == sum(len(events) for _, events in traces)
    assert list(range(1, 2 * SEGMENT + 1)) == sorted(int(event["tally:position"]) for event in gone)
    assert all(event["time:timestamp"] for event in gone)


# What is selected.


@pytest.fixture
def three() -> EventLog:
    """A log of three tasks, created a second apart."""
    return log_of(
        [
            [replace(event, occurred_at=event.occurred_at + number) for event in as_stream([created(), TaskStarted()])]
            for number in range(3)
        ]
    )


@pytest.mark.parametrize(
    ("selected", "numbers"),
    [
        ({}, [0, 1, 2]),
        ({"since": BEGIN_MS + 1_001}, [1, 2]),
        ({"until": BEGIN_MS + 1_001}, [0]),
        ({"lookup": id_text(stream_of(2))}, [2]),
        ({"lookup": id_text(stream_of(2)), "until": BEGIN_MS}, []),
    ],
)
def test_tasks_are_selected_whole(three: EventLog, selected: dict[str, Any], numbers: list[int]) -> None:
    traces = traces_of(exported(three, "xes", **selected))

    assert [id_text(stream_of(number)) for number in numbers] == [trace["concept:name"] for trace, _ in traces]
    assert all(len(events) == 2 for _, events in traces)


def test_positions_select_no_tasks(three: EventLog) -> None:
    with pytest.raises(InvalidInput, match="until_position"):
        exported(three, "xes", until_position=3)
    with pytest.raises(NotFound):
        exported(three, "xes", lookup="nobody")


def test_a_net_is_selected_by_nothing(three: EventLog) -> None:
    assert exported(three, "pnml") == exported(MemoryLog(), "pnml")
    with pytest.raises(InvalidInput, match="same for every ledger"):
        exported(three, "pnml", since=1)


# Many.


def many(tasks: int, of_each: int = 5) -> Iterator[list[Event]]:
    facts: list[AnyFact] = [created(), TaskStarted(), *[TaskProgressed(step=step) for step in range(of_each)]]
    return (as_stream(facts) for _ in range(tasks))


@pytest.mark.parametrize("form", ["xes", "ocel"])
def test_what_is_in_memory_does_not_grow_with_the_log(form: str) -> None:
    assert peak(log_of(many(900)), form) < 1.2 * peak(log_of(many(300)), form)


def peak(log: EventLog, form: str) -> int:
    """Return how many bytes an export needs beside the log and what is written."""
    read = readings_of(log)
    export(read, form, Nowhere(), selection_of(form), now=BEGIN_MS)  # what is made once is made
    tracemalloc.start()
    try:
        export(read, form, Nowhere(), selection_of(form), now=BEGIN_MS)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Nowhere(io.RawIOBase, BinaryIO):
    """Takes everything and keeps nothing."""

    def write(self, content: Any) -> int:
        return len(content)


def test_slices_lose_nothing_and_split_no_task(tmp_path: Path) -> None:
    histories = [*many(3, of_each=EXPORT_SLICE_EVENTS + 7), *many(40)]
    twin = log_of(histories)
    with DiskLog.open(tmp_path) as log:
        log.append([event for event in twin.read() if isinstance(event, Event)])
        traces = traces_of(exported(log, "xes"))

    assert [len(history) for history in histories] == [len(events) for _, events in traces]


def test_whoever_waits_hears_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    log = log_of(many(1_000))

    export(readings_of(log), "xes", Nowhere(), selection_of("xes"), now=BEGIN_MS, told=lambda *far: told.append(far))

    assert sorted(told) == told
    assert {7_000} == {total for _, total in told}
    assert len(told) >= 5
