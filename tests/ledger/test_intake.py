"""How everything but a creation comes in: what identifies is refused when it is bad, what reports is repaired."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tallystick.ledger import intake
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Fact
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskCleanupStamped,
    TaskFailed,
    TaskHeld,
    TaskLost,
    TaskNoted,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import BLOCKED, NotifyPolicy, Status
from tallystick.ledger.limits import (
    ARTIFACTS_BYTES_MAX,
    COUNT_MAX,
    ERROR_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    KEY_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    REASON_BYTES_MAX,
    RECORD_BYTES_MAX,
    SUMMARY_BYTES_MAX,
    TIME_MS_MAX,
    USAGE_KEYS_MAX,
)
from tests.story import Story, created

FULL: Mapping[str, AnyFact] = {
    "started": TaskStarted(backing={"pid": 7}),
    "progressed": TaskProgressed(
        message="half", phase="reading", step=2, steps=5, tool="imap", tools=1, usage={"tokens": 3}
    ),
    "succeeded": TaskSucceeded(summary="42", artifacts=("file:///out",), outcome=BLOCKED, usage={"tokens": 3}),
    "failed": TaskFailed(
        error="boom", summary="none", artifacts=("a", "b"), exit_code=-9, signal="SIGKILL", usage={"tokens": 3}
    ),
    "timed_out": TaskTimedOut(error="too long", summary="half", artifacts=("a",), usage={"tokens": 3}),
    "cancel_requested": TaskCancelRequested(reason="enough"),
    "cancelled": TaskCancelled(reason="enough", confirmed=False, stopped="the group", usage={"tokens": 3}),
    "settled": TaskSettled(status=Status.LOST, reason="nobody knows"),
    "notify_changed": TaskNotifyChanged(policy=NotifyPolicy.SILENT),
    "held": TaskHeld(reason="evidence"),
    "released": TaskReleased(reason="done"),
    "pruned": TaskPruned(reason="retention"),
    "taken_note_of": TaskNoted(codes=("lost", "probe_failing"), reason="its machine burnt down"),
    "stamped": TaskCleanupStamped(cleanup_after=0),
    "missed": TaskBackingMissed(evidence={"pid": 7}),
    "restored": TaskBackingRestored(evidence={"pid": 7}),
    "lost": TaskLost(evidence={"pid": 7}, rule="grace-over", error="process 7 is gone"),
    "recovered": TaskRecovered(
        status=Status.FAILED, corrects=3, evidence={"log": "x"}, signal="recover", summary="s", error="boom"
    ),
}
LEAST: Mapping[str, AnyFact] = {
    "started": TaskStarted(),
    "progressed": TaskProgressed(),
    "succeeded": TaskSucceeded(),
    "timed_out": TaskTimedOut(),
    "cancel_requested": TaskCancelRequested(),
    "cancelled": TaskCancelled(),
    "held": TaskHeld(),
    "released": TaskReleased(),
    "pruned": TaskPruned(),
}


@pytest.mark.parametrize(("name", "fact"), FULL.items())
def test_what_is_said_of_a_task_is_in_the_fact(name: str, fact: AnyFact) -> None:
    unsaid = {*Fact.__struct_fields__, "implied", "tools", "count"}
    said = {field: getattr(fact, field) for field in fact.__struct_fields__ if field not in unsaid}
    if name == "recovered":
        del said["artifacts"], said["outcome"], said["usage"]
    if name == "pruned":
        del said["status"], said["ended_at"]

    assert fact == getattr(intake, name)(**said)


@pytest.mark.parametrize(("name", "fact"), LEAST.items())
def test_most_facts_need_not_say_anything(name: str, fact: AnyFact) -> None:
    assert fact == getattr(intake, name)()


@pytest.mark.parametrize(
    ("name", "field", "bytes_max"),
    [
        ("progressed", "message", MESSAGE_BYTES_MAX),
        ("succeeded", "summary", SUMMARY_BYTES_MAX),
        ("failed", "error", ERROR_BYTES_MAX),
        ("failed", "summary", SUMMARY_BYTES_MAX),
        ("timed_out", "error", ERROR_BYTES_MAX),
        ("timed_out", "summary", SUMMARY_BYTES_MAX),
        ("cancel_requested", "reason", REASON_BYTES_MAX),
        ("cancelled", "reason", REASON_BYTES_MAX),
        ("cancelled", "stopped", SUMMARY_BYTES_MAX),
        ("settled", "reason", REASON_BYTES_MAX),
        ("held", "reason", REASON_BYTES_MAX),
        ("released", "reason", REASON_BYTES_MAX),
        ("pruned", "reason", REASON_BYTES_MAX),
        ("lost", "error", ERROR_BYTES_MAX),
        ("recovered", "summary", SUMMARY_BYTES_MAX),
        ("recovered", "error", ERROR_BYTES_MAX),
    ],
)
def test_no_report_is_lost_because_its_text_is_long(name: str, field: str, bytes_max: int) -> None:
    needed: dict[str, dict[str, Any]] = {
        "failed": {"error": "boom"},
        "settled": {"status": "failed"},
        "lost": {"rule": "gone", "evidence": {}},
        "recovered": {"status": "failed", "corrects": 3, "evidence": {}},
    }

    fact = getattr(intake, name)(**{**needed.get(name, {}), field: "é" * bytes_max})

    kept = getattr(fact, field)
    assert kept.endswith("é…")
    assert bytes_max - 4 <= len(kept.encode()) <= bytes_max


def test_a_failure_without_words_is_still_a_failure() -> None:
    assert TaskFailed(error=intake.UNEXPLAINED) == intake.failed("") == intake.failed(" \n")


def test_control_characters_do_not_get_into_messages_and_stay_in_results() -> None:
    assert "[1mhalf\n" == intake.progressed("\x1b[1mhalf\r\n").message
    assert "\x1b[1mdone\r\n" == intake.succeeded("\x1b[1mdone\r\n").summary
    assert "[1menough" == intake.cancelled("\x1b[1menough").reason


NONSENSE: list[tuple[str, dict[str, object], str]] = [
    ("started", {"backing": {"pid": [7]}}, "backing.pid"),
    ("started", {"backing": {"pid": "4711"}}, "backing.pid"),
    ("started", {"backing": {"pid": 0}}, "backing.pid"),
    ("started", {"backing": {"pid": 4711, "group": -1}}, "backing.group"),
    ("started", {"backing": {"pid": 4711, "started": "yesterday"}}, "backing.started"),
    ("progressed", {"message": 7}, "message"),
    ("progressed", {"step": -1}, "step"),
    ("progressed", {"steps": COUNT_MAX + 1}, "steps"),
    ("progressed", {"tool": "a\nb"}, "tool"),
    ("progressed", {"phase": "p" * (KEY_BYTES_MAX + 1)}, "phase"),
    ("progressed", {"usage": {"tokens": -1}}, "usage.tokens"),
    ("succeeded", {"outcome": "done"}, "outcome"),
    ("succeeded", {"artifacts": "file:///out"}, "artifacts"),
    ("succeeded", {"summary": 7}, "summary"),
    ("failed", {"error": None}, "error"),
    ("failed", {"error": ValueError("boom")}, "error"),
    ("failed", {"error": "boom", "exit_code": "1"}, "exit_code"),
    ("failed", {"error": "boom", "signal": 9}, "signal"),
    ("cancelled", {"confirmed": None}, "confirmed"),
    ("settled", {"status": "succeeded", "reason": "enough"}, "as"),
    ("settled", {"status": "failed", "reason": " "}, "reason"),
    ("settled", {"status": "failed", "reason": None}, "reason"),
    ("notify_changed", {"policy": "loud"}, "policy"),
    ("missed", {"evidence": None}, "evidence"),
    ("restored", {"evidence": "here"}, "evidence"),
    ("lost", {"evidence": {}, "rule": ""}, "rule"),
    ("lost", {"evidence": None, "rule": "gone"}, "evidence"),
    ("recovered", {"status": "lost", "corrects": 3, "evidence": {}}, "status"),
    ("recovered", {"status": "failed", "corrects": 0, "evidence": {}}, "corrects"),
    ("recovered", {"status": "failed", "corrects": 3, "evidence": {}, "signal": " "}, "signal"),
    ("moment", {"occurred_at": -1}, "occurred_at"),
    ("moment", {"occurred_at": 1.5}, "occurred_at"),
    ("expected", {"expected_version": -1}, "expected_version"),
    ("expected", {"expected_version": True}, "expected_version"),
]


@pytest.mark.parametrize(("name", "said", "field"), NONSENSE)
def test_what_makes_no_sense_in_a_fact_is_refused_by_name(name: str, said: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        getattr(intake, name)(**said)
    assert field == error.value.field


def test_even_the_first_position_can_be_corrected() -> None:
    assert 1 == intake.recovered("failed", corrects=1, evidence={}).corrects


def test_a_moment_and_an_expectation_may_be_absent() -> None:
    assert (None, None) == (intake.moment(None), intake.expected(None))
    assert (TIME_MS_MAX, 7) == (intake.moment(TIME_MS_MAX), intake.expected(7))


LONG = "é" * ERROR_BYTES_MAX
LARGE: dict[str, Any] = {
    "summary": LONG,
    "artifacts": ["a" * (ARTIFACTS_BYTES_MAX - 1), "b"],
    "usage": {f"{'u' * (KEY_BYTES_MAX - 2)}{place:02}": COUNT_MAX for place in range(USAGE_KEYS_MAX)},
}


@pytest.mark.parametrize(
    "fact",
    [
        intake.failed(LONG, exit_code=-(2**63), signal="s" * KEY_BYTES_MAX, **LARGE),
        intake.timed_out(LONG, **LARGE),
        intake.cancelled(LONG, stopped=LONG, usage=LARGE["usage"]),
    ],
)
def test_the_largest_outcome_fits_a_record_whatever_becomes_of_it(fact: AnyFact) -> None:
    lost = intake.lost({"k": "v" * (EVIDENCE_BYTES_MAX - 1)}, rule="r" * KEY_BYTES_MAX, error=LONG)
    ordinary = Story(created(), TaskStarted(), fact)
    recovery = Story(created(), TaskStarted(), lost, fact)
    late = Story(created(), TaskStarted(), TaskSucceeded())
    late.tell(fact, actor="k" * KEY_BYTES_MAX, occurred_at=TIME_MS_MAX)

    for story in (ordinary, recovery, late):
        assert len(msgspec.msgpack.encode(story.events[-1])) < RECORD_BYTES_MAX
