"""What a caller says about a flow: what is not allowed is refused by the name of its field."""

from collections.abc import Callable
from typing import Any

import pytest

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.facts.flows import FlowCreated, FlowWaitingSet
from tallystick.ledger.flows import intake
from tallystick.ledger.lifecycle import FlowMode
from tallystick.ledger.limits import ERROR_BYTES_MAX, KEY_BYTES_MAX, REASON_BYTES_MAX, SUMMARY_BYTES_MAX, TASK_BYTES_MAX
from tallystick.ledger.store import codec
from tests.ledger.flows.tale import begun
from tests.ledger.store.make import event
from tests.story import TASK_ID

LONG = "k" * (KEY_BYTES_MAX + 1)

NO_BLOCKS: tuple[Any, ...] = ("", " ", {}, {"by": "x"}, 7, b"x", [])

NO_CODES: tuple[Any, ...] = (
    None,
    "lost",
    b"lost",
    [],
    [""],
    ["Lost"],
    ["a b"],
    [7],
    ["x" * 65],
    7,
    [f"a{'b' * n}" for n in range(33)],
)

WRONG: list[tuple[str, Callable[..., object], dict[str, Any]]] = [
    *((name, begun, {name: bad}) for name in ("owner", "goal", "controller") for bad in (None, "", " ", 7)),
    *((name, begun, {name: LONG}) for name in ("owner", "controller", "step", "idempotency_key")),
    ("goal", begun, {"goal": "x" * (TASK_BYTES_MAX + 1)}),
    ("step", begun, {"step": " "}),
    ("step", begun, {"step": b"x"}),
    ("state", begun, {"state": b"x"}),
    *(("step", intake.claimed, {"step": bad}) for bad in ("", None, LONG)),
    *(("claimant", intake.claimed, {"step": "build", "claimant": bad}) for bad in (" ", 7, LONG)),
    ("wait", intake.waiting, {"wait": {1}}),
    ("state", intake.waiting, {"wait": None, "state": float("nan")}),
    ("step", intake.waiting, {"wait": None, "step": ""}),
    ("state", intake.resumed, {"state": {1: 2}}),
    ("step", intake.resumed, {"step": "\n"}),
    *(("task", intake.linked, {"task": bad}) for bad in (None, "run-1", 7, "")),
    ("summary", intake.finished, {"summary": 7}),
    ("state", intake.finished, {"state": object()}),
    *(("error", intake.failed, {"error": bad}) for bad in (None, b"boom")),
    ("reason", intake.cancel_requested, {"reason": 7}),
    *(("as", intake.settled, {"status": bad, "reason": "x"}) for bad in ("succeeded", "running", None, 7)),
    *(("reason", intake.settled, {"status": "lost", "reason": bad}) for bad in (None, "", " ", 7)),
    *(("codes", intake.taken_note_of, {"codes": bad}) for bad in NO_CODES),
    ("reason", intake.taken_note_of, {"codes": ["lost"], "reason": 7}),
    ("reason", intake.pruned, {"reason": 7}),
    *(("expected_revision", intake.expected, {"expected_revision": bad}) for bad in (0, -1, True, "1", 1.0)),
    *(("blocked", intake.waiting, {"wait": None, "blocked": bad}) for bad in NO_BLOCKS),
    ("blocked.task", intake.waiting, {"wait": None, "blocked": {"task": 7}}),
    ("blocked.task", intake.waiting, {"wait": None, "blocked": {"task": "not an id"}}),
    ("blocked.summary", intake.waiting, {"wait": None, "blocked": {"task": TASK_ID, "summary": 7}}),
]


@pytest.mark.parametrize(("field", "say", "said"), WRONG)
def test_what_is_not_allowed_is_refused_by_the_name_of_its_field(
    field: str, say: Callable[..., object], said: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        say(**said)

    assert field == caught.value.field


class Handle:
    """What has the id of a task."""

    id = TASK_ID


class Record:
    """What has the id of a task by its other name."""

    task_id = TASK_ID


@pytest.mark.parametrize(
    ("blocked", "task", "summary"),
    [
        (None, None, None),
        (TASK_ID, TASK_ID, None),
        (f" {TASK_ID}\n", TASK_ID, None),
        (Handle(), TASK_ID, None),
        (Record(), TASK_ID, None),
        ("a key is missing", None, "a key is missing"),
        ("two\nlines", None, "two\nlines"),
        ({"task": TASK_ID}, TASK_ID, None),
        ({"task": Handle(), "summary": "red"}, TASK_ID, "red"),
        ({"summary": "red"}, None, "red"),
    ],
)
def test_what_blocks_a_flow_is_a_task_or_a_text_or_both(blocked: Any, task: str | None, summary: str | None) -> None:
    fact = intake.waiting({"for": "it"}, blocked=blocked)

    assert FlowWaitingSet(wait={"for": "it"}, blocked_task=task, blocked_summary=summary) == fact


@pytest.mark.parametrize(
    "blocked", [{"task": None}, {"summary": None}, {"summary": " "}, {"task": None, "summary": ""}]
)
def test_a_block_by_nothing_is_refused_as_one(blocked: Any) -> None:
    with pytest.raises(InvalidInput, match="blocked"):
        intake.waiting(None, blocked=blocked)


@pytest.mark.parametrize("task", [TASK_ID, f" {TASK_ID} ", Handle(), Record()])
def test_a_task_is_named_by_its_handle_its_record_or_its_id(task: Any) -> None:
    assert TASK_ID == intake.linked(task).task


def test_a_beginning_is_complete_and_managed() -> None:
    fact = intake.created(
        owner=" agent:main:main ", goal="Release", controller="bot", step="build", state=(1,), idempotency_key=" "
    )

    assert (
        FlowCreated(
            mode=FlowMode.MANAGED, owner="agent:main:main", goal="Release", controller="bot", step="build", state=[1]
        )
        == fact
    )


def test_long_reports_are_cut_and_an_end_without_words_is_explained() -> None:
    cut = (
        (intake.finished("x" * SUMMARY_BYTES_MAX * 2).summary, SUMMARY_BYTES_MAX),
        (intake.failed("x" * ERROR_BYTES_MAX * 2).error, ERROR_BYTES_MAX),
        (intake.cancel_requested("x" * REASON_BYTES_MAX * 2).reason, REASON_BYTES_MAX),
        (intake.waiting(None, blocked={"summary": "x" * SUMMARY_BYTES_MAX * 2}).blocked_summary, SUMMARY_BYTES_MAX),
    )

    assert all(text is not None and len(text.encode()) <= most for text, most in cut)
    assert intake.failed("").error
    assert None is intake.expected(None)


def test_the_largest_of_each_fact_fits_a_record() -> None:
    key, state = "k" * KEY_BYTES_MAX, "\n" * 8_000
    for fact in (
        begun(owner=key, goal="x" * TASK_BYTES_MAX, controller=key, step=key, state=state, idempotency_key=key),
        intake.waiting(state, step=key, state=state, blocked={"task": TASK_ID, "summary": "x" * SUMMARY_BYTES_MAX}),
        intake.failed("x" * ERROR_BYTES_MAX, state=state),
    ):
        assert codec.encode(event(1, data=fact))
