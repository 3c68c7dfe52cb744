"""What can be asked of a flow, status by status: the whole table, spelled out."""

from collections.abc import Mapping

import pytest

from tallystick.ledger.commands import Command
from tallystick.ledger.errors import NotFound
from tallystick.ledger.events import FLOW_FACTS
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowFailed,
    FlowFinished,
    FlowResumed,
    FlowStepClaimed,
    FlowWaitingSet,
)
from tallystick.ledger.flows.decide import decide_flow
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FLOW_TERMINAL, FlowStatus
from tallystick.ledger.limits import FLOW_STEPS_MAX
from tests.ledger.flows.tale import FLOW_ID, LIVES, MIRROR, VERBS, Tale, code, error, in_status
from tests.story import BEGIN_MS, OTHER_ID, STEP_MS

NO, OLD, YES = "terminal", "nothing new", "admitted"

TABLE: Mapping[str, tuple[str, ...]] = {
    # queued, running, waiting, blocked, succeeded, failed, cancelled, lost
    "create": (OLD, OLD, OLD, OLD, OLD, OLD, OLD, OLD),
    "claim": (YES, YES, "waiting", "waiting", NO, NO, NO, NO),
    "set_waiting": (YES, YES, YES, YES, NO, NO, NO, NO),
    "resume": (YES, YES, YES, YES, NO, NO, NO, NO),
    "link": (YES, YES, YES, YES, NO, NO, NO, NO),
    "finish": (YES, YES, YES, YES, NO, NO, NO, NO),
    "fail": (YES, YES, YES, YES, NO, NO, NO, NO),
    "cancel": (YES, YES, YES, YES, NO, NO, OLD, NO),
    "cancelled": ("not_requested", "not_requested", "not_requested", "not_requested", NO, NO, OLD, NO),
    "settle": (YES, YES, YES, YES, NO, NO, NO, NO),
    "note": (YES, YES, YES, YES, NO, NO, NO, NO),
    "prune": ("active", "active", "active", "active", YES, YES, YES, YES),
    "erase": (YES, YES, YES, YES, YES, YES, YES, YES),
}

AFTER = {
    "claim": FlowStatus.RUNNING,
    "set_waiting": FlowStatus.WAITING,
    "resume": FlowStatus.RUNNING,
    "finish": FlowStatus.SUCCEEDED,
    "fail": FlowStatus.FAILED,
    "settle": FlowStatus.LOST,
}
"""What a flow is after a verb; the others leave it as it was."""


def test_the_table_has_every_verb_and_every_status() -> None:
    assert set(VERBS) == set(TABLE)
    assert {type(fact) for fact in VERBS.values()} == set(FLOW_FACTS)
    assert set(LIVES) == set(FlowStatus)
    assert FLOW_ACTIVE | FLOW_TERMINAL == set(FlowStatus)


@pytest.mark.parametrize("verb", TABLE)
def test_every_status_answers_a_verb_as_the_table_says(verb: str) -> None:
    answers = tuple(code(in_status(status).ask(VERBS[verb])) for status in LIVES)

    assert TABLE[verb] == answers


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"create"}))
def test_what_is_admitted_moves_the_flow_where_its_verb_says(verb: str) -> None:
    for status in LIVES:
        tale = in_status(status)
        if code(tale.ask(VERBS[verb])) == YES:
            tale.tell(VERBS[verb])
            assert AFTER.get(verb, status) is tale.record.status


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", sorted(FLOW_ACTIVE))
def test_once_a_cancel_is_wanted_a_flow_only_ends(verb: str, status: FlowStatus) -> None:
    tale = in_status(status, FlowCancelRequested(reason="enough"))
    answers = {
        "create": OLD,
        "cancel": OLD,
        "cancelled": YES,
        "settle": YES,
        "note": YES,
        "prune": "active",
        "erase": YES,
    }

    assert answers.get(verb, "cancel_requested") == code(tale.ask(VERBS[verb]))


@pytest.mark.parametrize("verb", VERBS)
def test_what_mirrors_a_task_is_moved_by_that_alone(verb: str) -> None:
    answers = {"create": OLD, "cancel": YES, "cancelled": "not_requested", "note": YES, "prune": "active"}

    assert answers.get(verb, "not_managed") == code(Tale(beginning=MIRROR).ask(VERBS[verb]))


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"create"}))
def test_a_flow_that_is_not_there_is_named_to_whoever_asks_something_of_it(verb: str) -> None:
    answer = decide_flow(None, Command(VERBS[verb], "agent"), token=FLOW_ID)

    assert f'Flow not found: {FLOW_ID}. Run "tally flow list" to see recent flows.' == str(error(answer, NotFound))


def test_a_refusal_says_which_flow_what_it_is_and_carries_its_record() -> None:
    tale = in_status(FlowStatus.SUCCEEDED)

    refused = tale.ask(VERBS["resume"])

    assert f"Flow {FLOW_ID} is succeeded: resume is refused. It has ended." == str(refused)
    assert ("resume", tale.record) == (refused.attempted, refused.current)  # type: ignore[union-attr]


# What the facts say.


def test_a_wait_says_what_for_and_going_on_forgets_it() -> None:
    tale = Tale(FlowWaitingSet(wait={"until": 7}, step="ship", state=[1], blocked_task=OTHER_ID, blocked_summary="red"))
    waiting = tale.record

    tale.tell(FlowResumed())

    assert (FlowStatus.BLOCKED, {"until": 7}, OTHER_ID, "red") == (
        waiting.status,
        waiting.wait_json,
        waiting.blocked_task_id,
        waiting.blocked_summary,
    )
    after = tale.record
    assert (FlowStatus.RUNNING, None, None, None) == (
        after.status,
        after.wait_json,
        after.blocked_task_id,
        after.blocked_summary,
    )
    assert ("ship", [1]) == (after.current_step, after.state_json)  # what is left out stays


def test_a_second_wait_takes_the_place_of_the_first() -> None:
    tale = in_status(FlowStatus.BLOCKED, FlowWaitingSet(wait="a reply"))

    assert (FlowStatus.WAITING, "a reply", None) == (
        tale.record.status,
        tale.record.wait_json,
        tale.record.blocked_summary,
    )


def test_an_end_says_when_and_how_and_waits_for_nothing() -> None:
    done = in_status(FlowStatus.BLOCKED, FlowFinished(summary="out", state={})).record
    failed = in_status(FlowStatus.BLOCKED, FlowFailed(error="no key")).record
    ended = BEGIN_MS + 3 * STEP_MS

    assert ("out", None, None, {}, ended) == (
        done.summary,
        done.error,
        done.blocked_summary,
        done.state_json,
        done.ended_at,
    )
    assert ("no key", None, "a key is missing", ended) == (
        failed.error,
        failed.summary,
        failed.blocked_summary,
        failed.ended_at,
    )
    assert None is done.wait_json is failed.wait_json


def test_a_cancel_is_remembered_with_its_reason_and_ends_only_when_somebody_says_so() -> None:
    tale = Tale(FlowCancelRequested(reason="enough"))
    asked = tale.record
    tale.tell(FlowCancelRequested(reason="really"))

    tale.tell(FlowCancelled(), actor="steward")

    assert (FlowStatus.QUEUED, "enough", None) == (asked.status, asked.cancel_reason, asked.ended_at)
    assert (FlowStatus.CANCELLED, "enough", asked.cancel_requested_at) == (
        tale.record.status,
        tale.record.error,
        tale.record.cancel_requested_at,
    )


def test_a_claim_says_who_does_the_step_and_when() -> None:
    tale = Tale(FlowStepClaimed(step="build", claimant="bot-1"))

    claim = tale.record.claim_of("build")

    assert claim is not None
    assert ("build", "agent", BEGIN_MS + 2 * STEP_MS, "bot-1") == (claim.step, claim.actor, claim.at, claim.claimant)
    assert ("build", None) == (tale.record.current_step, tale.record.claim_of("test"))


def test_a_flow_has_a_most_of_steps_that_can_be_claimed() -> None:
    tale = Tale(*(FlowStepClaimed(step=f"step {number}") for number in range(FLOW_STEPS_MAX)))

    assert "too_many" == code(tale.ask(FlowStepClaimed(step="one more")))
    assert "claimed" == code(tale.ask(FlowStepClaimed(step="step 0")))
