"""What holds of every flow, whatever is asked of it and in which order."""

import pickle
from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.errors import Corrupt, FlowRefused, Pruned, TallystickError, WrongVersion
from tallystick.ledger.events import FlowFact
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowCreated,
    FlowErased,
    FlowNoted,
    FlowPruned,
    FlowSettled,
    FlowStepClaimed,
    FlowTaskLinked,
)
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.flows.evolve import evolve_flow, fold_flow
from tallystick.ledger.flows.record import FlowRecord, as_json
from tallystick.ledger.folding import fold_stream
from tallystick.ledger.lifecycle import FLOW_TERMINAL, FlowStatus
from tests.ledger.flows import some
from tests.ledger.flows.tale import LIVES, MIRROR, STREAM, VERBS, Tale, code, error, in_status, to_the_end
from tests.story import BEGIN_MS, STEP_MS
from tests.strategies import TASK_IDS

to_bytes = msgspec.msgpack.Encoder().encode
to_record = msgspec.msgpack.Decoder(FlowRecord).decode
expectations = st.none() | st.integers(1, 15)


def records(tale: Tale) -> list[FlowRecord]:
    """Return what was known after each event of a tale."""
    known: list[FlowRecord] = []
    for event in tale.events:
        known.append(evolve_flow(known[-1] if known else None, event))
    return known


@given(some.tales(), some.moves, expectations)
def test_whatever_is_decided_can_happen_and_what_is_refused_changes_nothing(
    tale: Tale, data: FlowFact, expected: int | None
) -> None:
    before, written = tale.record, len(tale.events)

    answer = tale.tell(data, expected=expected)

    if isinstance(answer, TallystickError):
        assert (before, written) == (tale.record, len(tale.events))
    else:
        if isinstance(data, FlowPruned):
            data = replace(data, status=before.status, ended_at=before.ended_at)
        assert answer in ((), (data,))
        assert before.revision + len(answer) == tale.record.revision == len(tale.events)


@given(some.tales())
def test_revisions_have_no_gap_and_positions_only_grow(tale: Tale) -> None:
    known = records(tale)

    assert list(range(1, len(known) + 1)) == [record.revision for record in known]
    assert all(before.position < after.position for before, after in pairwise(known))
    assert known[-1] == tale.record == fold_flow(tale.events) == fold_stream(tale.events)


@given(some.tales(), some.moves, expectations)
def test_what_has_ended_refuses_everything_that_is_new(tale: Tale, data: FlowFact, expected: int | None) -> None:
    record = tale.record
    if record.status not in FLOW_TERMINAL:
        return
    answer = tale.ask(data, expected=expected)
    if record.pruned_at is not None:
        pruned = error(answer, Pruned)
        assert (record.flow_id, record.status, record.ended_at, record.pruned_at) == (
            pruned.token,
            pruned.status,
            pruned.ended_at,
            pruned.pruned_at,
        )
        return
    if isinstance(data, FlowPruned):
        assert isinstance(answer, tuple | WrongVersion)
        return
    is_old = (
        isinstance(data, FlowCreated)
        or (isinstance(data, FlowCancelRequested) and record.cancel_requested_at is not None)
        or (isinstance(data, FlowCancelled) and record.status is FlowStatus.CANCELLED)
    )

    assert ("nothing new" if is_old else "terminal") == code(answer)


@given(some.tales())
def test_after_a_cancel_was_wanted_nothing_is_written_but_the_end(tale: Tale) -> None:
    kinds = [type(data) for data in tale.facts if not isinstance(data, FlowNoted)]
    if FlowCancelRequested in kinds:
        after = kinds[kinds.index(FlowCancelRequested) + 1 :]
        ends = [FlowCancelled], [FlowSettled]
        assert after in ([], *ends, *([*end, FlowPruned] for end in ends))
    else:
        assert FlowCancelled not in kinds


@given(some.tales())
def test_no_step_is_ever_claimed_twice_and_every_claim_is_kept(tale: Tale) -> None:
    claimed = [data.step for data in tale.facts if isinstance(data, FlowStepClaimed)]

    assert len(set(claimed)) == len(claimed)
    assert claimed == [claim.step for claim in tale.record.claims]


@given(some.tales())
def test_a_record_says_when_it_ended_exactly_if_it_has_ended(tale: Tale) -> None:
    for record in records(tale):
        assert (record.status in FLOW_TERMINAL) == (record.ended_at is not None) == (not record.is_active)
        waits = record.status in (FlowStatus.WAITING, FlowStatus.BLOCKED)
        assert waits or record.wait_json is None
        assert (record.status is FlowStatus.BLOCKED) <= (
            record.blocked_task_id is not None or record.blocked_summary is not None
        )


@given(some.tales())
def test_a_record_comes_back_from_its_bytes_and_is_said_without_nulls(tale: Tale) -> None:
    assert tale.record == to_record(to_bytes(tale.record))
    assert all(value is not None for value in msgspec.json.decode(as_json(tale.record)).values())


@given(some.tales())
def test_every_event_moves_the_time_of_the_last_change(tale: Tale) -> None:
    """But not a note: since when the flow stands still is what that is about."""
    moved = [event.occurred_at for event in tale.events if not isinstance(event.data, FlowNoted)]
    known = [
        record
        for event, record in zip(tale.events, records(tale), strict=True)
        if not isinstance(event.data, FlowNoted)
    ]
    assert moved == [record.updated_at for record in known]
    assert {tale.events[0].occurred_at} == {record.created_at for record in records(tale)}


# Notes, and the end of retention.


@given(some.tales())
def test_what_was_noted_of_a_flow_is_noted_until_anything_happens_to_it(tale: Tale) -> None:
    noted: dict[str, None] = {}
    at: int | None = None
    for event, record in zip(tale.events, records(tale), strict=True):
        if isinstance(event.data, FlowNoted):
            noted, at = {**noted, **dict.fromkeys(event.data.codes)}, event.occurred_at
        else:
            noted, at = {}, None
        assert (tuple(noted), at) == (record.noted, record.noted_at)


@given(some.tales(), some.notes)
def test_a_note_changes_nothing_else_and_what_is_noted_is_nothing_new(tale: Tale, note: FlowNoted) -> None:
    if not tale.record.is_active:
        tale = Tale(stream=tale.stream)
    before = tale.record
    is_new = not set(note.codes) <= set(before.noted)

    answer = tale.tell(note)

    assert ((note,) if is_new else ()) == answer
    told = {"revision": before.revision, "position": before.position, "noted": before.noted}
    assert before == replace(tale.record, **told, noted_at=before.noted_at)
    assert () == tale.tell(note)


@given(some.tales(), some.prunings)
def test_a_pruning_says_what_the_flow_was_and_only_an_erasure_follows_it(tale: Tale, pruning: FlowPruned) -> None:
    to_the_end(tale)
    before = tale.record
    assume(before.pruned_at is None)

    [fact] = tale.tell(pruning)  # type: ignore[misc]

    assert FlowPruned(reason=pruning.reason, status=before.status, ended_at=before.ended_at) == fact
    assert (before.status, before.ended_at, tale.now_ms) == (
        tale.record.status,
        tale.record.ended_at,
        tale.record.pruned_at,
    )
    for data in (data for data in VERBS.values() if not isinstance(data, FlowErased)):
        assert f"Flow pruned: {before.flow_id} was {before.status}" in str(error(tale.ask(data), Pruned))
        with pytest.raises(Corrupt, match="is pruned at"):
            tale.happen(data)


@pytest.mark.parametrize(
    "fact",
    [
        FlowPruned(status=FlowStatus.FAILED, ended_at=BEGIN_MS + 2 * STEP_MS),
        FlowPruned(status=FlowStatus.SUCCEEDED, ended_at=BEGIN_MS),
        FlowPruned(status=FlowStatus.SUCCEEDED),
    ],
)
def test_a_pruning_that_says_what_the_flow_was_not_is_damage(fact: FlowPruned) -> None:
    with pytest.raises(Corrupt):
        in_status(FlowStatus.SUCCEEDED).happen(fact)


def test_a_mirror_is_pruned_as_what_its_tasks_say_that_it_was_but_not_while_it_is_being_cancelled() -> None:
    fact = FlowPruned(status=FlowStatus.FAILED, ended_at=BEGIN_MS)
    mirror, cancelling = Tale(beginning=MIRROR), Tale(VERBS["cancel"], beginning=MIRROR)

    mirror.happen(fact)

    assert (FlowStatus.FAILED, BEGIN_MS, False) == (
        mirror.record.status,
        mirror.record.ended_at,
        mirror.record.is_active,
    )
    with pytest.raises(Corrupt):
        cancelling.happen(fact)


def test_a_settlement_of_a_mirror_or_as_succeeded_is_damage() -> None:
    with pytest.raises(Corrupt):
        Tale(beginning=MIRROR).happen(VERBS["settle"])
    with pytest.raises(Corrupt):
        Tale().happen(FlowSettled(status=FlowStatus.SUCCEEDED, reason="I think so"))


# Claims.


@given(some.tales(), st.sampled_from(some.STEPS), some.names)
def test_a_claimant_with_a_name_gets_its_own_again_and_nobody_else_gets_it(
    tale: Tale, step: str, name: str | None
) -> None:
    record, claim = tale.record, tale.record.claim_of(step)
    if claim is None or not record.is_active or not record.is_managed or record.cancel_requested_at is not None:
        return
    again = FlowStepClaimed(step=step, claimant=name)
    is_its_own = name is not None and name == claim.claimant

    assert ("nothing new" if is_its_own else "claimed") == code(tale.ask(again))
    for stale in range(1, record.revision):
        answer = tale.ask(again, expected=stale)
        assert () == answer if is_its_own else isinstance(answer, WrongVersion)


def test_who_comes_second_hears_who_was_first_and_when() -> None:
    tale = Tale(FlowStepClaimed(step="build", claimant="bot-1"))

    refused = error(tale.ask(FlowStepClaimed(step="build", claimant="bot-2")), FlowRefused)

    assert "Step build was claimed by bot-1 at 1790000002000 (ms)." in str(refused)


# Revisions.


@given(some.tales(), some.moves, st.integers(1, 15))
def test_another_revision_than_the_one_that_was_seen_is_answered_with_the_record(
    tale: Tale, data: FlowFact, expected: int
) -> None:
    record, answer = tale.record, tale.ask(data, expected=expected)
    if isinstance(answer, WrongVersion):
        assert expected != record.revision
        assert (expected, record.revision, record) == (answer.expected, answer.actual, answer.current)
        again = pickle.loads(pickle.dumps(answer))
        assert (answer.data, str(answer)) == (again.data, str(again))
    elif expected != record.revision:
        assert answer == () or not record.is_active


def test_a_stale_revision_is_told_in_words() -> None:
    tale = in_status(FlowStatus.RUNNING)

    answer = error(tale.ask(VERBS["finish"], expected=1), WrongVersion)

    assert f"Flow {tale.record.flow_id}: expected revision 1, found 2. Read it again and decide anew." == str(answer)


# What cannot have happened.


@pytest.mark.parametrize(
    ("status", "fact"),
    [(status, fact) for status in LIVES for fact in VERBS.values()],
)
def test_what_the_end_or_the_beginning_forbids_is_damage(status: FlowStatus, fact: FlowFact) -> None:
    tale = in_status(status)
    is_damage = not isinstance(fact, FlowErased) and (
        (status in FLOW_TERMINAL) != isinstance(fact, FlowPruned)
        or isinstance(fact, FlowCreated)
        or (isinstance(fact, FlowCancelled) and tale.record.cancel_requested_at is None)
    )
    if is_damage:
        with pytest.raises(Corrupt) as caught:
            tale.happen(fact)
        assert len(tale.events) + 1 == caught.value.position
    else:
        tale.happen(fact)


@pytest.mark.parametrize("version", [1, 2, 4, 9])
def test_a_gap_in_the_revisions_is_damage(version: int) -> None:
    with pytest.raises(Corrupt):
        in_status(FlowStatus.RUNNING).happen(VERBS["claim"], version=version)


def test_a_flow_begins_with_its_creation_and_has_no_events_of_a_task() -> None:
    tale = in_status(FlowStatus.RUNNING)

    with pytest.raises(Corrupt):
        evolve_flow(None, tale.events[1])
    with pytest.raises(Corrupt, match=r"task-started\.1 cannot follow"):
        tale.happen(TaskStarted())
    assert None is fold_flow([]) is fold_stream([])


def test_what_mirrors_follows_the_newest_of_those_that_joined() -> None:
    tale = Tale(beginning=MIRROR)
    tale.happen(FlowTaskLinked(task=TASK_IDS[0]))
    tale.happen(FlowTaskLinked(task=TASK_IDS[1]))

    assert (TASK_IDS[1], STREAM) == (tale.record.followed_task_id, tale.record.stream)
    assert None is Tale(FlowTaskLinked(task=TASK_IDS[0])).record.followed_task_id  # a managed one keeps no list
