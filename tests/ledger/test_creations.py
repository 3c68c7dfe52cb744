"""How a creation comes in: completed, checked field by field, and never larger than a record."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger import intake
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import Event
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskCreated
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Runtime, Scope
from tallystick.ledger.limits import (
    COUNT_MAX,
    EVIDENCE_BYTES_MAX,
    KEY_BYTES_MAX,
    LABEL_BYTES_MAX,
    METADATA_BYTES_MAX,
    RECORD_BYTES_MAX,
    TASK_BYTES_MAX,
    TIME_MS_MAX,
    TIMEOUT_MS_MAX,
)
from tests.story import OTHER_ID, TASK_ID

ORDINARY: dict[str, Any] = {"runtime": "subagent", "task": "Count the tallies", "owner": "agent:main:main"}
KEYS = {
    "owner",
    "requester",
    "child_session",
    "run_id",
    "kind",
    "source_id",
    "agent",
    "requester_agent",
    "idempotency_key",
    "request_key",
}
IDS = {"parent", "root", "flow"}


def refused(make: Callable[[], object], field: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        make()
    assert field == error.value.field
    return error.value


def created(**more: Any) -> TaskCreated:
    return intake.created(**{**ORDINARY, **more})


def test_an_ordinary_creation_is_completed_with_its_scope_policy_and_delivery() -> None:
    assert (
        TaskCreated(
            runtime=Runtime.SUBAGENT,
            task="Count the tallies",
            owner="agent:main:main",
            scope=Scope.SESSION,
            notify=NotifyPolicy.DONE_ONLY,
            delivery=DeliveryStatus.PENDING,
        )
        == created()
    )


def test_everything_that_may_be_said_about_a_task_is_kept() -> None:
    said: dict[str, Any] = {
        "label": "tally",
        "requester": "agent:main:other",
        "child_session": "agent:main:subagent:7c",
        "run_id": "run-1",
        "kind": "image_generation",
        "source_id": "job-7",
        "parent": OTHER_ID,
        "root": TASK_ID,
        "flow": "0198c2f0-7b7e-7cc3-8a53-0000000000f1",
        "agent": "main",
        "requester_agent": "other",
        "origin": Origin(channel="telegram", to="123", account=None, thread=77),
        "timeout_ms": 60_000,
        "backing": {"pid": 7},
        "metadata": {"repo": "a/b"},
        "idempotency_key": "key-1",
        "request_key": "call-7",
    }

    fact = created(**said, notify="state_changes", scope="session")

    assert said == {name: getattr(fact, name) for name in said}
    assert (NotifyPolicy.STATE_CHANGES, Scope.SESSION) == (fact.notify, fact.scope)


def test_what_is_none_or_blank_was_not_said() -> None:
    optional = set(intake.Creation.__annotations__) - set(ORDINARY)

    assert created() == created(**dict.fromkeys(optional))
    assert created() == created(**dict.fromkeys((KEYS | IDS | {"label"}) - {"owner"}, " \n"), backing={}, metadata={})


@pytest.mark.parametrize(
    ("runtime", "policy", "delivery"),
    [
        ("acp", NotifyPolicy.DONE_ONLY, DeliveryStatus.PENDING),
        ("subagent", NotifyPolicy.DONE_ONLY, DeliveryStatus.PENDING),
        ("cron", NotifyPolicy.SILENT, DeliveryStatus.NOT_APPLICABLE),
        ("cli", NotifyPolicy.SILENT, DeliveryStatus.NOT_APPLICABLE),
    ],
)
def test_a_runtime_has_its_policy_unless_another_is_asked_for(
    runtime: str, policy: NotifyPolicy, delivery: DeliveryStatus
) -> None:
    fact = created(runtime=runtime)
    loud = created(runtime=Runtime(runtime), notify=NotifyPolicy.FAILURES_ONLY)
    silent = created(runtime=runtime, notify="silent")

    assert (Scope.SESSION, policy, delivery) == (fact.scope, fact.notify, fact.delivery)
    assert (NotifyPolicy.FAILURES_ONLY, DeliveryStatus.PENDING) == (loud.notify, loud.delivery)
    assert (NotifyPolicy.SILENT, DeliveryStatus.NOT_APPLICABLE) == (silent.notify, silent.delivery)


@pytest.mark.parametrize(
    "given",
    [
        {"runtime": "cron"},
        {"runtime": "cron", "owner": " "},
        {"runtime": "cron", "notify": "silent"},
        {"runtime": "acp", "scope": "system"},
        {"runtime": "subagent", "scope": Scope.SYSTEM, "notify": NotifyPolicy.SILENT, "requester": "agent:main:main"},
    ],
)
def test_what_belongs_to_the_system_is_silent_and_delivered_nowhere(given: dict[str, Any]) -> None:
    fact = intake.created(task="Sweep", **given)

    assert (Scope.SYSTEM, NotifyPolicy.SILENT, DeliveryStatus.NOT_APPLICABLE, None) == (
        fact.scope,
        fact.notify,
        fact.delivery,
        fact.owner,
    )


def test_what_belongs_to_the_system_cannot_be_told_to_anybody() -> None:
    error = refused(lambda: intake.created(runtime="cron", task="Sweep", notify="done_only"), "notify")

    assert ("'done_only'", "silent: what belongs to the system tells nobody") == (error.value, error.allowed)


@pytest.mark.parametrize(
    "given",
    [{"runtime": "acp"}, {"runtime": "cli", "owner": "\t"}, {"runtime": "cron", "scope": "session"}],
)
def test_what_belongs_to_a_session_names_it(given: dict[str, Any]) -> None:
    assert "session that asked" in refused(lambda: intake.created(task="x", **given), "owner").allowed


def test_what_belongs_to_the_system_has_no_owner() -> None:
    assert 'no owner with scope="system"' == refused(lambda: created(scope="system"), "owner").allowed


def test_a_cron_run_with_an_owner_belongs_to_that_session() -> None:
    assert Scope.SESSION is created(runtime="cron").scope


def test_a_requester_is_stored_only_if_it_is_not_the_owner() -> None:
    assert created(requester=" agent:main:main ").requester is None
    assert "agent:main:other" == created(requester="agent:main:other").requester


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("runtime", "heartbeat", "acp, cli, cron, subagent"),
        ("runtime", None, "acp, cli, cron, subagent"),
        ("runtime", 7, "acp, cli, cron, subagent"),
        ("notify", "loud", "done_only, failures_only, silent, state_changes"),
        ("scope", "world", "session, system"),
        ("task", "", "not blank"),
        ("task", " \n", "not blank"),
        ("task", None, "not blank"),
        ("task", "t" * (TASK_BYTES_MAX + 1), str(TASK_BYTES_MAX)),
        ("label", "l" * (LABEL_BYTES_MAX + 1), str(LABEL_BYTES_MAX)),
        ("timeout_ms", 0, f"1 to {TIMEOUT_MS_MAX}"),
        ("timeout_ms", True, f"1 to {TIMEOUT_MS_MAX}"),
        ("parent", "run-1", "a task id such as"),
        ("root", TASK_ID.upper(), "a task id such as"),
        ("origin", "slack", "an Origin"),
        ("backing", [7], "flat pairs"),
        ("metadata", {"k": "v" * METADATA_BYTES_MAX}, str(METADATA_BYTES_MAX)),
        *((field, "k" * (KEY_BYTES_MAX + 1), str(KEY_BYTES_MAX)) for field in sorted(KEYS | IDS)),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(field: str, value: object, allowed: str) -> None:
    error = refused(lambda: created(**{field: value}), field)

    assert repr(value)[:40] == error.value[:40]
    assert allowed in error.allowed


def test_a_creation_needs_a_runtime_and_a_task() -> None:
    for field in ("runtime", "task"):
        rest = {name: value for name, value in ORDINARY.items() if name != field}
        refused(partial(intake.created, **rest), field)


def test_a_field_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    error = refused(lambda: created(sessionKey="agent:main:main"), "a field")

    assert "'sessionKey'" == error.value
    assert error.allowed.startswith("only agent, backing, child_session,")


def test_nothing_that_a_caller_changes_later_changes_the_fact() -> None:
    metadata, backing = {"repo": "a/b"}, {"pid": 7}
    fact = created(metadata=metadata, backing=backing)

    metadata["repo"], backing["pid"] = "c/d", 8

    assert ({"repo": "a/b"}, {"pid": 7}) == (fact.metadata, fact.backing)


@given(st.dictionaries(st.sampled_from(sorted(intake.Creation.__annotations__)), st.text(max_size=4) | st.integers()))
def test_whatever_a_caller_says_is_a_creation_or_a_clear_error(said: dict[str, Any]) -> None:
    refusal: InvalidInput | None = None
    try:
        fact = created(**said)
    except InvalidInput as error:
        refusal = error

    if refusal is None:
        assert fact == msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=TaskCreated)
    else:
        assert refusal.field == "owner" or refusal.field in said


def test_the_largest_creation_fits_a_record() -> None:
    long = "k" * KEY_BYTES_MAX
    fact = created(
        task="é" * (TASK_BYTES_MAX // 2),
        label="l" * LABEL_BYTES_MAX,
        origin=Origin(channel=long, to=long, account=long, thread=long),
        metadata={"k": "v" * (METADATA_BYTES_MAX - 1)},
        backing={"k": "v" * (EVIDENCE_BYTES_MAX - 1)},
        timeout_ms=TIMEOUT_MS_MAX,
        **dict.fromkeys(KEYS, long),
        **dict.fromkeys(IDS, OTHER_ID),
    )
    event = Event(COUNT_MAX, bytes(16), COUNT_MAX, TIME_MS_MAX, TIME_MS_MAX, long, fact)

    assert len(msgspec.msgpack.encode(event)) < RECORD_BYTES_MAX
