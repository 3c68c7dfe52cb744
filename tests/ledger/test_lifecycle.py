"""The life of a task, cell by cell, against a picture of it that was drawn a second time, by hand."""

from collections.abc import Iterator, Mapping

import pytest

from tallystick.ledger import ends as ends_module
from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import Corrupt, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskLateSignal,
    TaskLost,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import (
    ACTIVE,
    ALLOWED,
    DEFAULT_POLICY,
    SETTLED_AS,
    TERMINAL,
    NotifyPolicy,
    Runtime,
    Status,
)
from tallystick.ledger.refusal import Refusal
from tests.story import TASK_ID, Story, created

# "same" stands where a report says what is already so; "late" is kept as evidence; "implied" brings the start along.
PICTURE = """
from \\ to   running   succeeded  failed    timed_out  cancelled  lost
queued      yes       implied    yes       yes        yes        yes
running     same      yes        yes       yes        yes        yes
succeeded   late      same       late      late       late       refused
failed      late      late       same      late       late       refused
timed_out   late      late       late      same       late       refused
cancelled   late      late       late      late       same       refused
lost        late      recovered  recovered recovered  recovered  same
"""
MOVES = {"yes", "implied", "recovered"}

REPORTS: dict[Status, AnyFact] = {
    Status.RUNNING: TaskStarted(),
    Status.SUCCEEDED: TaskSucceeded(summary="42 tallies"),
    Status.FAILED: TaskFailed(error="boom"),
    Status.TIMED_OUT: TaskTimedOut(error="too long"),
    Status.CANCELLED: TaskCancelled(reason="enough", stopped="the group"),
    Status.LOST: TaskLost(rule="gone", evidence={"pid": 7}),
}
SIGNALS = {
    Status.RUNNING: "start",
    Status.SUCCEEDED: "succeed",
    Status.FAILED: "fail",
    Status.TIMED_OUT: "time_out",
    Status.CANCELLED: "cancelled",
    Status.LOST: "lose",
}
CONTENTS: dict[Status, dict[str, object]] = {
    Status.RUNNING: {},
    Status.SUCCEEDED: {"summary": "42 tallies"},
    Status.FAILED: {"error": "boom"},
    Status.TIMED_OUT: {"error": "too long"},
    Status.CANCELLED: {"reason": "enough", "stopped": "the group"},
}
RECOVERIES: dict[Status, TaskRecovered] = {
    Status.SUCCEEDED: TaskRecovered(status=Status.SUCCEEDED, corrects=3, signal="succeed", summary="42 tallies"),
    Status.FAILED: TaskRecovered(status=Status.FAILED, corrects=3, signal="fail", error="boom"),
    Status.TIMED_OUT: TaskRecovered(status=Status.TIMED_OUT, corrects=3, signal="time_out", error="too long"),
    Status.CANCELLED: TaskRecovered(
        status=Status.CANCELLED, corrects=3, signal="cancelled", error="enough", summary="the group"
    ),
}


def cells() -> Iterator[tuple[Status, Status, str]]:
    head, *rows = (line.split() for line in PICTURE.strip().splitlines())
    for before, *row in rows:
        for after, cell in zip(head[3:], row, strict=True):
            yield Status(before), Status(after), cell


CELLS = list(cells())
DRAWN: Mapping[Status, frozenset[Status]] = {
    before: frozenset(after for row, after, cell in CELLS if row is before and cell in MOVES) for before in Status
}
SINGLE_CELLS = [(before, after) for before in Status for after in Status]


def story_at(status: Status) -> Story:
    """Return a task that got where it is in the ordinary way: created, started, ended."""
    if status is Status.QUEUED:
        return Story(created())
    if status is Status.RUNNING:
        return Story(created(), TaskStarted())
    return Story(created(), TaskStarted(), REPORTS[status])


def expected_answer(
    before: Status, after: Status, cell: str
) -> tuple[AnyFact, ...] | tuple[Refused, TaskLateSignal | None]:
    match cell:
        case "yes":
            return (REPORTS[after],)
        case "implied":
            return (TaskStarted(implied=True), REPORTS[after])
        case "recovered":
            return (RECOVERIES[after],)
        case "same":
            return ()
        case _:
            refused = Refused(TASK_ID, status=before.value, attempted=SIGNALS[after])
            late = TaskLateSignal(signal=SIGNALS[after], status=before, content=CONTENTS.get(after, {}))
            return refused, late if cell == "late" else None


def told(error: Exception) -> tuple[type[Exception], object]:
    return type(error), error.__dict__


@pytest.mark.parametrize(("before", "after", "cell"), CELLS)
def test_every_cell_of_the_picture_is_answered_with_exactly_these_facts(
    before: Status, after: Status, cell: str
) -> None:
    story = story_at(before)
    record = story.record

    answer = story.tell(REPORTS[after])

    expected = expected_answer(before, after, cell)
    if isinstance(answer, Refusal):
        error, late = expected
        assert isinstance(error, Refused)
        assert told(error) == told(answer.error)
        assert late == answer.evidence
    else:
        assert expected == answer
    assert story.record.status is (after if cell in MOVES else record.status)


def test_the_table_is_the_picture() -> None:
    assert DRAWN == ALLOWED


def test_every_status_is_either_active_or_terminal() -> None:
    assert {Status.QUEUED, Status.RUNNING} == ACTIVE
    assert {Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.LOST} == TERMINAL
    assert {Status.FAILED, Status.CANCELLED, Status.LOST} == SETTLED_AS


def test_each_runtime_has_the_policy_that_the_interface_names() -> None:
    assert {
        Runtime.ACP: NotifyPolicy.DONE_ONLY,
        Runtime.SUBAGENT: NotifyPolicy.DONE_ONLY,
        Runtime.CRON: NotifyPolicy.SILENT,
        Runtime.CLI: NotifyPolicy.SILENT,
    } == DEFAULT_POLICY


# What the events themselves may do: whoever wrote them, a step outside the picture is damage.


def steps_to(after: Status) -> list[AnyFact]:
    """Return every fact that says of a task that it now is `after`, whoever might write it."""
    natural = [REPORTS[after]] if after in REPORTS else []
    return [
        *natural,
        TaskSettled(status=after, reason="enough"),
        TaskRecovered(status=after, corrects=3, signal="recover", evidence={}),
    ]


def follows(story: Story, data: AnyFact) -> bool:
    """Whether the fact can follow the story."""
    try:
        evolve(story.record, story.next_event(data))
    except Corrupt:
        return False
    return True


def may_follow(before: Status, data: AnyFact, after: Status) -> bool:
    """Whether the picture lets the fact follow."""
    match data:
        case TaskRecovered():
            return before is Status.LOST and after in DRAWN[Status.LOST]
        case TaskSettled():
            return before in ACTIVE and after in SETTLED_AS
        case _:
            return before is not Status.LOST and after in DRAWN[before]


def check_steps() -> None:
    """Every fact against every status: what may follow does, and what may not is damage."""
    for before in Status:
        for after in Status:
            for data in steps_to(after):
                assert may_follow(before, data, after) == follows(story_at(before), data), (before, data)


def check_reachable() -> None:
    """Walk everywhere that reports lead to, and hold every step against the picture."""
    seen: set[Status] = set()
    todo = [Story(created())]
    while todo:
        story = todo.pop()
        before = story.record.status
        if before in seen:
            continue
        seen.add(before)
        for data in REPORTS.values():
            branch = Story(*(fact for fact in story.facts if not getattr(fact, "implied", False)))
            answer = decide(branch.record, Command(data, "agent"), token=TASK_ID)
            branch.happen(answer if not isinstance(answer, Refusal) else ())
            after = branch.record.status
            assert before is after or any(after in DRAWN[step] for step in {before, Status.RUNNING})
            todo.append(branch)
    assert set(Status) == seen, "the picture has statuses that no report leads to"


def test_a_fact_follows_exactly_where_the_picture_lets_it() -> None:
    check_steps()


def test_every_status_is_reached_and_only_along_the_picture() -> None:
    check_reachable()


def test_a_task_never_returns_to_the_queue() -> None:
    for status in Status:
        story = story_at(status)
        with pytest.raises(Corrupt):
            story.happen([created()])
        assert status is story.record.status


@pytest.mark.parametrize(("before", "after"), SINGLE_CELLS)
def test_no_cell_of_the_table_can_change_unnoticed(
    before: Status, after: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is what the rules read: with any one cell turned round, the checks of this file fail."""
    mutated = {**ALLOWED, before: ALLOWED[before] ^ {after}}
    monkeypatch.setattr(ends_module, "ALLOWED", mutated)

    assert mutated != DRAWN
    if after is Status.QUEUED and before is not Status.LOST:
        return  # no fact can say "queued": only the comparison with the picture sees this cell
    with pytest.raises((AssertionError, Corrupt)):
        check_steps()
