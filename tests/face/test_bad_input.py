"""Bad input gets an error that names the field, the value and what is allowed, and nothing is written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import InvalidInput, Ledger, Task
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.limits import KEY_BYTES_MAX, LABEL_BYTES_MAX, TASK_BYTES_MAX
from tallystick.sync import Ledger as LedgerForThreads
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER, contents, open_any

LONG_KEY = "k" * (KEY_BYTES_MAX + 1)


@pytest.fixture(scope="module", params=["disk", "memory", "asyncio"])
def any_ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger of each kind in turn, for all tests of this file: none of them leaves anything behind but a task."""
    with open_any(request.param, tmp_path_factory.mktemp("shared") / "ledger", HandClock()) as opened:
        yield opened


def head(ledger: Ledger) -> int:
    return ledger.status().head


CREATIONS: list[tuple[str, Any, str]] = [
    # the field, its value, a part of what is allowed
    ("runtime", "chat", "acp, cli, cron, subagent"),
    ("runtime", "", "acp, cli, cron, subagent"),
    ("runtime", None, "acp, cli, cron, subagent"),
    ("runtime", 7, "acp, cli, cron, subagent"),
    ("task", "", "not blank"),
    ("task", " \n", "not blank"),
    ("task", None, "not blank"),
    ("task", 7, "not blank"),
    ("task", "a\0b", "without NUL"),
    ("task", "x" * (TASK_BYTES_MAX + 1), str(TASK_BYTES_MAX)),
    ("task", "é" * (TASK_BYTES_MAX // 2 + 1), str(TASK_BYTES_MAX)),
    ("task", "\ud800", "UTF-8"),
    ("label", "x" * (LABEL_BYTES_MAX + 1), str(LABEL_BYTES_MAX)),
    ("owner", None, "the session that asked"),
    ("owner", LONG_KEY, str(KEY_BYTES_MAX)),
    ("owner", "a\nb", "without control characters"),
    ("child_session", LONG_KEY, str(KEY_BYTES_MAX)),
    ("run_id", LONG_KEY, str(KEY_BYTES_MAX)),
    ("idempotency_key", LONG_KEY, str(KEY_BYTES_MAX)),
    ("request_key", LONG_KEY, str(KEY_BYTES_MAX)),
    ("request_key", 7, "one line"),
    ("request_key", "call\n7", "control"),
    ("parent", "my parent", "a task id"),
    ("origin", "telegram", "an Origin"),
    ("notify", "loud", "done_only, failures_only, silent, state_changes"),
    ("timeout_ms", 0, "from 1"),
    ("timeout_ms", 1.5, "whole milliseconds"),
    ("timeout_ms", True, "whole milliseconds"),
    ("metadata", "repo=a", "pairs of texts"),
    ("backing", 4711, "flat pairs"),
    ("scope", "world", "session, system"),
    ("occurred_at", -1, "since 1970"),
    ("occurred_at", "now", "since 1970"),
]


@pytest.mark.parametrize(("field", "value", "allowed"), CREATIONS)
def test_a_creation_with_a_bad_field_is_refused_by_name(
    any_ledger: Ledger, field: str, value: Any, allowed: str
) -> None:
    before = head(any_ledger)

    with pytest.raises(InvalidInput) as refused:
        any_ledger.create(**{**ORDINARY, field: value})

    assert field == refused.value.field
    assert repr(value)[:70] == refused.value.value[:70]
    assert allowed in refused.value.allowed
    assert all(part in str(refused.value) for part in (field, refused.value.value, refused.value.allowed))
    assert before == head(any_ledger)


NESTED: list[tuple[dict[str, Any], str]] = [
    ({"origin": {"channel": "telegram", "to": True}}, "origin.to"),
    ({"origin": {}}, "origin"),
    ({"origin": {"channel": "telegram", "to": 1, "via": 2}}, "a name in origin"),
    ({"metadata": {"count": 1}}, "metadata.count"),
    ({"metadata": {" repo": "a"}}, "a name in metadata"),
    ({"backing": {"pids": [1]}}, "backing.pids"),
    ({"colour": "red"}, "a field"),
    ({"runtime": "cron", "owner": None, "notify": "done_only"}, "notify"),
    ({"scope": "system"}, "owner"),
    ({"owner": " "}, "owner"),  # a blank key counts as absent
]


@pytest.mark.parametrize(("more", "field"), NESTED)
def test_what_is_inside_a_field_is_named_too(any_ledger: Ledger, more: dict[str, Any], field: str) -> None:
    before = head(any_ledger)

    with pytest.raises(InvalidInput) as refused:
        any_ledger.create(**{**ORDINARY, **more})

    assert field == refused.value.field
    assert before == head(any_ledger)


VERBS: list[tuple[str, Callable[[Task], Any]]] = [
    ("backing", lambda task: task.start(backing=5)),  # type: ignore[arg-type]
    ("step", lambda task: task.progress(step=-1)),
    ("steps", lambda task: task.progress(steps="5")),  # type: ignore[arg-type]
    ("message", lambda task: task.progress(b"reading")),  # type: ignore[arg-type]
    ("tool", lambda task: task.progress(tool=LONG_KEY)),
    ("usage.tokens", lambda task: task.progress(usage={"tokens": -1})),
    ("usage.tokens", lambda task: task.succeed(usage={"tokens": float("inf")})),
    ("outcome", lambda task: task.succeed(outcome="odd")),
    ("artifacts", lambda task: task.succeed(artifacts="file:///a")),
    ("artifacts[1]", lambda task: task.succeed(artifacts=["file:///a", ""])),
    ("error", lambda task: task.fail(None)),  # type: ignore[arg-type]
    ("exit_code", lambda task: task.fail("it broke", exit_code="1")),  # type: ignore[arg-type]
    ("confirmed", lambda task: task.cancelled(confirmed="yes")),  # type: ignore[arg-type]
    ("as", lambda task: task.settle("succeeded", "by hand")),
    ("as", lambda task: task.settle("done", "by hand")),
    ("reason", lambda task: task.settle("failed", " ")),
    ("policy", lambda task: task.notify("loud")),
    ("wait_ms", lambda task: task.cancel(wait_ms=-1)),
    ("wait_ms", lambda task: task.cancel(wait_ms=1.5)),  # type: ignore[arg-type]
    ("occurred_at", lambda task: task.start(occurred_at=-1)),
    ("expected_version", lambda task: task.start(expected_version=-1)),
    ("expected_version", lambda task: task.cancel(expected_version="1")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("field", "call"), VERBS)
def test_a_verb_with_a_bad_argument_is_refused_by_name(
    any_ledger: Ledger, field: str, call: Callable[[Task], Any]
) -> None:
    task = any_ledger.create(**ORDINARY)
    before = head(any_ledger)

    with pytest.raises(InvalidInput) as refused:
        call(task)

    assert field == refused.value.field
    assert before == head(any_ledger)
    assert 1 == any_ledger.get(task.id).record.version


QUESTIONS: list[tuple[str, Callable[[Ledger], Any]]] = [
    ("status", lambda ledger: ledger.list(status="done")),
    ("runtime", lambda ledger: ledger.list(runtime="chat")),
    ("owner", lambda ledger: ledger.list(owner=" ")),
    ("metadata", lambda ledger: ledger.list(metadata="repo")),
    ("text", lambda ledger: ledger.list(text="")),
    ("since", lambda ledger: ledger.list(since="yesterday")),
    ("until", lambda ledger: ledger.list(until=-1)),
    ("limit", lambda ledger: ledger.list(limit=0)),
    ("limit", lambda ledger: ledger.list(limit=10_001)),
    ("limit", lambda ledger: ledger.list(limit=None)),
    ("cursor", lambda ledger: ledger.list(cursor="")),
    ("cursor", lambda ledger: ledger.list(cursor="AAAA")),
    ("cursor", lambda ledger: ledger.list(cursor="é")),
    ("colour", lambda ledger: ledger.list(colour="red")),
    ("lookup", lambda ledger: ledger.find(" ")),
    ("lookup", lambda ledger: ledger.find(None)),  # type: ignore[arg-type]
    ("lookup", lambda ledger: ledger.timeline("")),
    ("lookup", lambda ledger: ledger.timeline(None)),  # type: ignore[arg-type]
    ("lookup", lambda ledger: ledger.state_at(7)),  # type: ignore[arg-type]
    ("task_id", lambda ledger: ledger.get("")),
    ("task_id", lambda ledger: ledger.get(7)),  # type: ignore[arg-type]
    ("position", lambda ledger: ledger.state_at("x", position=-1)),
    ("at", lambda ledger: ledger.state_at("x", at=-1)),
    ("at", lambda ledger: ledger.state_at("x", at=1, position=1)),
    ("after", lambda ledger: ledger.events(-1)),
    ("after", lambda ledger: ledger.events(after=True)),
    ("after", lambda ledger: ledger.subscribe("0")),  # type: ignore[arg-type]
    ("after", lambda ledger: ledger.subscribe(-1)),
]


@pytest.mark.parametrize(("field", "call"), QUESTIONS)
def test_a_question_with_a_bad_argument_is_refused_by_name(
    any_ledger: Ledger, field: str, call: Callable[[Ledger], Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(any_ledger)

    assert field == refused.value.field
    assert refused.value.allowed


def test_a_cursor_of_another_query_is_refused(any_ledger: Ledger) -> None:
    for _ in range(3):
        any_ledger.create(**ORDINARY)
    cursor = any_ledger.list(limit=1).next_cursor

    with pytest.raises(InvalidInput, match="the next_cursor of a page of this very query") as refused:
        any_ledger.list(limit=1, cursor=cursor, owner=OWNER)

    assert "cursor" == refused.value.field
    assert 1 == len(any_ledger.list(limit=1, cursor=cursor).tasks)


def test_a_value_that_is_long_is_not_repeated_whole(any_ledger: Ledger) -> None:
    with pytest.raises(InvalidInput) as refused:
        any_ledger.create(**{**ORDINARY, "task": "x" * 1_000_000})

    assert 300 > len(str(refused.value))


def test_a_command_for_a_task_that_is_not_there_is_not_found(ledger: LedgerForThreads) -> None:
    stranger = id_text(new_id())

    with pytest.raises(tallystick.BatchFailed) as failed, ledger.batch() as batch:
        batch.task(stranger).start()

    [(place, error)] = failed.value.refusals
    assert (0, tallystick.NotFound, stranger) == (place, type(error), getattr(error, "token", None))
    assert [] == list(ledger.events())


def test_a_batch_names_a_task_by_its_id_alone(any_ledger: Ledger) -> None:
    for bad in ("run-1", "", None):
        with pytest.raises(InvalidInput):
            any_ledger.batch().task(bad)  # type: ignore[arg-type]


def test_what_is_refused_leaves_the_folder_as_it_is(folder: Path, ledger: LedgerForThreads) -> None:
    ledger.create(**ORDINARY)
    ledger.settled()
    before = contents(folder)

    for field, value, _allowed in CREATIONS:
        with pytest.raises(InvalidInput):
            ledger.create(**{**ORDINARY, field: value})

    assert before == contents(folder)
