"""What is left of a fact when somebody names the secrets in it, and what it says of what went."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.content import CONTENT
from tallystick.ledger.events import ERASURES, FACT_TYPES, NAMES
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.fact import Fact, Origin
from tallystick.ledger.facts.flows import FlowCancelRequested, FlowCreated, FlowTaskLinked, FlowWaitingSet
from tallystick.ledger.facts.resources import TaskCleanedUp
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCreated,
    TaskErased,
    TaskFailed,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskSucceeded,
)
from tallystick.ledger.flows.json import json_value
from tallystick.ledger.intake import created, progressed
from tallystick.ledger.lifecycle import DeliveryKind, FlowMode, Status
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    FLOW_JSON_BYTES_MAX,
    KEY_BYTES_MAX,
    LABEL_BYTES_MAX,
    METADATA_BYTES_MAX,
    RECORD_BYTES_MAX,
    TASK_BYTES_MAX,
)
from tallystick.ledger.redaction import (
    REDACTED,
    TEXTS,
    carried,
    marked,
    repeated,
    stripper,
    texts,
    withheld,
    without_secrets,
)
from tests.ledger.store import make
from tests.redacting.parts import SECRET, place

ROUTES = {"origin", "route"}
secrets = st.lists(st.sampled_from([SECRET, "hunter", "ключ", "x", "", "top secret", "\n"]), max_size=4)


def packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


@given(make.facts(), st.data())
def test_no_secret_is_left_wherever_it_is_and_the_marks_name_exactly_what_was_changed(
    fact: Any, data: st.DataObject
) -> None:
    hidden = {name for name in TEXTS[fact.__class__] if data.draw(st.booleans())}
    fact = replace(fact, **{name: place(getattr(fact, name), SECRET, data) for name in hidden}, redacted=())

    left = without_secrets(fact, [SECRET])

    assert SECRET.encode() not in packed([getattr(left, name) for name in TEXTS[fact.__class__]])
    changed = {name for name in fact.__struct_fields__ if getattr(fact, name) != getattr(left, name)}
    assert {name for name in hidden if SECRET.encode() in packed(getattr(fact, name))} == set(left.redacted)
    assert set(left.redacted) == changed - {"redacted"}
    assert left == msgspec.msgpack.decode(packed(left), type=type(fact))


@given(make.facts(), secrets)
def test_all_that_has_no_secret_stays_to_the_letter(fact: Any, named: list[str]) -> None:
    left = without_secrets(fact, named)

    for name in fact.__struct_fields__:
        if name not in left.redacted:
            assert getattr(fact, name) == getattr(left, name)
    assert fact.redacted == left.redacted[: len(fact.redacted)], "what was marked before stays marked"
    if not any(secret in text for secret in filter(None, named) for text in texts(fact)):
        assert fact is left


@given(make.facts(), secrets)
def test_taking_it_out_twice_is_the_same_as_once(fact: Any, named: list[str]) -> None:
    left = without_secrets(fact, named)

    if not any(secret and secret in REDACTED + "…* (2)" for secret in named):
        assert left == without_secrets(left, named)


@given(make.facts())
def test_what_is_withheld_says_nothing_and_marks_what_it_said(fact: Any) -> None:
    left = withheld(replace(fact, redacted=()))

    assert set(texts(left)) <= {REDACTED}
    assert {name for name in TEXTS[fact.__class__] if getattr(left, name) != getattr(fact, name)} <= set(left.redacted)
    assert left == msgspec.msgpack.decode(packed(left), type=type(fact))
    for name in set(fact.__struct_fields__) - {"redacted", *TEXTS[fact.__class__]}:
        assert getattr(fact, name) == getattr(left, name)
    if not texts(fact):
        assert () == left.redacted


def test_a_text_is_withheld_by_a_word_and_what_has_several_as_a_whole() -> None:
    fact = created(runtime="cli", task=SECRET, owner="o", metadata={"a": SECRET})
    flow = FlowWaitingSet(wait={"n": 7, "for": [SECRET]}, state=12, blocked_summary=SECRET)

    left, flow_left = withheld(fact), withheld(flow)

    assert (REDACTED, {}, ("task", "metadata")) == (left.task, left.metadata, left.redacted)
    assert ({}, 12, REDACTED) == (flow_left.wait, flow_left.state, flow_left.blocked_summary)
    assert ("wait", "blocked_summary") == flow_left.redacted


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: NAMES[kind])
def test_secrets_are_looked_for_in_all_content_but_routes_and_what_another_fact_had(kind: type[Fact]) -> None:
    besides = {"reason"} if kind in ERASURES else {"failed"} if kind is TaskCleanedUp else set()
    if kind in (TaskBackingMissed, TaskBackingRestored, TaskLost, TaskRecovered):
        besides = {"evidence"}
    content = set() if kind is TaskLateSignal else set(CONTENT[kind]) - ROUTES

    assert content | besides == set(TEXTS[kind])


def test_who_somebody_is_and_where_he_is_reached_is_never_changed() -> None:
    fact = created(
        runtime="cli",
        task="t",
        owner=SECRET,
        run_id=SECRET,
        child_session=SECRET,
        idempotency_key=SECRET,
        origin={"channel": SECRET, "to": SECRET},
        backing={"command": SECRET},
    )

    assert fact is without_secrets(fact, [SECRET])


def test_the_reason_of_an_erasure_and_why_something_could_not_be_closed_have_no_secret_either() -> None:
    erased = without_secrets(TaskErased(reason=f"it had {SECRET}"), [SECRET])
    closed = without_secrets(TaskCleanedUp(failed={f"tab:{SECRET}": f"GET /?key={SECRET}"}), [SECRET])

    assert f"it had {REDACTED}" == erased.reason
    assert {f"tab:{SECRET}": f"GET /?key={REDACTED}"} == closed.failed, "what was not closed is named as it is"


def test_of_what_somebody_found_the_words_are_freed_of_secrets_and_neither_its_names_nor_its_numbers() -> None:
    lost = TaskLost(rule="dead", evidence={SECRET: 1, "detail": f"401 {SECRET}", "at": 7, "sure": True})

    assert {SECRET: 1, "detail": f"401 {REDACTED}", "at": 7, "sure": True} == without_secrets(lost, [SECRET]).evidence
    assert {SECRET: 1, "detail": REDACTED, "at": 7, "sure": True} == withheld(lost).evidence


def test_names_that_people_give_are_texts_as_well_and_none_of_two_gets_lost() -> None:
    fact = FlowCreated(
        mode=FlowMode.MANAGED,
        owner="o",
        goal="g",
        state={"a@x": {"b@x": 1}, REDACTED: "known", "c@x": ["d@x", {"e@x": None}], "f": 1.5},
    )
    named = ["a@x", "b@x", "c@x", "d@x", "e@x"]

    left = without_secrets(fact, named)

    expected = {
        f"{REDACTED} (2)": {REDACTED: 1},
        REDACTED: "known",
        f"{REDACTED} (3)": [REDACTED, {REDACTED: None}],
        "f": 1.5,
    }
    assert expected == left.state
    assert ["f"] == list(left.state)[3:], "in the same order"
    assert {"g", REDACTED, "known", "f", *named} == set(texts(fact))


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([], "the key is hunter2, the user hunter"),
        (["hunter2"], f"the key is {REDACTED}, the user hunter"),
        (["hunter", "hunter2"], f"the key is {REDACTED}, the user {REDACTED}"),
        ({"hunter2", ""}, f"the key is {REDACTED}, the user hunter"),
        (["of another text"], "the key is hunter2, the user hunter"),
    ],
)
def test_the_longest_goes_first(named: list[str], expected: str) -> None:
    assert expected == without_secrets(TaskSucceeded(summary="the key is hunter2, the user hunter"), named).summary


@given(st.text("ab", max_size=24), st.lists(st.text("ab", min_size=2, max_size=5), min_size=1, max_size=3))
def test_not_a_letter_of_any_secret_is_left_however_they_overlap(text: str, named: list[str]) -> None:
    secret = {
        place
        for each in named
        for start in range(len(text))
        if text.startswith(each, start)
        for place in range(start, start + len(each))
    }

    left = stripper(named, "*")(text)

    assert "".join(letter for place, letter in enumerate(text) if place not in secret) == left.replace("*", "")
    assert bool(secret) == ("*" in left)


@pytest.mark.parametrize(
    ("named", "text", "expected"),
    [
        (["Bearer sk-1", "sk-123456"], "use Bearer sk-123456!", f"use {REDACTED}!"),
        (["1234", "2345", "3456"], "card 123456 of mine", f"card {REDACTED} of mine"),
        (["abcabc"], "abcabcabc", REDACTED),
        (["the whole key", "whole"], "it is the whole key.", f"it is {REDACTED}."),
        (["ab", "cd"], "abcd", REDACTED * 2),
    ],
)
def test_of_secrets_that_overlap_no_end_is_left_and_those_side_by_side_stay_two(
    named: list[str], text: str, expected: str
) -> None:
    assert expected == stripper(named)(text)


def test_what_stands_in_the_place_of_secrets_is_not_looked_at_again() -> None:
    assert f"{REDACTED} is {REDACTED}" == stripper(["red", "s3cret"])("s3cret is red")
    assert "\\1" == stripper(["a", "b"], "\\1")("a")


def full() -> list[Fact]:
    """The largest facts that can be reported, of letters that a hook may name."""
    large = created(
        runtime="cli",
        task="x" * TASK_BYTES_MAX,
        owner="o" * KEY_BYTES_MAX,
        label="x" * LABEL_BYTES_MAX,
        child_session="c" * KEY_BYTES_MAX,
        run_id="r" * KEY_BYTES_MAX,
        source_id="s" * KEY_BYTES_MAX,
        agent="a" * KEY_BYTES_MAX,
        requester_agent="a" * KEY_BYTES_MAX,
        idempotency_key="i" * KEY_BYTES_MAX,
        request_key="i" * KEY_BYTES_MAX,
        kind="k" * KEY_BYTES_MAX,
        backing={"command": "b" * (EVIDENCE_BYTES_MAX - 7)},
        metadata={f"x{number:02}": "x" * (METADATA_BYTES_MAX // 32 - 3) for number in range(32)},
    )
    state = json_value("state", {f"x{number}": "x\n" * 9 for number in range(400)})
    return [
        large,
        TaskRecovered(
            status=Status.FAILED,
            corrects=1,
            signal="fail",
            evidence={"command": "b" * EVIDENCE_BYTES_MAX},
            summary="x" * TASK_BYTES_MAX,
            error="x" * TASK_BYTES_MAX,
            artifacts=("x" * (ARTIFACTS_BYTES_MAX // 64),) * 64,
        ),
        FlowWaitingSet(wait=state, state=state, blocked_summary="x" * TASK_BYTES_MAX),
        FlowWaitingSet(wait=None, state=json_value("state", [0.5] * 1_800 + ["x"] * 90)),  # larger as it is stored
        DeliveryQueued(delivery="d", kind=DeliveryKind.TERMINAL, text="x" * 20_480, artifacts=("x" * 256,) * 64),
        TaskCleanedUp(failed={f"kind:{number}": "x" * 400 for number in range(32)}),
        progressed("x" * 4_096, phase="x" * KEY_BYTES_MAX),
    ]


@pytest.mark.parametrize("named", [["x"], ["x", "\n"], ["xx"], ["x" * 9], ["x\n"]])
@pytest.mark.parametrize("fact", full(), ids=lambda fact: NAMES[type(fact)])
def test_what_is_as_large_as_it_may_be_still_fits_a_record(fact: Any, named: list[str]) -> None:
    left = without_secrets(fact, named)

    assert len(packed(left)) + 512 < RECORD_BYTES_MAX, "with what an event has besides"
    assert not [text for text in texts(left) if any(secret in text for secret in named)]
    for name in ("state", "wait"):
        if getattr(left, name, None) is not None:
            assert max(len(packed(getattr(left, name))), len(msgspec.json.encode(getattr(left, name)))) <= (
                FLOW_JSON_BYTES_MAX
            )


def test_a_text_that_became_too_long_is_cut_and_a_list_keeps_all_that_it_had() -> None:
    fact = TaskFailed(error="x" * TASK_BYTES_MAX, artifacts=("x" * 1_000,) * 16)

    left = without_secrets(fact, ["x"])

    assert TASK_BYTES_MAX - 2 <= len(left.error.encode()) <= TASK_BYTES_MAX
    assert left.error.startswith(REDACTED)
    assert left.error.endswith("…")
    assert ("*" * 1_000,) * 16 == left.artifacts


def test_no_secret_is_made_of_what_is_left_of_others() -> None:
    fact = TaskSucceeded(artifacts=("hunhunter2ter2" + "x" * (ARTIFACTS_BYTES_MAX - 14),))

    [left] = without_secrets(fact, [SECRET]).artifacts

    assert SECRET not in left


def test_of_two_names_that_are_the_same_where_there_is_no_room_one_goes() -> None:
    state = {"x": 1, "xx": 2, "y": "y" * (FLOW_JSON_BYTES_MAX - 40)}
    fact = FlowWaitingSet(wait=None, state=json_value("state", state))

    left: Any = without_secrets(fact, ["x", "xx"]).state

    assert {"*": 1, "y": state["y"]} == left


# What follows from a fact.


def test_what_repeats_a_text_with_marks_is_marked_whatever_it_calls_it() -> None:
    said = TaskCancelled(reason=f"{REDACTED}!", stopped="all", redacted=("reason",))

    recovered = TaskRecovered(status=Status.CANCELLED, corrects=1, signal="cancelled", summary="all", error=said.reason)

    assert ("error",) == carried(recovered, said).redacted
    assert recovered is carried(recovered, replace(said, redacted=()))


def test_a_part_of_what_has_marks_is_marked_and_an_id_is_not() -> None:
    said = created(runtime="cli", task=REDACTED, owner="o", metadata={"a": REDACTED, "b": "2"})
    said = replace(said, redacted=("task", "metadata"))

    assert ("metadata",) == carried(TaskAmended(metadata={"b": "2"}), said).redacted
    assert () == carried(TaskAmended(kind="k"), said).redacted
    assert () == carried(FlowTaskLinked(task="0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"), said).redacted
    assert said is carried(said, said)


def test_a_late_signal_is_marked_when_what_came_late_was() -> None:
    late = TaskLateSignal(signal="succeed", status=Status.FAILED, content={"summary": REDACTED})

    assert ("content",) == carried(late, TaskSucceeded(summary=REDACTED, redacted=("summary",))).redacted
    assert () == carried(late, TaskSucceeded(summary="x")).redacted


def test_what_has_a_text_in_it_that_had_a_secret_when_it_was_said_is_marked() -> None:
    before = [FlowCancelRequested(reason=f"use {REDACTED}", redacted=("reason",)), TaskCancelRequested(reason="x")]

    with_it, without = TaskCancelRequested(reason=f"a flow: use {REDACTED}"), TaskCancelRequested(reason="a flow: x")

    assert ("reason",) == repeated(with_it, before).redacted
    assert without is repeated(without, before)
    assert with_it is repeated(with_it, [replace(each, redacted=()) for each in before])


def test_what_stands_beside_a_secret_in_a_mapping_marks_nothing_that_has_it_too() -> None:
    said = created(runtime="cli", task="t", owner="o", metadata={"env": "a", "key": REDACTED})
    asked = TaskCancelRequested(reason="somebody asked for it")

    assert asked is repeated(asked, [replace(said, redacted=("metadata",))])


def test_marks_of_fields_that_nobody_knows_are_no_harm() -> None:
    said = TaskSucceeded(summary="s", redacted=("nothing", "class"))

    assert () == carried(TaskRecovered(status=Status.SUCCEEDED, corrects=1, signal="s", summary="s"), said).redacted


def test_a_field_is_marked_once() -> None:
    fact = TaskProgressed(message="m", redacted=("phase",))

    assert ("phase", "message") == marked(fact, ["message", "phase"]).redacted
    assert fact is marked(fact, ["phase"])
    assert ("phase", "message") == without_secrets(fact, ["m"]).redacted


def test_a_route_that_has_the_secret_as_its_target_is_left_and_its_message_is_not() -> None:
    fact = DeliveryQueued(
        delivery="d", kind=DeliveryKind.TERMINAL, text=f"to {SECRET}", route=Origin("chat", SECRET), artifacts=()
    )

    left = without_secrets(fact, [SECRET])

    assert (f"to {REDACTED}", fact.route, ("text",)) == (left.text, left.route, left.redacted)


def test_what_a_task_is_created_with_is_still_a_creation() -> None:
    fact = created(runtime="cli", task=SECRET, owner="o", label=SECRET)

    left = without_secrets(fact, [SECRET])

    assert isinstance(left, TaskCreated)
    assert (REDACTED, REDACTED, ("task", "label")) == (left.task, left.label, left.redacted)
