"""The media guard's rule: what makes two generations the same, for how long, and bytes that are on disk for ever."""

from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskCreated,
    TaskFailed,
    TaskLost,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.guard import guards_of, stands, taken_over
from tallystick.ledger.lifecycle import BLOCKED, MEDIA_KINDS
from tallystick.ledger.limits import MEDIA_GUARD_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.redaction import marked
from tests.story import Story, created
from tests.strategies import creations

FOX = "A red fox"
ENDS = (
    TaskFailed(error="no credits"),
    TaskTimedOut(),
    TaskCancelled(),
    TaskLost(rule="proved dead", evidence={}),
    TaskSucceeded(outcome=BLOCKED),
)


def asked(**more: Any) -> TaskCreated:
    """Return the creation of a picture."""
    return created(**{"runtime": "cli", "kind": "image_generation", "task": FOX, **more})


def told(*facts: Any) -> TaskRecord:
    record = Story(asked(request_key="call-7"), *facts).record
    assert record is not None
    return record


def test_prompts_that_look_the_same_without_their_secrets_are_told_apart_by_what_stands_for_them() -> None:
    known = marked(asked(task="[redacted]", request_key="call-7"), ["task"])
    one, two = guards_of(known, veil=b"1"), guards_of(known, veil=b"2")

    assert one == guards_of(known, veil=b"1")
    assert 4 == len({*one, *two}), "of prompt and request"
    assert set(one).isdisjoint(guards_of(asked(task="[redacted]", request_key="call-7")))


def test_without_that_nobody_can_say_that_a_session_has_what_it_asks_for() -> None:
    assert () == guards_of(marked(asked(task="[redacted]"), ["task"]))
    assert guards_of(asked()) == guards_of(marked(asked(), ["label"])), "which is no part of the prompt"
    assert guards_of(asked()) == guards_of(asked(), veil=b"1")


def test_the_bytes_of_a_guard_never_change() -> None:
    prompt = b"\xafagent:main:main\xb0image_generation\xa9A red fox"
    spelled_out = (
        blake2b(b"tallystick guard: prompt.1\n\x93" + prompt, digest_size=16),
        blake2b(b"tallystick guard: request.1\n\x94" + prompt + b"\xa6call-7", digest_size=16),
    )

    assert tuple(digest.digest() for digest in spelled_out) == guards_of(asked(request_key="call-7"))
    assert guards_of(asked()) == guards_of(asked(request_key="call-7"))[:1]
    assert ["45971dd6c7d62ff499dc60e98ad0a7ce", "50f01d51820b8a71e339d7c61d5d9be3"] == [
        guard.hex() for guard in guards_of(asked(request_key="call-7"))
    ]


@pytest.mark.parametrize("kind", sorted(MEDIA_KINDS))
def test_every_kind_of_media_is_guarded_and_is_another_generation(kind: str) -> None:
    guards = [guards_of(asked(kind=each)) for each in sorted(MEDIA_KINDS)]

    assert 1 == guards.count(guards_of(asked(kind=kind)))


@pytest.mark.parametrize(
    "other",
    [
        {"runtime": "subagent"},
        {"kind": None},
        {"kind": "build"},
        {"owner": None, "scope": "system", "requester": "agent:main:main"},
    ],
)
def test_what_is_no_generation_of_a_session_is_not_guarded(other: dict[str, Any]) -> None:
    assert () == guards_of(asked(request_key="call-7", **other))


@pytest.mark.parametrize(
    "more",
    [
        {"task": f"\n {FOX}\t "},
        {"label": "fox", "run_id": "run-2", "agent": "other", "metadata": {"size": "large"}},
        {"owner": "agent:main:telegram:group:1", "requester": "agent:main:main"},
    ],
)
def test_the_same_prompt_in_the_session_that_asks_is_the_same_whatever_else_is_said(more: dict[str, Any]) -> None:
    assert guards_of(asked()) == guards_of(asked(**more))


@pytest.mark.parametrize(
    "more", [{"task": "a red fox"}, {"task": "A red  fox"}, {"owner": "agent:main:b"}, {"kind": "video_generation"}]
)
def test_another_prompt_session_or_kind_is_another_generation(more: dict[str, Any]) -> None:
    assert not set(guards_of(asked(request_key="7"))) & set(guards_of(asked(request_key="7", **more)))


@given(creations(), creations())
def test_two_creations_have_the_same_guard_only_if_session_kind_and_prompt_are_the_same(
    one: TaskCreated, other: TaskCreated
) -> None:
    def generation(creation: TaskCreated) -> object:
        return creation.requester or creation.owner, creation.kind, creation.task.strip()

    same = bool(guards_of(one)[:1]) and guards_of(one)[:1] == guards_of(other)[:1]
    assert same <= (generation(one) == generation(other))


def test_a_task_that_was_of_no_kind_is_guarded_as_what_it_becomes() -> None:
    known = Story(created(runtime="cli", task=FOX, idempotency_key="key-1")).record
    again = asked(task="Something else", owner="agent:main:other", idempotency_key="key-1", request_key="call-7")

    assert guards_of(asked()) == guards_of(again, known)
    assert () == guards_of(again, told())


@pytest.mark.parametrize("facts", [(), (TaskStarted(),)])
def test_an_active_generation_stands_for_every_request_however_old_it_is(facts: tuple[Any, ...]) -> None:
    record = told(*facts)

    for at in (record.created_at, record.created_at + 10 * MEDIA_GUARD_MS):
        assert stands(record, at, same_request=False)
        assert stands(record, at, same_request=True)


@given(st.integers(-3 * MEDIA_GUARD_MS, 3 * MEDIA_GUARD_MS))
def test_a_success_stands_for_the_same_request_exactly_within_the_window(after_ms: int) -> None:
    record = told(TaskSucceeded())
    assert record.ended_at is not None

    assert (abs(after_ms) <= MEDIA_GUARD_MS) == stands(record, record.ended_at + after_ms, same_request=True)
    assert not stands(record, record.ended_at + after_ms, same_request=False)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_what_did_not_succeed_with_what_was_asked_for_stands_for_nothing(end: Any) -> None:
    record = told(end)
    assert record.ended_at is not None

    assert not stands(record, record.ended_at, same_request=True)


def test_what_retention_has_removed_stands_for_nothing() -> None:
    record = told(TaskSucceeded(), TaskPruned())
    assert record.ended_at is not None

    assert not stands(record, record.ended_at, same_request=True)


@given(creations())
def test_of_a_further_call_the_key_and_the_flow_are_taken_over_and_nothing_else(
    creation: TaskCreated,
) -> None:
    taken = taken_over(creation)

    assert creation.idempotency_key == taken.idempotency_key
    assert {"runtime", "task", "scope", "notify", "delivery", "flow", "idempotency_key"} >= {
        name for name in TaskCreated.__struct_fields__ if getattr(taken, name) not in (None, ())
    }
    assert () == guards_of(taken)
