"""What probes and cancellers answer: every verdict that can be made fits into a fact, and nothing else can be made."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.fact import Evidence
from tallystick.ledger.facts.tasks import TaskCancelled, TaskFailed, TaskLost, TaskSucceeded, TaskTimedOut
from tallystick.ledger.limits import BACKING_KEYS_MAX, EVIDENCE_BYTES_MAX, SUMMARY_BYTES_MAX
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Finding, Outcome, Verdict
from tests import strategies as some

FOUR = (
    (Verdict.alive, Finding.ALIVE),
    (Verdict.missing, Finding.MISSING),
    (Verdict.dead, Finding.DEAD),
    (Verdict.unknown, Finding.UNKNOWN),
)
any_text = st.text(st.characters(), max_size=20)
"""Lone surrogates and NUL included: nobody knows what an exception says."""

long_texts = st.builds(lambda text, times: text * times, any_text, st.sampled_from([1, 500, 5_000]))


@given(st.sampled_from(FOUR), some.evidence.filter(lambda seen: "\0" not in "".join(map(str, seen.values()))))
def test_a_verdict_keeps_what_was_seen_to_the_letter(four: tuple[Any, Finding], seen: Evidence) -> None:
    make, finding = four
    verdict = make(seen)
    assert Verdict(finding, seen) == verdict
    assert seen is not verdict.evidence


@given(st.sampled_from(FOUR), long_texts)
def test_any_words_are_cut_to_what_evidence_may_be_and_can_be_written(four: tuple[Any, Finding], words: str) -> None:
    evidence = four[0](words).evidence

    assert set(evidence) <= {"detail"}
    assert sum(len(f"{name}{value}".encode()) for name, value in evidence.items()) <= EVIDENCE_BYTES_MAX
    assert evidence == four[0](evidence).evidence
    assert msgspec.msgpack.encode(TaskLost(rule="x", evidence=evidence))


@pytest.mark.parametrize(("make", "finding"), FOUR, ids=[finding for _, finding in FOUR])
def test_a_verdict_may_say_nothing(make: Any, finding: Finding) -> None:
    assert Verdict(finding, {}) == make() == make(None) == make({}) == make("") == make("  \n")


@pytest.mark.parametrize(
    "seen",
    [
        7,
        ["a"],
        {"a": {"b": 1}},
        {"a": object()},
        {"a": float("nan")},
        {1: "a"},
        {f"key {number}": 1 for number in range(BACKING_KEYS_MAX + 1)},
        {"a": "x" * EVIDENCE_BYTES_MAX},
        {"a": "\ud800"},
    ],
    ids=lambda seen: str(seen)[:20],
)
@pytest.mark.parametrize("make", [each for each, _ in FOUR] + [lambda seen: Verdict.ended("failed", seen)])
def test_what_is_not_flat_or_too_much_is_no_evidence(make: Any, seen: Any) -> None:
    with pytest.raises(InvalidInput):
        make(seen)


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        ("succeeded", {"summary": "42 tallies"}, TaskSucceeded(summary="42 tallies")),
        ("failed", {"error": "boom", "summary": "s"}, TaskFailed(error="boom", summary="s")),
        ("failed", {}, TaskFailed(error="its runtime says that it failed")),
        ("timed_out", {"error": "an hour"}, TaskTimedOut(error="an hour")),
        ("timed_out", {}, TaskTimedOut()),
        (
            "cancelled",
            {"error": "asked", "summary": "2 processes"},
            TaskCancelled(reason="asked", stopped="2 processes"),
        ),
    ],
)
def test_an_end_is_what_the_runtime_has_on_record(status: str, said: dict[str, str], outcome: Outcome) -> None:
    verdict = Verdict.ended(status, {"file": "runs.jsonl"}, **said, ended_at=7)
    assert Verdict(Finding.ENDED, {"file": "runs.jsonl"}, outcome, 7) == verdict
    assert Verdict.ended(status).ended_at is None


@pytest.mark.parametrize("status", ["", "lost", "running", "queued", "SUCCEEDED", None, 7])
def test_no_other_end_can_be_on_record(status: Any) -> None:
    with pytest.raises(InvalidInput, match="status"):
        Verdict.ended(status)


@pytest.mark.parametrize("ended_at", [-1, 2**63, "now", 1.5, True])
def test_an_end_is_at_a_moment_or_unknown(ended_at: Any) -> None:
    with pytest.raises(InvalidInput, match="occurred_at"):
        Verdict.ended("succeeded", ended_at=ended_at)


@given(st.sampled_from(["succeeded", "failed", "timed_out", "cancelled"]), long_texts, long_texts)
def test_an_end_in_any_words_can_be_written(status: str, summary: str, error: str) -> None:
    assert msgspec.msgpack.encode(Verdict.ended(status, summary=summary, error=error).outcome)


@pytest.mark.parametrize(
    "made",
    [
        ("missing", {}),
        (Finding.MISSING, {"a": object()}),
        (Finding.DEAD, {"a": "\ud800"}),
        (Finding.MISSING, {"a": "x" * 100_000}),
        (Finding.ALIVE, "words"),
        (Finding.ENDED, {}),
        (Finding.ENDED, {}, "succeeded"),
        (Finding.ENDED, {}, TaskLost(rule="x", evidence={})),
        (Finding.DEAD, {}, TaskSucceeded()),
        (Finding.ENDED, {}, TaskSucceeded(), "now"),
    ],
    ids=str,
)
def test_a_verdict_that_is_made_by_hand_can_be_written_too(made: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput):
        Verdict(*made)


def test_a_verdict_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Verdict.alive().finding = Finding.DEAD  # type: ignore[misc]


# Stopped.


@given(st.booleans(), long_texts)
def test_what_was_stopped_is_told_in_any_words_and_can_be_written(confirmed: bool, detail: str) -> None:  # noqa: FBT001
    stopped = Stopped(confirmed, detail)
    assert confirmed is stopped.confirmed
    written = msgspec.msgpack.encode(TaskCancelled(confirmed=stopped.confirmed, stopped=stopped.detail))
    assert len(written) <= SUMMARY_BYTES_MAX + 200


def test_who_says_no_more_is_certain_that_it_stopped() -> None:
    assert Stopped(confirmed=True, detail=None) == Stopped()


@pytest.mark.parametrize(
    ("given", "field"), [({"confirmed": 1}, "confirmed"), ({"confirmed": None}, "confirmed"), ({"detail": 7}, "detail")]
)
def test_a_canceller_says_yes_or_no_and_words(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        Stopped(**given)
