"""The crew, on real threads: every call is answered once, and one that hangs delays nobody but its own kind."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.watching.crew import Unanswered
from tests.actors.crews import LONG_S, SOON_S, Called, desk_of, is_late
from tests.actors.parts import PATIENCE_S, at_once, fail


@pytest.fixture
def desk() -> Iterator[Called]:
    with desk_of(at_once=2) as desk:
        yield desk


def test_what_is_returned_or_raised_is_the_answer(desk: Called) -> None:
    errors = [ValueError("no"), SystemExit(3), KeyboardInterrupt()]
    desk.call(lambda argument: argument * 2, key=21)
    for place, error in enumerate(errors):
        desk.call(lambda _, error=error: fail(error), key=f"error {place}")  # type: ignore[misc]

    expected: dict[Any, Any] = {21: 42, **{f"error {place}": error for place, error in enumerate(errors)}}
    assert expected == desk.answers(4)
    assert desk.is_silent()


def test_a_call_that_takes_longer_than_its_limit_is_answered_and_its_own_answer_ignored(desk: Called) -> None:
    desk.call(desk.hang, limit_s=SOON_S)

    assert is_late(desk.answer()[1])
    assert {"a": 1} == desk.crew.hanging()
    desk.rest()
    assert {} == desk.crew.hanging()
    assert desk.is_silent()


def test_of_a_kind_only_so_many_are_under_way_and_the_others_wait_without_their_limit_running(desk: Called) -> None:
    for key in range(5):
        desk.call(desk.hang, key=key, limit_s=PATIENCE_S)

    assert {0, 1} == {desk.enter(), desk.enter()}
    assert desk.entered.empty()
    desk.gate.set()
    assert {key: key for key in range(5)} == desk.answers(5)


def test_calls_of_a_kind_that_hang_delay_no_other_kind(desk: Called) -> None:
    for key in range(4):
        desk.call(desk.hang, key=key)
    desk.enter()
    desk.enter()

    for key in range(4, 20):
        desk.call(lambda argument: argument, key=key, kind="b")

    assert {key: key for key in range(4, 20)} == desk.answers(16)


def test_one_that_hangs_gives_its_place_to_the_next(desk: Called) -> None:
    desk.call(desk.hang, key="hangs", limit_s=SOON_S)
    desk.call(desk.hang, key="works", limit_s=LONG_S)
    desk.enter()
    desk.enter()
    desk.call(lambda argument: argument, key="waits")

    answers = desk.answers(2)
    assert is_late(answers["hangs"])
    assert "waits" == answers["waits"]


def test_no_more_threads_hang_than_may_be_at_work_twice(desk: Called) -> None:
    for key in range(40):
        desk.call(desk.hang, key=key, limit_s=SOON_S)
    answers = desk.answers(40)

    assert {Unanswered} == {type(answer) for answer in answers.values()}
    assert desk.entered.qsize() < 2 * 2
    desk.call(desk.hang, key="late")
    assert "have not come back" in str(desk.answer()[1])
    desk.rest()
    desk.call(lambda argument: argument, key="after")
    assert ("after", "after") == desk.answer()


def test_a_key_is_not_called_again_while_it_waits_works_or_hangs(desk: Called) -> None:
    desk.call(desk.hang, key="k", limit_s=SOON_S)
    desk.enter()
    desk.call(desk.hang, key="k")
    refused, late = desk.answer()[1], desk.answer()[1]
    assert "the last call of it has not come back" == str(refused)
    assert is_late(late)

    desk.call(desk.hang, key="k")
    assert "the last call of it has not come back" == str(desk.answer()[1])
    assert desk.entered.empty()

    desk.rest()
    desk.call(lambda argument: argument, key="k")
    assert ("k", "k") == desk.answer()


@pytest.mark.usefixtures("trouble")
def test_who_cannot_take_an_answer_harms_nobody(desk: Called) -> None:
    for key, error in enumerate((ValueError("no"), SystemExit(1))):
        desk.crew.call("a", bytes([key]), str, 0, limit_s=LONG_S, done=lambda _, error=error: fail(error))  # type: ignore[misc]
    desk.crew.call("hung", b"h", desk.hang, 0, limit_s=SOON_S, done=lambda _: fail(ValueError("no")))
    desk.call(desk.hang, key="late", limit_s=2 * SOON_S)

    assert is_late(desk.answer()[1])
    desk.call(lambda argument: argument, key="works")
    desk.gate.set()
    assert ("works", "works") == desk.answer()


def test_an_idle_crew_has_no_threads(desk: Called) -> None:
    for key in range(6):
        desk.call(lambda argument: argument, key=key, limit_s=SOON_S)
    desk.answers(6)
    desk.rest()
    desk.call(lambda argument: argument, key="again", limit_s=SOON_S)
    desk.answer()
    desk.rest()


def test_a_thread_that_has_answered_takes_the_next_call(desk: Called) -> None:
    threads: set[threading.Thread] = set()
    for key in range(20):
        desk.call(lambda _: threads.add(threading.current_thread()), key=key)
        desk.answer()

    assert len(threads) <= 5  # and not one for each, however busy the machine is


def test_a_thread_that_lingers_takes_a_call_while_another_is_kept_waiting(desk: Called) -> None:
    for key in range(2):
        desk.call(desk.hang, key=key)
    assert {0, 1} == {desk.enter(), desk.enter()}
    desk.gate.set()
    assert {0: 0, 1: 1} == desk.answers(2)
    desk.gate.clear()

    for key in range(2, 4):
        desk.call(desk.hang, key=key)
    assert {2, 3} == {desk.enter(), desk.enter()}
    desk.gate.set()
    assert {2: 2, 3: 3} == desk.answers(2)


def test_closing_answers_those_who_wait_and_lets_those_at_work_finish(desk: Called) -> None:
    for key in range(5):
        desk.call(desk.hang, key=key)
    under_way = {desk.enter(), desk.enter()}
    desk.crew.close()
    desk.crew.close()
    waiting = desk.answers(3)

    assert {0, 1, 2, 3, 4} - under_way == set(waiting)
    assert {"the ledger was closed"} == {str(answer) for answer in waiting.values()}
    desk.call(str, key="later")
    assert "the ledger was closed" == str(desk.answer()[1])
    desk.gate.set()
    assert {key: key for key in under_way} == desk.answers(2)
    assert desk.crew.is_closed()


def test_closing_leaves_those_that_hang_to_their_limits(desk: Called) -> None:
    desk.call(desk.hang, limit_s=SOON_S)
    desk.enter()
    desk.crew.close()
    assert is_late(desk.answer()[1])


def test_a_call_for_which_no_thread_can_be_had_is_answered(desk: Called) -> None:
    usual = threading.stack_size()
    threading.stack_size(1 << 46)  # more than a machine can map
    try:
        desk.call(str, key="none")
        assert "no thread can be had" == str(desk.answer()[1])
    finally:
        threading.stack_size(usual)
    desk.call(str, key="none")
    assert ("none", "none") == desk.answer()


@given(
    calls=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.sampled_from("rwhc")), max_size=12),
    closes_after=st.integers(0, 14),
)
def test_every_call_is_answered_exactly_once(calls: list[tuple[str, int, str]], closes_after: int) -> None:
    """Whatever returns, raises, hangs or is awaited, in which order, and wherever the crew is closed."""
    with desk_of(at_once=2) as desk:
        works: dict[str, Callable[[Any], Any]] = {"r": str, "w": _raises, "h": desk.hang, "c": desk.hang_on}
        for place, (kind, key, work) in enumerate(calls):
            if place == closes_after:
                desk.crew.close()
            done = partial(desk._answers.put, (place, None))  # noqa: SLF001 - the answer does not matter
            desk.crew.call(kind, bytes([key]), works[work], key, limit_s=0.01, done=lambda _, done=done: done())  # type: ignore[misc]
        answered = sorted(place for place, _ in (desk.answer() for _ in calls))
        assert list(range(len(calls))) == answered
        assert desk.is_silent()


def _raises(_argument: object) -> None:
    raise ValueError("no")


@pytest.mark.usefixtures("restless")
def test_callers_on_many_threads_get_all_their_answers(desk: Called) -> None:
    def ask(thread: int) -> None:
        for number in range(50):
            desk.call(lambda argument: argument, key=(thread, number), kind="ab"[number % 2])

    at_once(*(partial(ask, thread) for thread in range(4)))
    assert {(thread, number): (thread, number) for thread in range(4) for number in range(50)} == desk.answers(200)
