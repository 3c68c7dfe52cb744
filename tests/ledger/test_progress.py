"""Many updates of one second become one event that says and counts what all of them did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.ledger.facts.fact import Usage
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted
from tallystick.ledger.limits import COUNT_MAX, PROGRESS_MS_MIN
from tallystick.ledger.progress import is_too_soon, merged, total
from tests.story import BEGIN_MS, Story, created
from tests.strategies import progress, usage


def test_the_newer_update_says_how_far_the_work_is_and_the_older_what_it_left_out() -> None:
    first = TaskProgressed(message="half", phase="reading", step=1, steps=2, tool="imap", tools=1, usage={"tokens": 2})
    second = TaskProgressed(message="more", step=0, tools=2, count=3, usage={"tokens": 3, "costUsd": 0.5})

    assert TaskProgressed(
        message="more",
        phase="reading",
        step=0,
        steps=2,
        tool="imap",
        tools=3,
        count=4,
        usage={"tokens": 5, "costUsd": 0.5},
    ) == merged(first, second)
    assert TaskProgressed(message="half", phase="writing", step=1, steps=9, tool="smtp", tools=1, count=2) == merged(
        TaskProgressed(message="half", phase="reading", step=1, steps=2, tool="imap", tools=1),
        TaskProgressed(phase="writing", steps=9, tool="smtp"),
    )


_marks = st.lists(st.sampled_from(["message", "phase"]), unique=True).map(tuple)


@given(progress, progress, _marks, _marks)
def test_one_update_has_the_marks_of_what_it_still_says(
    first: TaskProgressed, second: TaskProgressed, marks: tuple[str, ...], later: tuple[str, ...]
) -> None:
    first, second = replace(first, redacted=marks), replace(second, redacted=later)

    update = merged(first, second)

    for name in ("message", "phase"):
        teller = second if getattr(second, name) else first
        assert getattr(teller, name) == getattr(update, name)
        assert (name in teller.redacted) == (name in update.redacted)


@given(st.lists(progress.filter(lambda update: update.message != ""), min_size=1, max_size=5))
def test_a_record_is_the_same_after_one_merged_update_as_after_all_of_them(updates: list[TaskProgressed]) -> None:
    one_by_one, at_once = Story(created(), TaskStarted()), Story(created(), TaskStarted())

    one_by_one.happen(updates)
    together = updates[0]
    for update in updates[1:]:
        together = merged(together, update)
    at_once.happen([together])

    assert pytest.approx(one_by_one.record.usage or {}) == (
        at_once.record.usage or {}
    )  # fractions add up in another order
    same = {"version": 0, "position": 0, "usage": None}
    assert replace(one_by_one.record, **same) == replace(at_once.record, **same)


@pytest.mark.parametrize(
    ("after_ms", "too_soon"),
    [(0, True), (PROGRESS_MS_MIN - 1, True), (PROGRESS_MS_MIN, False), (-1, False)],
)
def test_progress_waits_until_the_last_one_is_a_second_old(after_ms: int, *, too_soon: bool) -> None:
    assert too_soon == is_too_soon(BEGIN_MS, BEGIN_MS + after_ms)
    assert not is_too_soon(None, BEGIN_MS + after_ms)


@given(usage, usage)
def test_a_total_is_the_sum_by_name_and_leaves_its_parts_alone(
    first: dict[str, float], second: dict[str, float]
) -> None:
    before = dict(first), dict(second)

    both = total(first, second)

    assert both == {name: min(first.get(name, 0) + second.get(name, 0), COUNT_MAX) for name in {*first, *second}}
    assert before == (first, second)


def test_nothing_and_something_is_something() -> None:
    assert ({"tokens": 3}, {"tokens": 3}, None) == (
        total(None, {"tokens": 3}),
        total({"tokens": 3}, None),
        total(None, None),
    )


def test_a_total_never_grows_beyond_what_can_be_stored() -> None:
    most: Usage = {"tokens": COUNT_MAX}

    assert most == total(most, most)
    assert COUNT_MAX == merged(TaskProgressed(count=COUNT_MAX), TaskProgressed(count=COUNT_MAX)).count
    assert COUNT_MAX == merged(TaskProgressed(tools=COUNT_MAX), TaskProgressed(tools=COUNT_MAX)).tools
