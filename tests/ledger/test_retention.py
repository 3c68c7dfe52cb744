"""What keeps the record of a task, what was noted of it, and what is left when retention removes it."""

import pickle
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallystick.ledger import intake
from tallystick.ledger.errors import Corrupt, InvalidInput, Pruned, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import evolve, fold
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun, TaskResourceOpened
from tallystick.ledger.facts.tasks import (
    TaskCleanupStamped,
    TaskHeld,
    TaskNoted,
    TaskProgressed,
    TaskPruned,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.flows.evolve import fold_flow
from tallystick.ledger.lifecycle import DeliveryKind, FlowStatus, Status
from tallystick.ledger.limits import NOTED_CODE_CHARACTERS_MAX, NOTED_CODES_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.refusal import NOTHING, Refusal
from tallystick.ledger.remains import remains_of_flow, remains_of_task
from tests import strategies as some
from tests.ledger.flows import some as some_flows
from tests.ledger.flows.tale import Tale, in_status, to_the_end
from tests.story import Story, created, refusal

CODE = "inconsistent_timestamps"
KNOWN = TaskNoted(codes=(CODE,), reason="the clock of that host was wrong")
LOST_AND_KEPT = TaskNoted(codes=("lost", CODE))


def records(story: Story) -> list[TaskRecord]:
    known: list[TaskRecord] = []
    for event in story.events:
        known.append(evolve(known[-1] if known else None, event))
    return known


def changed(before: TaskRecord, after: TaskRecord) -> set[str]:
    return {name for name in TaskRecord.__struct_fields__ if getattr(before, name) != getattr(after, name)}


def prune(story: Story) -> None:
    """End a task, close what it left open, release it and prune it, as far as that has not happened."""
    for fact in (TaskSucceeded(), TaskCleanupBegun(), TaskCleanedUp(), TaskReleased(), TaskPruned()):
        story.tell(fact)
    assert story.record.pruned_at is not None


# Notes and stamps.


@given(some.stories())
def test_notes_and_stamps_hold_until_the_status_changes(story: Story) -> None:
    noted: dict[str, None] = {}
    stamp: int | None = None
    status: Status | None = None
    for event, record in zip(story.events, records(story), strict=True):
        if record.status is not status:
            noted, stamp, status = {}, None, record.status
        if isinstance(event.data, TaskNoted):
            noted = {**noted, **dict.fromkeys(event.data.codes)}
        if isinstance(event.data, TaskCleanupStamped):
            stamp = event.data.cleanup_after
        assert (tuple(noted), stamp) == (record.noted, record.cleanup_after)
        assert stamp is None or not record.is_active


@given(some.stories(pruned=False), st.one_of(some.notes, some.stamps))
def test_notes_and_stamps_are_no_news_of_the_work(story: Story, fact: AnyFact) -> None:
    before = story.record
    answer = story.tell(fact)
    assume(not isinstance(answer, Refusal) and answer)

    told = changed(before, story.record) - {"version", "position", "work_version"}
    assert told in ({"noted"}, {"cleanup_after"})
    assert (fact,) == answer
    assert NOTHING == story.tell(fact)


@given(some.stories(pruned=False), st.lists(some.notes, min_size=1, max_size=3), some.outcomes)
def test_who_has_not_seen_a_note_knows_the_task_all_the_same(
    story: Story, notes: list[TaskNoted], outcome: AnyFact
) -> None:
    seen = story.record.version
    indifferent = story.ask(outcome)
    for note in notes:
        story.tell(note)

    careful = story.ask(outcome, expected_version=seen)

    if isinstance(indifferent, Refusal):
        assert isinstance(careful, Refusal)
        assert type(indifferent.error) is type(careful.error)
    else:
        assert indifferent == careful


def test_a_loss_that_was_noted_is_news_again_when_it_turns_out_otherwise() -> None:
    story = Story(created(), TaskStarted(), intake.lost({"pid": 7}, rule="gone"), LOST_AND_KEPT)
    story.tell(TaskCleanupStamped(cleanup_after=story.now_ms))
    lost = story.record

    story.tell(TaskSucceeded(summary="it was there all the time"))

    assert (("lost", CODE), True) == (lost.noted, lost.cleanup_after is not None)
    assert (Status.SUCCEEDED, (), None) == (story.record.status, story.record.noted, story.record.cleanup_after)


@pytest.mark.parametrize("end", [(), (TaskStarted(),), (TaskStarted(), TaskSucceeded())])
def test_whatever_a_task_is_a_note_may_be_taken_of_it(end: tuple[AnyFact, ...]) -> None:
    story = Story(created(), *end)

    assert (KNOWN,) == story.tell(KNOWN)
    assert NOTHING == story.tell(TaskNoted(codes=(CODE,), reason="in other words"))
    assert (LOST_AND_KEPT,) == story.tell(LOST_AND_KEPT)
    assert (CODE, "lost") == story.record.noted


def test_no_more_is_noted_of_a_task_than_a_record_keeps() -> None:
    many = tuple(f"code_{'x' * place}" for place in range(NOTED_CODES_MAX))
    story = Story(created(), TaskNoted(codes=many))

    error = refusal(story.tell(KNOWN), InvalidInput)

    assert ("codes", f"'{NOTED_CODES_MAX + 1} of them'") == (error.field, error.value)
    assert NOTHING == story.tell(TaskNoted(codes=many[:3]))


def test_a_second_stamp_is_the_one_that_counts() -> None:
    story = Story(created(), TaskSucceeded(), TaskCleanupStamped(cleanup_after=7))

    assert NOTHING == story.tell(TaskCleanupStamped(cleanup_after=7))
    assert (TaskCleanupStamped(cleanup_after=5),) == story.tell(TaskCleanupStamped(cleanup_after=5))
    assert 5 == story.record.cleanup_after


@pytest.mark.parametrize(
    "codes",
    [
        None,
        "lost",
        b"lost",
        7,
        [],
        [""],
        ["Lost"],
        ["lost lost"],
        ["lost\n"],
        [7],
        ["x" * (NOTED_CODE_CHARACTERS_MAX + 1)],
        [f"a{'b' * place}" for place in range(NOTED_CODES_MAX + 1)],
    ],
)
def test_codes_that_no_finding_has_are_refused_by_the_name_of_the_field(codes: Any) -> None:
    with pytest.raises(InvalidInput, match="codes: "):
        intake.taken_note_of(codes)


def test_a_code_that_is_said_twice_is_noted_once() -> None:
    assert ("lost", CODE) == intake.taken_note_of(iter(["lost", CODE, "lost"])).codes


@pytest.mark.parametrize("moment", [-1, None, 1.0, True, "7", 2**53])
def test_a_retention_that_ends_at_no_moment_is_refused(moment: Any) -> None:
    with pytest.raises(InvalidInput, match="cleanup_after: "):
        intake.stamped(moment)


# Why a record is kept.


@pytest.mark.parametrize(
    ("told", "fact", "why"),
    [
        ((TaskStarted(),), TaskPruned(), "prune is refused. It has not ended."),
        ((TaskSucceeded(), TaskHeld()), TaskPruned(), "prune is refused. It is held; release it first."),
        (
            (TaskResourceOpened(kind="tab", name="3"), TaskSucceeded()),
            TaskPruned(),
            "prune is refused. Something that it left open is not closed yet.",
        ),
        ((TaskStarted(),), TaskCleanupStamped(cleanup_after=7), "stamp is refused. It has not ended."),
    ],
)
def test_what_is_kept_says_why(told: tuple[AnyFact, ...], fact: AnyFact, why: str) -> None:
    error = refusal(Story(created(), *told).ask(fact), Refused)

    assert str(error).endswith(why)
    assert str(error) == str(pickle.loads(pickle.dumps(error)))


def test_what_somebody_is_still_to_be_told_of_says_so() -> None:
    story = Story(created(), TaskSucceeded())
    story.happen([DeliveryQueued(delivery="terminal:succeeded:default", kind=DeliveryKind.TERMINAL, text="x")])

    assert str(refusal(story.ask(TaskPruned()), Refused)).endswith("A message about it is on its way.")


# What is left.


@given(some.stories(), st.data())
def test_a_pruning_alone_tells_what_the_whole_history_tells_of_what_was_pruned(
    story: Story, data: st.DataObject
) -> None:
    prune(story)
    cut = data.draw(st.integers(0, len(story.events) - 2), label="what earlier events can be read")
    known = fold(story.events[:cut])

    left = remains_of_task(story.events[-1], known)

    assert left is not None
    told = ("task_id", "status", "ended_at", "pruned_at", "version", "position")
    assert [getattr(story.record, name) for name in told] == [getattr(left, name) for name in told]
    assert not left.is_active
    assert () == left.outbox


@given(some_flows.tales(), some_flows.prunings, st.data())
def test_and_so_it_is_with_flows(tale: Tale, pruning: FlowPruned, data: st.DataObject) -> None:
    to_the_end(tale)
    tale.tell(pruning)
    cut = data.draw(st.integers(0, len(tale.events) - 2), label="what earlier events can be read")

    left = remains_of_flow(tale.events[-1], fold_flow(tale.events[:cut]))

    assert left is not None
    told = ("flow_id", "status", "ended_at", "pruned_at", "revision", "position")
    assert [getattr(tale.record, name) for name in told] == [getattr(left, name) for name in told]
    assert not left.is_active


@given(some.stories())
def test_no_other_event_tells_what_was_pruned(story: Story) -> None:
    for event in story.events:
        if not isinstance(event.data, TaskPruned):
            assert None is remains_of_task(event)
        assert None is remains_of_flow(event)


def test_a_pruning_of_an_older_version_tells_too_little_and_one_that_is_not_the_next_tells_nothing() -> None:
    story = Story(created(), TaskSucceeded())
    old = story.next_event(TaskPruned(reason="by hand"))
    story.tell(TaskPruned())
    tale = in_status(FlowStatus.SUCCEEDED)
    tale.tell(FlowPruned())

    assert None is remains_of_task(old)
    assert evolve(fold(story.events[:-1]), old).pruned_at == old.occurred_at
    assert None is remains_of_task(story.events[-1], story.record)
    going_on = Story(created(), TaskStarted(), TaskProgressed(message="half")).record
    assert None is remains_of_task(story.events[-1], going_on)
    assert None is remains_of_flow(tale.events[-1], tale.record)


def test_a_history_cannot_begin_with_its_pruning_however_much_that_tells() -> None:
    story = Story(created(), TaskSucceeded(), TaskPruned())

    with pytest.raises(Corrupt, match="begins with"):
        fold(story.events[-1:])


@given(some.stories(), some.tellings(st.one_of(some.reports, some.prunings)))
def test_what_is_left_answers_as_the_whole_record_does(story: Story, telling: some.Telling) -> None:
    prune(story)
    left = remains_of_task(story.events[-1])

    whole = story.ask(telling.data, occurred_at=telling.occurred_at)
    answer = Story.of(story.events, record=left, now_ms=story.now_ms).ask(telling.data, occurred_at=telling.occurred_at)

    assert refusal(whole, Pruned).data == refusal(answer, Pruned).data


def test_progress_goes_on_beside_a_note() -> None:
    story = Story(created(), TaskStarted(), KNOWN)

    story.tell(TaskProgressed(message="half"), expected_version=2)

    assert ((CODE,), "half", None) == (story.record.noted, story.record.progress_summary, story.record.work_version)
