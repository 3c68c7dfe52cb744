"""Fields that are no texts: numbers, closed sets, addresses, mappings, lists; kept so that they can be stored."""

from collections import UserDict
from collections.abc import Callable
from enum import StrEnum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.lifecycle import NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    ARTIFACTS_MAX,
    BACKING_KEYS_MAX,
    COUNT_MAX,
    EVIDENCE_BYTES_MAX,
    KEY_BYTES_MAX,
    METADATA_BYTES_MAX,
    METADATA_PAIRS_MAX,
    TIME_MS_MAX,
    TIMEOUT_MS_MAX,
    USAGE_KEYS_MAX,
)

LONE_SURROGATE = "\ud800"
any_text = st.text(st.characters(categories=["Cc", "Cs"]) | st.characters(), max_size=30)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    any_text,
    st.binary(max_size=3),
    st.lists(any_text, max_size=2),
    st.dictionaries(any_text, st.one_of(any_text, st.integers(), st.floats(), st.none()), max_size=2),
    st.just(object()),
)


class Word(StrEnum):
    CHECK = "check"


def refused(check: Callable[..., object], value: object, field: str = "field", **more: object) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        check("field", value, **more)
    assert field == error.value.field
    assert isinstance(error.value.allowed, str)
    return error.value


# Numbers.


def test_a_whole_number_stays_between_its_bounds() -> None:
    assert [0, 7, COUNT_MAX] == [fields.whole("field", value) for value in (0, 7, COUNT_MAX)]
    for bad in (-1, COUNT_MAX + 1, True, False, 7.0, "7", None):
        assert f"a whole number from 0 to {COUNT_MAX}" == refused(fields.whole, bad).allowed


def test_a_number_of_eight_bytes_may_be_negative() -> None:
    assert [-(2**63), 2**63 - 1] == [fields.integer("field", value) for value in (-(2**63), 2**63 - 1)]
    refused(fields.integer, 2**63)


def test_a_count_and_a_moment_may_be_absent() -> None:
    assert (None, 7) == (fields.count("field", None), fields.count("field", 7))
    assert (None, 0, TIME_MS_MAX) == tuple(fields.moment("field", value) for value in (None, 0, TIME_MS_MAX))
    for bad in (-1, TIME_MS_MAX + 1, 1.5, "2026-01-01"):
        assert "milliseconds since 1970" in refused(fields.moment, bad).allowed


def test_work_may_take_from_one_millisecond_to_a_year() -> None:
    assert [1, TIMEOUT_MS_MAX] == [fields.timeout("field", value) for value in (1, TIMEOUT_MS_MAX)]
    for bad in (0, -1, TIMEOUT_MS_MAX + 1, True, 1.0, "5m"):
        assert "milliseconds from 1 to" in refused(fields.timeout, bad).allowed


def test_nothing_stands_for_true_or_false_but_they_themselves() -> None:
    assert (True, False) == (fields.flag("field", value=True), fields.flag("field", value=False))
    for bad in (1, 0, "yes", None):
        refused(fields.flag, bad)


# Closed sets.


@pytest.mark.parametrize(
    ("check", "member", "allowed"),
    [
        (fields.runtime, Runtime.ACP, "acp, cli, cron, subagent"),
        (fields.policy, NotifyPolicy.DONE_ONLY, "done_only, failures_only, silent, state_changes"),
        (fields.scope, Scope.SYSTEM, "session, system"),
        (fields.settled_as, Status.LOST, "cancelled, failed, lost"),
        (fields.recovered_as, Status.TIMED_OUT, "cancelled, failed, succeeded, timed_out"),
    ],
)
def test_a_closed_set_takes_its_members_and_their_names(
    check: Callable[[str, object], object], member: StrEnum, allowed: str
) -> None:
    assert check("field", member) is member
    assert check("field", member.value) is member
    for bad in ("", member.value.upper(), f" {member.value}", "heartbeat", None, 7, [member.value]):
        assert allowed == refused(check, bad).allowed


def test_an_outcome_is_blocked_or_absent() -> None:
    assert (None, "blocked") == (fields.outcome("field", None), fields.outcome("field", "blocked"))
    assert "blocked" == refused(fields.outcome, "done").allowed


def test_a_task_id_has_one_spelling() -> None:
    known = "0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21"

    assert (known, None) == (fields.task_id("field", f" {known}"), fields.task_id("field", " "))
    for bad in (known.upper(), known[:-1], "run-1", 7):
        refused(fields.task_id, bad)


# Mappings and lists.


def test_metadata_is_copied_to_the_letter() -> None:
    given = {"repo": "a/b", "note": " two\nlines ", "empty": "", "für": "🪵", Word.CHECK: Word.CHECK}

    kept = fields.metadata("field", given)
    given["repo"] = "c/d"

    assert {"repo": "a/b", "note": " two\nlines ", "empty": "", "für": "🪵", "check": "check"} == kept
    assert kept is not None
    assert {str} == {type(word) for pair in kept.items() for word in pair}
    assert kept == fields.metadata("field", UserDict(kept))
    assert fields.metadata("field", {}) is None


def test_metadata_may_be_as_large_as_its_limits() -> None:
    many = {f"k{place:02}": "v" for place in range(METADATA_PAIRS_MAX)}
    large = {"k": "é" * ((METADATA_BYTES_MAX - 1) // 2)}

    assert (many, large) == (fields.metadata("field", many), fields.metadata("field", large))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (None, "field"),
        ([("repo", "a/b")], "field"),
        ("repo=a/b", "field"),
        ({f"k{place}": "v" for place in range(METADATA_PAIRS_MAX + 1)}, "field"),
        ({"k": "v" * METADATA_BYTES_MAX}, "field"),
        ({"a": "v" * (METADATA_BYTES_MAX // 2), "b": "v" * (METADATA_BYTES_MAX // 2)}, "field"),
        ({"k": "v" * (METADATA_BYTES_MAX + 1)}, "field"),
        ({"k": "\n" + "v" * METADATA_BYTES_MAX}, "field.k"),
        ({"k": 7}, "field.k"),
        ({"k": None}, "field.k"),
        ({"k": {"nested": "v"}}, "field.k"),
        ({"k": "a\0b"}, "field.k"),
        ({"k": LONE_SURROGATE}, "field.k"),
        ({7: "v"}, "a name in field"),
        ({"": "v"}, "a name in field"),
        ({" k": "v"}, "a name in field"),
        ({"a\nb": "v"}, "a name in field"),
        ({"k" * (KEY_BYTES_MAX + 1): "v"}, "a name in field"),
    ],
)
def test_metadata_that_is_not_flat_or_too_large_is_refused(bad: object, field: str) -> None:
    refused(fields.metadata, bad, field)


def test_evidence_is_what_was_seen_flat() -> None:
    seen = {"pid": 7, "alive": False, "load": 0.5, "cmd": "a\n", "exit": None, "least": -(2**63), "most": 2**63 - 1}
    given = {**seen, "kind": Word.CHECK}

    kept = fields.evidence("field", given)

    assert {**seen, "kind": "check"} == kept
    assert str is type(kept["kind"])
    assert {} == fields.evidence("field", {})
    assert given is not kept


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (None, "field"),
        ("pid=7", "field"),
        ({f"k{place}": 0 for place in range(BACKING_KEYS_MAX + 1)}, "field"),
        ({"k": "v" * EVIDENCE_BYTES_MAX}, "field"),
        ({"k": "v" * (EVIDENCE_BYTES_MAX + 1)}, "field.k"),
        ({"k": float("nan")}, "field.k"),
        ({"k": float("inf")}, "field.k"),
        ({"k": 2**63}, "field.k"),
        ({"k": [1]}, "field.k"),
        ({"k": b"v"}, "field.k"),
        ({"k": "\0"}, "field.k"),
        ({"": 1}, "a name in field"),
    ],
)
def test_evidence_that_is_not_flat_or_not_finite_is_refused(bad: object, field: str) -> None:
    refused(fields.evidence, bad, field)


def test_evidence_may_be_as_large_as_its_limit_whatever_it_is_made_of() -> None:
    numbers = {f"n{place}": place for place in range(4)}  # two bytes of a name and nine of a number each
    text = "v" * (EVIDENCE_BYTES_MAX - 4 * (2 + 9) - 1)

    assert {**numbers, "k": text} == fields.evidence("field", {**numbers, "k": text})
    refused(fields.evidence, {**numbers, "k": f"{text}v"})


def test_usage_is_amounts_by_name() -> None:
    assert {"tokens": 3, "costUsd": 0.25, "zero": 0} == fields.usage("field", {"tokens": 3, "costUsd": 0.25, "zero": 0})
    assert (None, None) == (fields.usage("field", None), fields.usage("field", {}))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (3, "field"),
        ({f"k{place}": 1 for place in range(USAGE_KEYS_MAX + 1)}, "field"),
        ({"tokens": -1}, "field.tokens"),
        ({"tokens": True}, "field.tokens"),
        ({"tokens": "3"}, "field.tokens"),
        ({"tokens": None}, "field.tokens"),
        ({"tokens": float("nan")}, "field.tokens"),
        ({"tokens": COUNT_MAX + 1}, "field.tokens"),
        ({7: 1}, "a name in field"),
    ],
)
def test_usage_that_does_not_add_up_is_refused(bad: object, field: str) -> None:
    refused(fields.usage, bad, field)


def test_artifacts_are_references_in_their_order() -> None:
    assert ("file:///b", " s3://a ", "check") == fields.artifacts("field", ["file:///b", " s3://a ", Word.CHECK])
    assert ("a", "b") == fields.artifacts("field", (name for name in "ab"))
    assert {()} == {fields.artifacts("field", None), fields.artifacts("field", ()), fields.artifacts("field", [])}
    assert ARTIFACTS_MAX == len(fields.artifacts("field", ["a"] * ARTIFACTS_MAX))


def endless() -> object:
    while True:
        yield "file:///a"


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ("file:///a", "field"),
        (b"file:///a", "field"),
        ({"a": "b"}, "field"),
        (7, "field"),
        (endless(), "field"),
        (["a"] * (ARTIFACTS_MAX + 1), "field"),
        (["a" * (ARTIFACTS_BYTES_MAX // 2 + 1)] * 2, "field"),
        (["a", "b" * (ARTIFACTS_BYTES_MAX + 1)], "field[1]"),
        (["a", ""], "field[1]"),
        ([" "], "field[0]"),
        ([None], "field[0]"),
        (["a\0"], "field[0]"),
        ([LONE_SURROGATE], "field[0]"),
    ],
)
def test_artifacts_that_are_no_list_of_references_are_refused(bad: object, field: str) -> None:
    refused(fields.artifacts, bad, field)


# Whatever it is.

CHECKS: list[Callable[[str, object], object]] = [
    fields.address,
    fields.artifacts,
    fields.count,
    fields.evidence,
    fields.flag,
    fields.integer,
    fields.key,
    fields.label,
    fields.metadata,
    fields.name_or_number,
    fields.origin,
    fields.outcome,
    fields.policy,
    fields.recovered_as,
    fields.required_key,
    fields.route,
    fields.runtime,
    fields.scope,
    fields.settled_as,
    fields.task_id,
    fields.task_text,
    fields.moment,
    fields.timeout,
    fields.usage,
    fields.whole,
]


@pytest.mark.parametrize("check", CHECKS)
@given(value=values)
def test_whatever_comes_in_is_kept_so_that_it_can_be_stored_or_refused_by_name(
    check: Callable[[str, object], object], value: object
) -> None:
    refusal: InvalidInput | None = None
    kept: object = None
    try:
        kept = check("field", value)
    except InvalidInput as error:
        refusal = error

    if refusal is not None:
        assert "field" in refusal.field
        assert refusal.allowed
        assert str(refusal).encode()
    elif kept is not None:
        assert msgspec.msgpack.encode(kept) == msgspec.msgpack.encode(check("field", kept))
