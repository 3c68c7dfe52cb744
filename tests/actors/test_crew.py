"""The crew, on real threads: every call is answered once, and one that hangs delays nobody but its own kind."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.actors.crew import Crew, Unanswered
from tests.actors.parts import PATIENCE_S, at_once, fail, reached

SOON_S = 0.05
LONG_S = 600.0


class Desk:
    """A crew, and what it answered."""

    def __init__(self, **options: Any) -> None:
        self.threads_before = set(threading.enumerate())
        self.crew = Crew(**options)
        self.gate = threading.Event()
        """What hangs, hangs until it opens."""
        self.entered: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()

    def call(self, function: Callable[[Any], Any], *, key: Any = 0, kind: str = "a", limit_s: float = LONG_S) -> None:
        self.crew.call(
            kind,
            str(key).encode(),
            function,
            key,
            limit_s=limit_s,
            done=lambda answer: self._answers.put((key, answer)),
        )

    def hang(self, argument: Any) -> Any:
        self.entered.put(argument)
        assert reached(self.gate)
        return argument

    async def hang_on(self, argument: Any) -> Any:
        """Hang as a coroutine does that heeds its cancellation."""
        self.entered.put(argument)
        await asyncio.Event().wait()

    def enter(self) -> Any:
        """Wait until one more call is under way."""
        return self.entered.get(timeout=PATIENCE_S)

    def answer(self) -> tuple[Any, Any]:
        """Wait for the next answer."""
        return self._answers.get(timeout=PATIENCE_S)

    def answers(self, count: int) -> dict[Any, Any]:
        return dict(self.answer() for _ in range(count))

    def is_silent(self) -> bool:
        """Whether nobody has been answered more than was asked for."""
        return self._answers.empty()

    def threads(self) -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each not in self.threads_before}

    def rest(self) -> None:
        """Wait until its threads have ended."""
        self.gate.set()
        for thread in self.threads():
            thread.join(PATIENCE_S)
        assert set() == self.threads()


@contextmanager
def desk_of(**options: Any) -> Iterator[Desk]:
    desk = Desk(**options)
    try:
        yield desk
    finally:
        desk.gate.set()
        desk.crew.close()
        desk.rest()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_of(at_once=2) as desk:
        yield desk


def is_late(answer: object) -> bool:
    return isinstance(answer, Unanswered) and "no answer within" in str(answer)


def test_what_is_returned_or_raised_is_the_answer(desk: Desk) -> None:
    errors = [ValueError("no"), SystemExit(3), KeyboardInterrupt()]
    desk.call(lambda argument: argument * 2, key=21)
    for place, error in enumerate(errors):
        desk.call(lambda _, error=error: fail(error), key=f"error {place}")  # type: ignore[misc]

    expected: dict[Any, Any] = {21: 42, **{f"error {place}": error for place, error in enumerate(errors)}}
    assert expected == desk.answers(4)
    assert desk.is_silent()


def test_a_call_that_takes_longer_than_its_limit_is_answered_and_its_own_answer_ignored(desk: Desk) -> None:
    desk.call(desk.hang, limit_s=SOON_S)

    assert is_late(desk.answer()[1])
    assert {"a": 1} == desk.crew.hanging()
    desk.rest()
    assert {} == desk.crew.hanging()
    assert desk.is_silent()


def test_of_a_kind_only_so_many_are_under_way_and_the_others_wait_without_their_limit_running(desk: Desk) -> None:
    for key in range(5):
        desk.call(desk.hang, key=key, limit_s=PATIENCE_S)

    assert {0, 1} == {desk.enter(), desk.enter()}
    assert desk.entered.empty()
    desk.gate.set()
    assert {key: key for key in range(5)} == desk.answers(5)


def test_calls_of_a_kind_that_hang_delay_no_other_kind(desk: Desk) -> None:
    for key in range(4):
        desk.call(desk.hang, key=key)
    desk.enter()
    desk.enter()

    for key in range(4, 20):
        desk.call(lambda argument: argument, key=key, kind="b")

    assert {key: key for key in range(4, 20)} == desk.answers(16)


def test_one_that_hangs_gives_its_place_to_the_next(desk: Desk) -> None:
    desk.call(desk.hang, key="hangs", limit_s=SOON_S)
    desk.call(desk.hang, key="works", limit_s=LONG_S)
    desk.enter()
    desk.enter()
    desk.call(lambda argument: argument, key="waits")

    answers = desk.answers(2)
    assert is_late(answers["hangs"])
    assert "waits" == answers["waits"]


def test_no_more_threads_hang_than_may_be_at_work_twice(desk: Desk) -> None:
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


def test_a_key_is_not_called_again_while_it_waits_works_or_hangs(desk: Desk) -> None:
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
def test_who_cannot_take_an_answer_harms_nobody(desk: Desk) -> None:
    for key, error in enumerate((ValueError("no"), SystemExit(1))):
        desk.crew.call("a", bytes([key]), str, 0, limit_s=LONG_S, done=lambda _, error=error: fail(error))  # type: ignore[misc]
    desk.crew.call("hung", b"h", desk.hang, 0, limit_s=SOON_S, done=lambda _: fail(ValueError("no")))
    desk.call(desk.hang, key="late", limit_s=2 * SOON_S)

    assert is_late(desk.answer()[1])
    desk.call(lambda argument: argument, key="works")
    desk.gate.set()
    assert ("works", "works") == desk.answer()


def test_an_idle_crew_has_no_threads(desk: Desk) -> None:
    for key in range(6):
        desk.call(lambda argument: argument, key=key, limit_s=SOON_S)
    desk.answers(6)
    desk.rest()
    desk.call(lambda argument: argument, key="again", limit_s=SOON_S)
    desk.answer()
    desk.rest()


def test_closing_answers_those_who_wait_and_lets_those_at_work_finish(desk: Desk) -> None:
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


def test_closing_leaves_those_that_hang_to_their_limits(desk: Desk) -> None:
    desk.call(desk.hang, limit_s=SOON_S)
    desk.enter()
    desk.crew.close()
    assert is_late(desk.answer()[1])


def test_a_call_for_which_no_thread_can_be_had_is_answered(desk: Desk) -> None:
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
def test_callers_on_many_threads_get_all_their_answers(desk: Desk) -> None:
    def ask(thread: int) -> None:
        for number in range(50):
            desk.call(lambda argument: argument, key=(thread, number), kind="ab"[number % 2])

    at_once(*(partial(ask, thread) for thread in range(4)))
    assert {(thread, number): (thread, number) for thread in range(4) for number in range(50)} == desk.answers(200)


# Coroutines.


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


async def double(argument: int) -> int:
    await asyncio.sleep(0)
    return argument * 2


async def raises(error: BaseException, _argument: object) -> None:
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize("is_given", [False, True], ids=["its own loop", "a given loop"])
def test_coroutine_functions_and_whatever_can_be_awaited_are_awaited(is_given: bool) -> None:  # noqa: FBT001
    class Later:
        def __await__(self) -> Any:
            return double(5).__await__()

    with running_loop() as loop, desk_of(loop=loop if is_given else None) as desk:

        async def here(_argument: object) -> bool:
            return asyncio.get_running_loop() is loop

        desk.call(double, key=21)
        desk.call(lambda _: Later(), key="later")
        desk.call(here, key="here")
        errors = [ValueError("no"), TimeoutError("its own"), KeyboardInterrupt(), SystemExit(1)]
        for error in errors:
            desk.call(partial(raises, error), key=repr(error))
        expected: dict[Any, Any] = {21: 42, "later": 10, "here": is_given, **{repr(error): error for error in errors}}
        answers = desk.answers(len(expected))
        assert {key: repr(answer) for key, answer in expected.items()} == {
            key: repr(answer) for key, answer in answers.items()
        }
        desk.call(double, key=3)
        assert (3, 6) == desk.answer()


def test_a_coroutine_is_cancelled_at_its_limit_and_then_hangs_no_more() -> None:
    with desk_of(at_once=2) as desk:
        for key in range(6):
            desk.call(desk.hang_on, key=key, limit_s=SOON_S)
        answers = desk.answers(6)
        assert all(is_late(answer) for answer in answers.values())
        assert {} == desk.crew.hanging()
        desk.call(double, key=0)
        assert (0, 0) == desk.answer()


def test_a_coroutine_that_does_not_heed_its_cancellation_hangs_until_it_ends() -> None:
    with desk_of() as desk:

        async def stubborn(argument: object) -> object:
            desk.entered.put(argument)
            while not desk.gate.is_set():
                try:
                    await asyncio.get_running_loop().run_in_executor(None, desk.gate.wait)
                except asyncio.CancelledError:
                    desk.entered.put("cancelled")
            return argument

        desk.call(stubborn, key="k", limit_s=SOON_S)
        assert ("k", "cancelled") == (desk.enter(), desk.enter())
        assert is_late(desk.answer()[1])
        assert {"a": 1} == desk.crew.hanging()
        desk.call(stubborn, key="k")
        assert "the last call of it has not come back" == str(desk.answer()[1])


def test_a_coroutine_that_blocks_the_loop_is_answered_for_and_plain_functions_go_on() -> None:
    with desk_of() as desk:

        async def blocks(argument: object) -> object:
            return desk.hang(argument)

        desk.call(blocks, key="blocks", limit_s=SOON_S)
        desk.enter()
        desk.call(double, key=1, limit_s=SOON_S)
        desk.call(lambda argument: argument, key="plain")
        answers = desk.answers(3)
        assert (True, True, "plain") == (is_late(answers["blocks"]), is_late(answers[1]), answers["plain"])


def test_closing_ends_the_coroutines_on_its_own_loop_and_the_loop() -> None:
    with desk_of() as desk:
        ended: SimpleQueue[object] = SimpleQueue()

        async def waits(argument: object) -> None:
            try:
                await desk.hang_on(argument)
            finally:
                ended.put(argument)

        desk.call(waits, key="k")
        desk.enter()
        desk.crew.close()
        assert "k" == ended.get(timeout=PATIENCE_S)
        assert "CancelledError" in repr(desk.answer()[1])
        desk.rest()


def test_a_loop_that_has_been_closed_answers_with_an_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with desk_of(loop=loop) as desk:
        desk.call(double, key=1)
        assert isinstance(desk.answer()[1], RuntimeError)


def test_a_loop_that_does_not_run_is_no_reason_to_wait_longer() -> None:
    loop = asyncio.new_event_loop()
    with desk_of(loop=loop) as desk:
        desk.call(double, key=1, limit_s=SOON_S)
        assert is_late(desk.answer()[1])
        loop.call_soon(desk.crew.close)
        loop.run_until_complete(_turns(10))
    loop.close()


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_a_function_that_hangs_returns_late_is_not_awaited() -> None:
    with desk_of() as desk:
        begun = threading.Event()

        async def work() -> None:
            begun.set()

        def late(argument: object) -> Awaitable[None]:
            desk.hang(argument)
            return work()

        desk.call(late, limit_s=SOON_S)
        assert is_late(desk.answer()[1])
        desk.rest()
        assert not begun.is_set()
