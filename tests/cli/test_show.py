"""`tally show` tells all of one task, however it is named."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.cli.commands.show import record_lines
from tallystick.cli.screen import Screen
from tallystick.cli.times import stamp, took
from tallystick.ledger.content import Erased
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.disk import DiskLog
from tallystick.readings import LOG_FOLDER
from tests.cli.support import BEGIN_MS, make_stories, tally

pytestmark = pytest.mark.usefixtures("ledger")

TYPED: dict[str, Any] = {
    "runtime": Runtime.SUBAGENT,
    "status": Status.FAILED,
    "scope_kind": Scope.SYSTEM,
    "delivery_status": DeliveryStatus.PARENT_MISSING,
    "notify_policy": NotifyPolicy.STATE_CHANGES,
    "origin": Origin(channel="a channel", to=471_100, account="an account", thread="a thread"),
    "timeout_ms": 125_000,
    "backing": {"pid": 4711, "host": "a host"},
    "metadata": {"repo": "a/b"},
    "further_keys": ("a further key", "and another"),
    "artifacts": ("file:///a", "file:///b"),
    "usage": {"inputTokens": 123_456, "costUsd": 0.25},
    "cancel_confirmed": False,
    "late_signals": (("digest", 987_654), ("another", 987_655)),
    "erased": Erased(BEGIN_MS + 123_000, "who erased it", "why it was erased"),
}


def full_record() -> TaskRecord:
    """A record with all of its fields, each of them with a value of its own."""
    values: dict[str, Any] = {}
    for number, name in enumerate(TaskRecord.__struct_fields__):
        if name in TYPED:
            values[name] = TYPED[name]
        elif name.endswith("_at"):
            values[name] = BEGIN_MS + number
        elif name in ("version", "position", "ended_at_position") or name.endswith(("_count", "_step", "_steps")):
            values[name] = 70_000 + number
        else:
            values[name] = f"this is the {name}"
    return TaskRecord(**values)


def leaves(name: str, value: Any) -> Iterator[str]:
    """What must be seen of a value."""
    if isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, int) and name.endswith("At"):
        yield stamp(value)
    elif isinstance(value, int) and name.endswith("Ms"):
        yield took(value)
    elif isinstance(value, dict):
        for key, said in value.items():
            yield key
            yield from leaves("", said)
    elif isinstance(value, list | tuple):
        for said in value:
            yield from leaves("", said)
    else:
        yield str(value)


@pytest.mark.parametrize("name", TaskRecord.__struct_fields__)
def test_every_field_of_a_record_is_shown(name: str) -> None:
    record = full_record()
    shown = "\n".join(record_lines(Screen(), record, BEGIN_MS))
    encoded = TaskRecord.__struct_encode_fields__[TaskRecord.__struct_fields__.index(name)]
    value = msgspec.to_builtins(record)[encoded]

    expected = [str(position) for _, position in value] if name == "late_signals" else list(leaves(encoded, value))
    if name == "erased":
        expected = [stamp(value["at"]), value["by"], value["reason"]]

    assert [] == [leaf for leaf in expected if leaf not in shown]


def test_a_shown_task_begins_with_what_it_is(ids: Mapping[str, str]) -> None:
    lines = tally("show", ids["tests"]).out.splitlines()

    assert f"Task {ids['tests']}  failed after 1m01s" == lines[0]
    assert ["label", "tests"] == lines[1].split()
    assert f"tally timeline {ids['tests']}" == lines[-1]


def test_json_shows_the_bare_record_and_its_deliveries(ids: Mapping[str, str]) -> None:
    data = tally("show", ids["build"], "--json").data

    assert [] == data.pop("deliveries")
    record = msgspec.convert(data, TaskRecord)
    assert (ids["build"], ("file:///a", "file:///b"), {"inputTokens": 12}) == (
        record.task_id,
        record.artifacts,
        record.usage,
    )


def test_interruptions_and_late_signals_are_seen(ids: Mapping[str, str]) -> None:
    late, stopping = tally("show", ids["late"]).out, tally("show", ids["stopping"]).out

    assert "late signals" in late
    assert "cancel asked" in stopping
    assert "enough" in stopping
    assert "running for " in stopping.splitlines()[0]


@pytest.mark.parametrize("lookup", ["run-7", " run-7 ", "agent:main:subagent:7c"])
def test_a_task_is_found_by_its_run_and_its_session(ids: Mapping[str, str], lookup: str) -> None:
    assert ids["tests"] == tally("show", lookup, "--json").data["taskId"]


def test_a_task_is_found_by_what_the_list_printed_of_its_id(ids: Mapping[str, str]) -> None:
    for part in (ids["wait"][-12:], ids["wait"][-12:].upper(), ids["wait"][:-3]):
        assert ids["wait"] == tally("show", part, "--json").data["taskId"]
    assert ids["wait"] == tally("timeline", ids["wait"][-12:], "--json").data["taskId"]


def test_a_part_of_several_ids_is_refused_with_the_candidates(ids: Mapping[str, str]) -> None:
    part = ids["wait"][:6]

    said = tally("show", part)
    error = tally("show", part, "--json").error

    assert 1 == said.code
    assert f"{part} means 10 tasks: " in said.err
    assert said.err.endswith(" …. Give more of the id.\n")
    assert ("Ambiguous", part) == (error["type"], error["token"])
    assert sorted(ids.values()) == sorted(error["candidates"])


@pytest.mark.parametrize("lookup", ["nobody", "ab12", "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21", "0198c2f07b7e"])
def test_what_names_no_task_is_not_found(lookup: str) -> None:
    said = tally("show", lookup)
    error = tally("timeline", lookup, "--json").error

    assert (1, "") == (said.code, said.out)
    assert f'Task not found: {lookup}. Run "tally list" to see recent tasks.\n' == said.err
    assert ("NotFound", lookup) == (error["type"], error["token"])


def test_what_was_pruned_says_what_it_was_and_keeps_its_timeline(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    task_id = make_stories(folder)["build"]
    with DiskLog.open(folder / LOG_FOLDER) as log:  # nothing prunes yet; the log knows how it will look
        record = fold(event for event in log.stream(id_bytes(task_id)) if isinstance(event, Event))
        assert record is not None
        pruned = Event(log.head() + 1, record.stream, record.version + 1, BEGIN_MS, BEGIN_MS, "sweep", TaskPruned())
        log.append([pruned])
    where = ["--ledger", str(folder)]

    said, error = tally("show", task_id, *where), tally("show", task_id, "--json", *where).error

    assert (1, f"Task pruned: {task_id} was succeeded, ended at ") == (said.code, said.err.partition("1790")[0])
    assert ("Pruned", "succeeded", BEGIN_MS) == (error["type"], error["status"], error["prunedAt"])
    assert 4 == len(tally("timeline", task_id, "--json", *where).data["events"])
    assert "succeeded" == tally("replay", task_id, "--position", "3", "--json", *where).data["task"]["status"]
    assert 9 == tally("list", "--json", *where).data["count"]
    assert 9 == tally("replay", "--json", *where).data["count"]
