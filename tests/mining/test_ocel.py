"""OCEL 2.0: what its schema asks for, every event once, every relation to something that is there."""

import re
import resource
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tallystick.exports.ocel_types import Declared, event_types, object_types
from tallystick.exports.output import to_file
from tallystick.exports.spool import Spool
from tallystick.ledger.errors import Full, StoreError
from tallystick.ledger.events import AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryQueued
from tallystick.ledger.facts.tasks import TaskStarted, TaskSucceeded
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import DeliveryKind
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tallystick.testing import HandClock, memory_ledger
from tests.ledger.store.raw import change_record
from tests.mining.lives import Lives
from tests.mining.logs import as_stream, copied, exported, log_of, stream_of
from tests.projections.flow_histories import flow_histories
from tests.story import TASK_ID, Story, created
from tests.strategies import announced

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ALWAYS = "1970-01-01T00:00:00.000Z"


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """What the schema of OCEL 2.0 has, and nothing else."""


class Value(Strict, frozen=True):
    name: str
    value: str


class TimedValue(Strict, frozen=True):
    name: str
    value: str
    time: str


class Relation(Strict, frozen=True):
    objectId: str  # noqa: N815 - as the schema spells it
    qualifier: str


class Happening(Strict, frozen=True):
    id: str
    type: str
    time: str
    attributes: list[Value]
    relationships: list[Relation]


class Thing(Strict, frozen=True):
    id: str
    type: str
    attributes: list[TimedValue]
    relationships: list[Relation]

    def values(self, name: str) -> list[str]:
        """What an attribute was, one after the other."""
        return [each.value for each in self.attributes if each.name == name]


class Kind(Strict, frozen=True):
    name: str
    attributes: list[Declared]


class Ocel(Strict, frozen=True):
    objectTypes: list[Kind]  # noqa: N815
    eventTypes: list[Kind]  # noqa: N815
    events: list[Happening]
    objects: list[Thing]

    def of(self, type: str) -> dict[str, Thing]:  # noqa: A002 - as it is called
        """The objects of a type, by id."""
        return {each.id: each for each in self.objects if each.type == type}


def read(log: EventLog, **selected: Any) -> Ocel:
    return msgspec.json.decode(exported(log, "ocel", **selected), type=Ocel)


def logged(events: Sequence[Event]) -> MemoryLog:
    log = MemoryLog()
    log.append(events)
    return log


def is_of(declared: str, value: str) -> bool:
    match declared:
        case "integer":
            return re.fullmatch(r"-?\d+", value) is not None
        case "boolean":
            return value in ("true", "false")
        case "time":
            return MOMENT.fullmatch(value) is not None
        case _:
            return declared == "string"


def check(ocel: Ocel) -> None:
    """Check what the schema cannot say: types and attributes are declared, ids are unique, relations lead somewhere."""
    of_events = {kind.name: {each.name: each.type for each in kind.attributes} for kind in ocel.eventTypes}
    of_objects = {kind.name: {each.name: each.type for each in kind.attributes} for kind in ocel.objectTypes}
    ids = Counter(each.id for each in ocel.objects)
    for event in ocel.events:
        assert MOMENT.fullmatch(event.time)
        assert all(is_of(of_events[event.type][each.name], each.value) for each in event.attributes)
        assert len({each.name for each in event.attributes}) == len(event.attributes)
        assert {each.objectId for each in event.relationships} <= ids.keys()
        assert len(set(event.relationships)) == len(event.relationships)
    for each in ocel.objects:
        assert all(is_of(of_objects[each.type][said.name], said.value) for said in each.attributes)
        assert all(MOMENT.fullmatch(said.time) for said in each.attributes)
        assert len({(said.name, said.time) for said in each.attributes}) == len(each.attributes)
        assert {related.objectId for related in each.relationships} <= ids.keys()
    assert [] == [name for name, count in ids.items() if count > 1]
    assert len({event.id for event in ocel.events}) == len(ocel.events)


@given(told=st.lists(announced(), max_size=4))
def test_every_event_is_there_and_about_its_task(told: list[Story]) -> None:
    log = log_of([story.events for story in told])

    ocel = read(log)

    check(ocel)
    tasks = ocel.of("task")
    by_id = {event.id: event for event in ocel.events}
    events = [event for event in log.read() if isinstance(event, Event)]
    assert {str(event.position) for event in events} == set(by_id)
    for event in events:
        related = {each.objectId for each in by_id[str(event.position)].relationships}
        assert {id_text(event.stream)} == related & set(tasks), "its own task, and no other"


@given(events=flow_histories())
def test_flows_and_their_tasks_are_related(events: list[Event]) -> None:
    ocel = read(logged(events))

    check(ocel)
    flows, tasks = ocel.of("flow"), ocel.of("task")
    assert len(events) == len(ocel.events)
    for event in events:
        if event.is_of_flow:
            assert event.task_id in flows
    for task in tasks.values():
        parts = [each.objectId for each in task.relationships if each.qualifier == "part of"]
        assert len(parts) <= 1
        assert set(parts) <= set(flows)


@given(story=announced())
def test_the_status_of_a_task_is_told_as_it_changed_and_of_each_moment_the_last(story: Story) -> None:
    ocel = read(log_of([story.events]))
    task = ocel.of("task")[id_text(stream_of(0))]
    records: list[TaskRecord] = []
    for event in story.events:
        records.append(evolve(records[-1] if records else None, event))
    times = [event.time for event in ocel.events]
    last = {time: record.shown_status for time, record in zip(times, records, strict=True)}
    told = {said.time: said.value for said in task.attributes if said.name == "status"}

    assert last == {time: told[max(each for each in told if each <= time)] for time in last}
    assert told.keys() <= last.keys()
    assert [records[-1].runtime] == task.values("runtime")


def test_a_message_is_an_object_with_a_life_of_its_own() -> None:
    name = "terminal:succeeded:default"
    facts: list[AnyFact] = [
        created(),
        TaskStarted(),
        TaskSucceeded(),
        DeliveryQueued(delivery=name, kind=DeliveryKind.TERMINAL, text="done", session="agent:main:main"),
        DeliveryDelivered(delivery=name),
    ]
    ocel = read(log_of([as_stream(facts)]))
    task_id = id_text(stream_of(0))

    [message] = ocel.of("message").values()
    assert f"task-terminal:{task_id}:succeeded:default" == message.id
    assert ["session_queued", "delivered"] == message.values("status")
    assert [Relation(task_id, "tells of"), Relation("session:agent:main:main", "waits in")] == message.relationships
    assert [[message.id], [message.id]] == [
        [each.objectId for each in event.relationships if each.qualifier == "message"] for event in ocel.events[3:]
    ]


def test_a_flow_that_only_mirrors_a_task_is_there_and_one_with_events_is_there_once() -> None:
    with memory_ledger(clock=HandClock()) as ledger:
        alone = ledger.create(runtime="subagent", task="alone", owner="agent:main:main")
        first = ledger.create(runtime="subagent", task="first", owner="agent:main:main")
        ledger.create(runtime="subagent", task="second", owner="agent:main:main", flow=mirror_of(first.id))
        flows = read(copied(ledger.events())).of("flow")

    assert {mirror_of(alone.id), mirror_of(first.id)} == set(flows)
    assert [["mirrored"], ["mirrored"]] == [flow.values("mode") for flow in flows.values()]
    assert [[], []] == [flow.values("status") for flow in flows.values()], "they have those of their tasks"


def test_a_flow_that_two_tasks_are_in_and_that_has_no_events_is_there_once() -> None:
    first, second = created(notify="done_only", runtime="subagent"), created(flow=mirror_of(id_text(stream_of(1))))
    ocel = read(log_of([as_stream([second]), as_stream([first]), as_stream([second])]))

    check(ocel)
    [flow] = ocel.of("flow").values()
    assert (["mirrored"], 3) == (flow.values("mode"), len(ocel.of("task")))


def test_what_is_only_named_is_there_without_saying_anything() -> None:
    ocel = read(log_of([as_stream([created(parent=TASK_ID)])]))

    check(ocel)
    assert Thing(TASK_ID, "task", [], []) == ocel.of("task")[TASK_ID]


def test_of_a_selection_what_is_not_selected_is_only_named() -> None:
    with memory_ledger(clock=HandClock()) as ledger:
        above = ledger.create(runtime="cli", task="above", owner="agent:main:main")
        below = ledger.create(runtime="cli", task="below", owner="agent:main:main", parent=above.id)
        log = copied(ledger.events())

    ocel = read(log, lookup=below.id)
    check(ocel)
    assert {above.id: [], below.id: ["below"]} == {name: each.values("task") for name, each in ocel.of("task").items()}
    assert ["2"] == [event.id for event in ocel.events]


def test_of_a_flow_its_tasks_are_selected_as_well() -> None:
    with memory_ledger(clock=HandClock()) as ledger:
        flow = ledger.flows.create(owner="agent:main:main", goal="G", controller="bot")
        task = ledger.create(runtime="cli", task="a step", owner="agent:main:main", flow=flow.id)
        ledger.create(runtime="cli", task="another", owner="agent:main:main")
        log = copied(ledger.events())

    ocel = read(log, lookup=flow.id)
    check(ocel)
    assert {task.id} == set(ocel.of("task"))
    assert ["G"] == ocel.of("flow")[flow.id].values("goal")


def test_every_life_is_told_in_full() -> None:
    clock = HandClock()
    with memory_ledger(clock=clock) as ledger:
        Lives(ledger, clock).tell()
        log = copied(ledger.events())

    ocel = read(log)
    check(ocel)
    assert log.head() == len(ocel.events)
    assert {"task", "flow", "session", "agent", "message"} == {each.type for each in ocel.objects}
    assert {"queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost", "blocked"} == {
        status for each in ocel.of("task").values() for status in each.values("status")
    }
    [flow] = [each for each in ocel.of("flow").values() if each.values("mode") == ["managed"]]
    assert ["queued", "running", "waiting", "running", "succeeded"] == flow.values("status")


def test_what_never_changes_has_no_time_and_what_does_has_that_of_the_change() -> None:
    task = read(log_of([as_stream([created(label="l"), TaskStarted()])])).of("task")[id_text(stream_of(0))]

    assert {ALWAYS} == {each.time for each in task.attributes if each.name in ("label", "runtime", "task")}
    assert ["2026-09-21T14:13:21.000Z", "2026-09-21T14:13:22.000Z"] == [
        each.time for each in task.attributes if each.name == "status"
    ]


def test_a_damaged_record_is_an_event_of_its_task(tmp_path: Path) -> None:
    with DiskLog.open(tmp_path) as log:
        log.append(as_stream([created(), TaskStarted(), TaskSucceeded()], stream_of(1)))
    change_record(tmp_path, 2, lambda _body: b"nonsense")

    with DiskLog.open(tmp_path, readonly=True, create=False) as log:
        ocel = read(log)

    check(ocel)
    assert ["task-created", "record-damaged", "task-succeeded"] == [event.type for event in ocel.events]
    assert ["queued"] == ocel.of("task")[id_text(stream_of(1))].values("status"), "as far as it is known"


def test_an_empty_log_has_types_and_nothing_else() -> None:
    ocel = read(MemoryLog())

    assert ([], []) == (ocel.events, ocel.objects)
    assert len(event_types()) == len({kind.name for kind in ocel.eventTypes})
    assert len(object_types()) == len({kind.name for kind in ocel.objectTypes})
    for kind in (*event_types(), *object_types()):
        assert len({each.name for each in kind.attributes}) == len(kind.attributes), kind.name


def test_the_same_log_gives_the_same_bytes() -> None:
    log = log_of([as_stream([created(), TaskStarted()])] * 3)

    assert exported(log, "ocel") == exported(log, "ocel")


def test_a_disk_for_temporary_files_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))

    with pytest.raises(StoreError, match="nowhere"), Spool():
        pass


def test_a_disk_for_temporary_files_that_is_full_is_named_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fail() -> None:
        with to_file(out), Spool() as spool:
            for _ in range(1_000):
                spool.put(bytes(1_000))

    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, bound[1]))
    try:
        with pytest.raises(Full, match=f"{tempfile.gettempdir()}/tallystick is full") as caught:
            fail()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)

    assert str(out) not in str(caught.value)
    assert [] == [*tmp_path.iterdir()]
