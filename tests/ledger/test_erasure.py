"""Erasing: whoever folded the events when they were whole knows the same as whoever folds what is left of them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import Corrupt, Refused
from tallystick.ledger.events import Event
from tallystick.ledger.evolve import evolve, fold
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.flows import FlowErased, FlowFinished, FlowPruned
from tallystick.ledger.facts.tasks import TaskErased, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.decide import decide_flow
from tallystick.ledger.flows.evolve import evolve_flow, fold_flow
from tallystick.ledger.lifecycle import FlowStatus, Status
from tallystick.ledger.payloads import Policy, kept_of, put_aside, stripped
from tallystick.ledger.record import TaskRecord, as_json
from tallystick.ledger.refusal import NOTHING
from tallystick.ledger.remains import is_tombstone, last_word
from tests import strategies as some
from tests.announced import CHAT, SERVED, Announced
from tests.ledger.flows.tale import LIVES, MIRROR, Tale, code
from tests.ledger.test_payloads import salts
from tests.story import Story, created, refusal

ERASE = TaskErased(reason="the customer asked for it", fields=("task",), count=1)
ERASE_FLOW = FlowErased(reason="the customer asked for it", fields=("goal",), count=1)
SECRET = "4711-SECRET"


def aside(events: list[Event]) -> list[Event]:
    """Return events whose content is all kept beside the log."""
    salt = salts()
    return [replace(event, data=put_aside(event.data, Policy(everything=True), salt)[0]) for event in events]


def erased(story: Story | Announced, events: list[Event]) -> list[Event]:
    """Return the events with which the content of a task is erased that is known by whole ones."""
    known = kept_of(event.data for event in events)
    answer = decide(fold(events), Command(replace(ERASE, fields=known.fields, count=known.count), "ops"), token="")
    assert isinstance(answer, tuple)
    before = len(story.events)
    story.happen(answer, actor="ops")
    return aside(story.events[before:])


@given(some.announced() | some.stories())
def test_what_is_known_live_is_what_the_rest_of_the_log_tells(story: Any) -> None:
    whole = aside(story.events)
    erasure = erased(story, whole)

    live = fold([*whole, *erasure])
    replayed = fold([*map(stripped, whole), *map(stripped, erasure)])

    assert live == replayed
    assert live is not None
    assert live.erased is not None
    assert (ERASE.reason, "ops") == (live.erased.reason, live.erased.by)


@given(some.announced(pruned=False), st.data())
def test_what_follows_an_erasure_is_known_by_both_likewise(story: Announced, data: st.DataObject) -> None:
    whole = aside(story.events)
    whole += erased(story, whole)
    left = [stripped(event) for event in whole]

    for report in data.draw(st.lists(some.reports, max_size=4)):
        before = len(story.events)
        story.tell(report)
        more = aside(story.events[before:])
        whole += more
        left += more

    assert fold(whole) == fold(left)


@given(some.stories())
def test_every_step_before_an_erasure_can_still_be_folded(story: Story) -> None:
    record: TaskRecord | None = None
    statuses = []
    for event in map(stripped, aside(story.events)):
        record = evolve(record, event)
        statuses.append((record.status, record.delivery_status))

    known: TaskRecord | None = None
    for event, expected in zip(story.events, statuses, strict=True):
        known = evolve(known, event)
        assert expected == (known.status, known.delivery_status)


def test_nothing_of_the_content_is_left_in_the_record() -> None:
    story = Story(
        created(task=SECRET, label=SECRET, metadata={"a": SECRET}, origin={"channel": "chat", "to": SECRET}),
        TaskStarted(),
        TaskSucceeded(summary=SECRET, artifacts=(SECRET,)),
        ERASE,
    )

    assert SECRET.encode() not in as_json(story.record)
    assert Status.SUCCEEDED is story.record.status
    assert "agent:main:main" == story.record.owner_key


def test_what_has_not_arrived_is_dismissed_first() -> None:
    story = Announced(routing=SERVED)
    story.tell(created(notify="done_only", origin=CHAT))
    story.tell(TaskStarted())
    story.tell(TaskSucceeded(summary=SECRET))
    assert len(story.record.outbox)

    story.tell(ERASE)

    assert () == story.record.outbox
    assert [DeliveryDismissed, TaskErased] == [type(event.data) for event in story.events[-2:]]


def test_what_is_erased_twice_is_nothing_new_and_where_nothing_is_kept_aside_it_is_refused() -> None:
    story = Story(created(), ERASE)
    nothing = TaskErased(reason="again")

    assert NOTHING == story.tell(nothing)
    refused = refusal(Story(created()).tell(nothing), Refused)

    assert "[payloads]" in str(refused)


def test_a_repeated_creation_does_not_bring_back_what_was_erased() -> None:
    creation = created(run_id="run-1", metadata={"a": SECRET}, origin={"channel": "chat", "to": SECRET})
    for first in (creation, created(run_id="run-1")):
        story = Story(first, ERASE)

        assert NOTHING == story.tell(creation)


def test_what_was_pruned_can_be_erased_and_its_erasure_is_its_tombstone() -> None:
    story = Story(created(), TaskStarted(), TaskSucceeded())
    ended_at = story.record.ended_at
    story.tell(TaskPruned())
    pruned_at = story.record.pruned_at

    story.tell(ERASE)

    last = story.events[-1]
    assert is_tombstone(last.data)
    assert (Status.SUCCEEDED, ended_at, pruned_at) == last_word(last)
    assert story.record.pruned_at == pruned_at
    assert not is_tombstone(Story(created(), ERASE).events[-1].data)


def test_an_erasure_that_contradicts_the_pruning_is_damage() -> None:
    story = Story(created())

    for lie in (replace(ERASE, status=Status.FAILED, pruned_at=1), replace(ERASE, pruned_at=7)):
        try:
            evolve(story.record, story.next_event(lie))
        except Corrupt:
            continue
        raise AssertionError(lie)


def test_an_erasure_is_no_news_of_the_work() -> None:
    story = Story(created(), TaskStarted())
    seen = story.record.version
    before = story.record.last_event_at

    story.tell(ERASE)

    assert before == story.record.last_event_at
    assert isinstance(story.ask(TaskSucceeded(), expected_version=seen), tuple)


def test_a_flow_is_erased_whatever_it_is_and_nothing_of_its_content_is_left() -> None:
    tale = Tale(FlowFinished(summary=SECRET, state={"a": SECRET}))
    tale.tell(ERASE_FLOW)

    assert FlowStatus.SUCCEEDED is tale.record.status
    assert ("", None, None) == (tale.record.goal, tale.record.summary, tale.record.state_json)

    pruned = Tale(FlowFinished(), FlowPruned(), ERASE_FLOW)
    assert (FlowStatus.SUCCEEDED, pruned.record.ended_at, pruned.record.pruned_at) == last_word(pruned.events[-1])
    assert () == pruned.tell(replace(ERASE_FLOW, count=0))


def test_a_flow_of_which_nothing_is_kept_aside_and_one_that_mirrors_a_task_are_refused() -> None:
    assert "not_aside" == code(Tale().ask(replace(ERASE_FLOW, count=0)))
    assert "not_managed" == code(Tale(beginning=MIRROR).ask(ERASE_FLOW))


def test_what_a_flow_is_blocked_by_can_be_erased_and_it_stays_blocked() -> None:
    tale = Tale(*LIVES[FlowStatus.BLOCKED])
    whole = aside(tale.events)
    answer = decide_flow(tale.record, Command(ERASE_FLOW, "ops"), token="")
    assert isinstance(answer, tuple)
    tale.happen(answer[0], actor="ops")

    live, replayed = fold_flow([*whole, tale.events[-1]]), fold_flow([*map(stripped, whole), tale.events[-1]])

    assert live == replayed == tale.record
    assert FlowStatus.BLOCKED is tale.record.status
    assert evolve_flow(tale.record, replace(tale.events[-1], version=tale.record.revision + 1)).erased is not None
