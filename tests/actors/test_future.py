"""The future keeps Pykka's promises, and answers everybody who waits, whenever they came."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pykka
import pytest

from tallystick.actors.future import LightFuture
from tests.actors.parts import PATIENCE_S, at_once

TIMES = 200


class BoomError(Exception):
    """Something that an actor raised."""


@pytest.fixture(params=[LightFuture, pykka.ThreadingFuture])
def future(request: pytest.FixtureRequest) -> "pykka.Future[object]":
    """Ours, and Pykka's own: what is asked here of both, Pykka documents."""
    made: pykka.Future[object] = request.param()
    return made


def raised(future: "pykka.Future[object]") -> BaseException:
    with pytest.raises(BoomError) as caught:
        future.get(timeout=PATIENCE_S)
    return caught.value


def test_what_was_set_can_be_got_again_and_again(future: "pykka.Future[object]") -> None:
    future.set("seven")

    assert ["seven", "seven"] == [future.get(), future.get(timeout=0)]


def test_nothing_is_an_answer_too(future: "pykka.Future[object]") -> None:
    future.set()

    assert future.get(timeout=0) is None


@pytest.mark.parametrize("timeout", [0, 0.001, -1])
def test_waiting_in_vain_times_out(future: "pykka.Future[object]", timeout: float) -> None:
    with pytest.raises(pykka.Timeout):
        future.get(timeout=timeout)


def test_an_answer_after_a_timeout_is_still_got(future: "pykka.Future[object]") -> None:
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0)
    future.set(7)

    assert 7 == future.get(timeout=0)


def test_who_gave_up_waiting_leaves_nothing_behind() -> None:
    future = LightFuture()
    for _ in range(3):
        with pytest.raises(pykka.Timeout):
            future.get(timeout=0)

    assert [] == future._waiters  # noqa: SLF001 - nobody else can tell


def test_an_exception_is_raised_as_it_was_with_its_trace(future: "pykka.Future[object]") -> None:
    error = BoomError("boom")
    try:
        raise error
    except BoomError:
        future.set_exception()

    assert raised(future) is error
    assert [raised(future).__traceback__ is not None] == [True]
    names = [frame.name for frame in pytest.ExceptionInfo.from_exception(raised(future)).traceback]
    assert "test_an_exception_is_raised_as_it_was_with_its_trace" in names


def test_an_exception_may_be_given_as_a_triple_with_or_without_its_instance(future: "pykka.Future[object]") -> None:
    future.set_exception((BoomError, None, None))

    assert isinstance(raised(future), BoomError)


def test_raising_again_and_again_does_not_pile_up_traces() -> None:
    future = LightFuture()
    future.fail(BoomError())

    def depth() -> int:
        return len(pytest.ExceptionInfo.from_exception(raised(future)).traceback)

    assert depth() == depth()


@pytest.mark.parametrize("second", ["set", "set_exception", "set_get_hook"])
@pytest.mark.parametrize("first", ["set", "set_exception"])
def test_a_second_answer_is_refused(future: "pykka.Future[object]", first: str, second: str) -> None:
    answers: dict[str, Callable[[], None]] = {
        "set": lambda: future.set(1),
        "set_exception": lambda: future.set_exception((BoomError, BoomError(), None)),
        "set_get_hook": lambda: future.set_get_hook(lambda _timeout: 3),
    }
    answers[first]()

    with pytest.raises(queue.Full):
        answers[second]()


@pytest.mark.parametrize("asked", [False, True])
def test_a_computed_answer_cannot_be_set(future: "pykka.Future[object]", asked: bool) -> None:  # noqa: FBT001
    future.set_get_hook(lambda _timeout: 3)
    if asked:
        assert 3 == future.get()

    with pytest.raises(queue.Full):
        future.set(1)
    with pytest.raises(queue.Full):
        future.set_exception((BoomError, BoomError(), None))
    assert 3 == future.get()


def test_a_computed_answer_is_computed_once_and_told_the_timeout(future: "pykka.Future[object]") -> None:
    timeouts: list[float | None] = []

    def compute(timeout: float | None) -> int:
        timeouts.append(timeout)
        return len(timeouts)

    future.set_get_hook(compute)

    assert [1, 1] == [future.get(timeout=3), future.get(timeout=4)]
    assert [3] == timeouts


def test_a_computation_that_fails_is_tried_anew(future: "pykka.Future[object]") -> None:
    answers = iter([BoomError(), 7])

    def compute(_timeout: float | None) -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    future.set_get_hook(compute)

    raised(future)
    assert 7 == future.get()


def test_futures_can_be_filtered_joined_mapped_and_reduced(future: "pykka.Future[object]") -> None:
    other = type(future)()
    numbers: pykka.Future[Any] = future
    derived: list[pykka.Future[Any]] = [
        numbers.filter(lambda number: number > 1),
        numbers.map(len),
        numbers.join(other),
        numbers.reduce(lambda total, number: total + number, 10),
    ]
    numbers.set([1, 2, 3])
    other.set("more")

    assert [[2, 3], 3, [[1, 2, 3], "more"], 16] == pykka.get_all(derived, timeout=0)
    assert [[1, 2, 3], "more"] == [numbers.get(), other.get()]


def test_a_derived_future_times_out_with_what_it_is_derived_from(future: "pykka.Future[object]") -> None:
    with pytest.raises(pykka.Timeout):
        future.map(str).get(timeout=0)


def test_a_coroutine_gets_the_answer(future: "pykka.Future[object]") -> None:
    future.set(7)
    steps = future.__await__()

    assert next(steps) is None
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert 7 == ended.value.value


def test_it_knows_whether_the_answer_is_there() -> None:
    waits, answered, failed = LightFuture(), LightFuture(), LightFuture()
    answered.set(1)
    failed.fail(BoomError())

    assert [False, True, True] == [future.is_done() for future in (waits, answered, failed)]


def test_a_callback_is_called_on_the_thread_that_answers() -> None:
    future = LightFuture()
    called: list[tuple[LightFuture, threading.Thread]] = []
    future.when_done(lambda answered: called.append((answered, threading.current_thread())))
    before = list(called)
    answering = threading.Thread(target=future.set)
    answering.start()
    answering.join(PATIENCE_S)

    assert [] == before
    assert [(future, answering)] == called


def test_a_callback_that_comes_late_is_called_at_once() -> None:
    future = LightFuture()
    future.set(1)
    called: list[LightFuture] = []
    future.when_done(called.append)

    assert [future] == called


def test_callbacks_are_called_in_their_order_when_an_error_is_the_answer() -> None:
    future = LightFuture()
    called: list[int] = []
    future.when_done(lambda _future: called.append(1))
    future.when_done(lambda _future: called.append(2))
    future.fail(BoomError())

    assert [1, 2] == called


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("error", [BoomError(), SystemExit()])
def test_a_callback_that_raises_keeps_nobody_from_the_answer(error: BaseException) -> None:
    future = LightFuture()
    called: list[object] = []

    def fail(_future: LightFuture) -> None:
        raise error

    future.when_done(fail)
    future.when_done(called.append)
    future.set(7)
    future.when_done(fail)

    assert [future] == called
    assert 7 == future.get(timeout=0)


def test_an_answer_that_comes_just_before_the_wait_is_not_waited_for() -> None:
    class Answering(LightFuture):
        """Is answered between the look whether there is an answer and the wait for it."""

        def _wait(self, timeout: float | None) -> None:
            self.set(7)
            super()._wait(timeout)

    got: list[int] = []
    future = Answering()
    waiting = threading.Thread(target=lambda: got.append(future.get()), daemon=True)
    waiting.start()
    waiting.join(PATIENCE_S)

    assert [7] == got


def test_a_callback_that_comes_just_before_the_answer_is_called_once() -> None:
    class Answering(list[Any]):
        """Takes in a callback, and then the answer comes."""

        def append(self, callback: object) -> None:
            super().append(callback)
            answered.set(7)

    called: list[LightFuture] = []
    answered = LightFuture()
    answered._callbacks = Answering()  # noqa: SLF001 - the moment between two steps
    answered.when_done(called.append)

    assert [answered] == called


def test_who_gives_up_while_others_are_told_takes_nobodys_answer() -> None:
    class Quitter:
        """Somebody who waited first, and gives up when the others are told."""

        def release(self) -> None:
            waiters.remove(self)

    future = LightFuture()
    waiters: list[Any] = [Quitter()]
    future._waiters = waiters  # noqa: SLF001 - the moment between two steps
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(future.get()), daemon=True)
    waiting.start()
    while len(waiters) < 2:
        time.sleep(0)
    with suppress(ValueError):  # he has been taken out already
        future.set(7)
    waiting.join(PATIENCE_S)

    assert [7] == got


@pytest.mark.usefixtures("restless")
def test_whoever_waits_when_the_answer_comes_gets_it() -> None:
    futures = [LightFuture() for _ in range(TIMES)]
    called: list[LightFuture] = []

    def answer() -> list[object]:
        for number, future in enumerate(futures):
            future.set(number)
        return list(range(TIMES))

    def wait() -> list[object]:
        return [future.get(timeout=PATIENCE_S) for future in futures]

    def listen() -> list[object]:
        for future in futures:
            future.when_done(called.append)
        return list(range(TIMES))

    assert [list(range(TIMES))] * 6 == at_once(answer, wait, wait, wait, listen, listen)
    assert 2 * TIMES == len(called)
    assert set(futures) == set(called)


@pytest.mark.usefixtures("restless")
def test_who_gives_up_waiting_does_not_take_anothers_answer() -> None:
    futures = [LightFuture() for _ in range(TIMES)]

    def answer() -> int:
        for future in futures:
            future.set(1)
        return TIMES

    def wait() -> int:
        return sum(future.get(timeout=PATIENCE_S) for future in futures)

    def hesitate() -> int:
        answers = 0
        for future in futures:
            while not answers:
                try:
                    answers = future.get(timeout=0)
                except pykka.Timeout:
                    continue
            answers = 0
        return TIMES

    assert [TIMES] * 5 == at_once(hesitate, wait, hesitate, wait, answer)
