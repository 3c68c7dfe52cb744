"""The net of the life of a task: it has the table's language, and no tokens are left over."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from msgspec.structs import replace

from tallystick.exports.activities import activities_of
from tallystick.exports.net import BEGIN, END, lifecycle_net
from tallystick.ledger.errors import Corrupt
from tallystick.ledger.events import TASK_FACTS, AnyFact, Event
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.deliveries import OF_DELIVERIES
from tallystick.ledger.facts.tasks import TaskProgressed, TaskPruned
from tallystick.ledger.lifecycle import ALLOWED, Status
from tallystick.testing import HandClock, memory_ledger
from tests.announced import Announced
from tests.aside import Kept, kept_histories
from tests.exports.parts import active, fill, make_openclaw, task
from tests.mining.forgeries import (
    CREATED,
    DELIVERED,
    DONE,
    ERASED,
    FORGERIES,
    MISSED,
    QUEUED,
    RESTORED,
    STARTED,
    forged,
)
from tests.mining.game import BEGINNING, NET, Marking, can_end, conforms, enabled, fire
from tests.mining.logs import as_stream
from tests.story import Story
from tests.strategies import announced, stories


def reachable() -> Iterator[Marking]:
    seen, waiting = {BEGINNING}, deque([BEGINNING])
    while waiting:
        marking = waiting.popleft()
        yield marking
        after = {found for each in NET.transitions if (found := fire(marking, each)) is not None}
        waiting.extend(after - seen)
        seen |= after


@given(story=stories())
def test_whatever_the_rules_admit_conforms(story: Story) -> None:
    assert conforms(story.facts)


@given(story=announced())
def test_whatever_is_told_of_it_conforms_as_well(story: Announced) -> None:
    assert conforms(story.facts)


@given(kept=kept_histories())
def test_what_is_erased_conforms_before_and_after_it_is_pruned(kept: Kept) -> None:
    histories: dict[bytes, list[AnyFact]] = {}
    for event in kept.events:
        histories.setdefault(event.stream, []).append(event.data)

    assert [True] * len(kept.tasks) == [conforms(histories[stream]) for stream in kept.tasks]


def test_an_erasure_may_come_at_any_time_and_again() -> None:
    facts: list[AnyFact] = [CREATED, ERASED, STARTED, ERASED, TaskProgressed(), DONE, ERASED, QUEUED, DELIVERED]

    assert conforms([*facts, ERASED, TaskPruned(), ERASED, ERASED])


def is_damage(events: Sequence[Event]) -> bool:
    record = None
    try:
        for event in events:
            record = evolve(record, event)
    except Corrupt:
        return True
    return False


@given(facts=forged())
def test_whatever_the_ledger_itself_calls_damage_does_not_conform(facts: list[AnyFact]) -> None:
    known = [  # of messages the net knows no names, and of no fact what it says
        replace(fact, status=None, ended_at=None) if isinstance(fact, TaskPruned) else fact
        for fact in facts
        if type(fact) not in OF_DELIVERIES
    ]

    assert not (known and is_damage(as_stream(known)) and conforms(known))


def test_what_was_imported_conforms(tmp_path: Path) -> None:
    make_openclaw(tmp_path / "openclaw.sqlite")
    ends = ["succeeded", "failed", "timed_out", "cancelled", "lost"]
    rows = [task(status, status=status) for status in ends] + [active("queued", "queued"), active("running")]
    fill(tmp_path / "openclaw.sqlite", "task_runs", *rows)

    with memory_ledger(clock=HandClock()) as ledger:
        assert len(rows) == ledger.import_openclaw(tmp_path / "openclaw.sqlite").tasks
        histories: dict[str, list[AnyFact]] = {}
        for event in ledger.events():
            histories.setdefault(event.task_id, []).append(event.data)

    assert [True] * len(rows) == [conforms(facts) for facts in histories.values()]


def test_every_fact_of_a_task_has_a_transition_and_nothing_else_has() -> None:
    named = {each.activity for each in NET.transitions if each.activity is not None}

    assert {name for kind in TASK_FACTS for name in activities_of(kind)} == named


def test_the_statuses_follow_each_other_as_the_table_says() -> None:
    statuses = {"queued": Status.QUEUED, "running": Status.RUNNING, "lost": Status.LOST}
    moves = {
        (before.pop(), after.pop())
        for each in NET.transitions
        if each.activity is not None
        and (before := {*statuses, "ended"} & set(each.takes))
        and (after := {*statuses, "ended"} & set(each.gives))
        and before != after
    }
    allowed = {
        (status.value, target.value if ALLOWED[target] else "ended")
        for status, targets in ALLOWED.items()
        for target in targets
    }

    assert allowed == moves


def finished(marking: Marking) -> Marking:
    """Return a marking from which a history may stop: a task is there, and what is recorded at once is."""
    if BEGIN in marking:
        [marking] = enabled(marking, "task-created")
    if "stopping" in marking:
        [marking] = enabled(marking, "task-cancelled")
    return marking


def test_the_net_is_sound() -> None:
    markings = set(reachable())
    ends = [marking for marking in markings if END in marking]
    dead = {each.id for each in NET.transitions} - {
        each.id for marking in markings for each in NET.transitions if fire(marking, each) is not None
    }

    assert [frozenset({END})] == ends, "nothing is left over"
    assert {True} == {can_end(finished(marking)) for marking in markings}
    assert set() == dead


def test_in_every_marking_an_activity_says_what_happens() -> None:
    for marking in reachable():
        names = Counter(each.activity for each in NET.transitions if each.activity and fire(marking, each) is not None)
        assert {} == {name: count for name, count in names.items() if count > 1}


@pytest.mark.parametrize("facts", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_does_not_conform(facts: list[AnyFact]) -> None:
    assert not conforms(facts)


def test_a_miss_is_over_with_the_start() -> None:
    facts: list[AnyFact] = [CREATED, MISSED, STARTED, TaskProgressed(), MISSED, RESTORED, DONE, QUEUED, DELIVERED]

    assert conforms(facts)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_task_that_goes_on_conforms_so_far(number: int) -> None:
    facts: list[AnyFact] = [CREATED, STARTED, TaskProgressed(), DONE]

    assert conforms(facts[:number])


def test_the_net_is_the_same_each_time() -> None:
    assert lifecycle_net() == NET
