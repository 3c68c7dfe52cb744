"""The dispatcher runs whoever is ready, in turns, wakes for everybody, and outlives what goes wrong in a turn."""

import threading
from queue import SimpleQueue

import pytest

from tallystick.actors.dispatcher import Dispatcher
from tests.actors.conftest import StartDispatcher
from tests.actors.parts import PATIENCE_S, HandClock, HandDispatcher, Job, at_once, fail, reached

LONG_S = 1_000.0


def test_actors_run_in_the_order_in_which_they_became_ready_on_one_thread(dispatcher: Dispatcher) -> None:
    ran: list[int] = []
    threads: set[threading.Thread] = set()
    done = threading.Event()

    def run(number: int) -> None:
        ran.append(number)
        threads.add(threading.current_thread())
        if number == 99:
            done.set()

    for number in range(100):
        dispatcher.schedule(Job(lambda number=number: run(number)))  # type: ignore[misc]

    assert reached(done)
    assert list(range(100)) == ran
    assert 1 == len(threads)
    assert threading.current_thread() not in threads


def test_it_knows_its_own_thread(dispatcher: Dispatcher) -> None:
    answers: SimpleQueue[bool] = SimpleQueue()
    dispatcher.call_soon(lambda: answers.put(dispatcher.is_current_thread()))

    assert answers.get(timeout=PATIENCE_S) is True
    assert dispatcher.is_current_thread() is False


def test_a_turn_ends_when_nobody_is_ready_or_when_it_is_full() -> None:
    told: list[str] = []
    hand = HandDispatcher(
        "hand", HandClock(), end_turn=lambda: told.append("end"), is_full=lambda: told[-2:] == ["ran", "ran"]
    )
    for _ in range(5):
        hand.schedule(Job(lambda: told.append("ran")))
    backlogs = [hand.backlog()]
    for _ in range(3):
        hand.turn()
        backlogs.append(hand.backlog())

    assert ["ran", "ran", "end", "ran", "ran", "end", "ran", "end"] == told
    assert [5, 3, 1, 0] == backlogs


def test_while_the_end_of_a_turn_blocks_the_next_turn_fills(start_dispatcher: StartDispatcher) -> None:
    turns: list[int] = []
    ran: list[int] = []
    arrived, gate, done = threading.Event(), threading.Event(), threading.Event()

    def end_turn() -> None:
        if ran:
            turns.append(len(ran))
            ran.clear()
            arrived.set()
            assert reached(gate)
        if sum(turns) == 11:
            done.set()

    dispatcher = start_dispatcher(end_turn=end_turn)
    dispatcher.schedule(Job(lambda: ran.append(0)))
    assert reached(arrived)
    for number in range(10):
        dispatcher.schedule(Job(lambda number=number: ran.append(number)))  # type: ignore[misc]
    gate.set()

    assert reached(done)
    assert [1, 10] == turns


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit()])
def test_what_an_actor_raises_ends_neither_the_turn_nor_the_thread(
    start_dispatcher: StartDispatcher, error: BaseException
) -> None:
    ended, again = threading.Event(), threading.Event()
    hand = HandDispatcher("hand", HandClock(), end_turn=ended.set)
    hand.schedule(Job(lambda: fail(error)))
    hand.schedule(Job(again.set))
    hand.turn()

    assert again.is_set()
    assert ended.is_set()
    dispatcher, once_more = start_dispatcher(), threading.Event()
    dispatcher.schedule(Job(lambda: fail(error)))
    dispatcher.schedule(Job(once_more.set))
    assert reached(once_more)


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit()])
def test_what_the_end_of_a_turn_raises_does_not_end_the_thread(
    start_dispatcher: StartDispatcher, error: BaseException
) -> None:
    again = threading.Event()
    dispatcher = start_dispatcher(end_turn=lambda: fail(error))
    for _ in range(3):
        ran = threading.Event()
        dispatcher.schedule(Job(ran.set))
        assert reached(ran)
    dispatcher.schedule(Job(again.set))

    assert reached(again)


def test_timers_fire_in_the_order_of_their_times_and_not_before() -> None:
    clock = HandClock(1_000)
    hand = HandDispatcher("hand", clock)
    fired: list[str] = []
    for at_ms, name in [(1_300, "late"), (1_100, "first"), (1_200, "second"), (1_100, "first, asked for later")]:
        hand.call_at(at_ms, lambda name=name: fired.append(name))  # type: ignore[misc]
    seen: list[list[str]] = []
    for ms in (0, 99, 1, 100, 99):
        clock.advance(ms)
        hand.turn()
        seen.append(list(fired))
    clock.advance(1)
    hand.turn()
    hand.turn()

    firsts = ["first", "first, asked for later"]
    assert [[], [], firsts, [*firsts, "second"], [*firsts, "second"]] == seen
    assert [*firsts, "second", "late"] == fired


def test_a_timer_wakes_the_thread_when_its_time_has_come(start_dispatcher: StartDispatcher) -> None:
    clock, fired = HandClock(), threading.Event()
    dispatcher = start_dispatcher(clock=clock)

    def turn_the_clock() -> None:
        dispatcher.call_at(clock() + 5, fired.set)
        clock.advance(5)

    dispatcher.call_soon(turn_the_clock)

    assert reached(fired)


def test_the_thread_looks_at_the_clock_again_when_the_time_should_have_come(start_dispatcher: StartDispatcher) -> None:
    """A hand clock stands still; the thread comes back after the 2 ms that were left, and again, until it moves."""
    clock, fired, asked = HandClock(), threading.Event(), threading.Semaphore(0)

    def slow_clock() -> int:
        asked.release()
        return clock()

    dispatcher = start_dispatcher(clock=slow_clock)
    dispatcher.call_soon(lambda: dispatcher.call_at(clock() + 2, fired.set))
    for _ in range(6):
        assert asked.acquire(timeout=PATIENCE_S)
    before = fired.is_set()
    clock.advance(2)

    assert not before
    assert reached(fired)


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit()])
def test_a_timer_that_raises_keeps_the_others_going(start_dispatcher: StartDispatcher, error: BaseException) -> None:
    clock, fired, ran = HandClock(), threading.Event(), threading.Event()
    dispatcher = start_dispatcher(clock=clock)

    def ask() -> None:
        dispatcher.call_at(clock(), lambda: fail(error))
        dispatcher.call_at(clock(), fired.set)

    dispatcher.call_soon(ask)

    assert reached(fired)
    dispatcher.schedule(Job(ran.set))
    assert reached(ran)


def test_with_linger_one_turn_takes_all_that_comes_meanwhile() -> None:
    lingers = threading.Event()
    turns: SimpleQueue[int] = SimpleQueue()
    ran: list[int] = []

    class Watched(Dispatcher):
        def _wait(self, seconds: float) -> None:
            if seconds == LONG_S:
                lingers.set()
            super()._wait(seconds)

    def end_turn() -> None:
        if ran:
            turns.put(len(ran))
            ran.clear()

    dispatcher = Watched("watched", HandClock(), end_turn=end_turn, linger_s=LONG_S)
    dispatcher.start()
    while not lingers.wait(0.01):  # it does not when it was just about to look at who is ready
        dispatcher.schedule(Job())
    for number in range(5):
        dispatcher.schedule(Job(lambda number=number: ran.append(number)))  # type: ignore[misc]
    dispatcher.hurry()

    assert 5 == turns.get(timeout=PATIENCE_S)
    assert dispatcher.stop(PATIENCE_S)
    assert turns.empty()


def test_with_linger_a_turn_begins_when_its_time_is_over(start_dispatcher: StartDispatcher) -> None:
    dispatcher, ran = start_dispatcher(linger_s=0.001), threading.Event()
    dispatcher.schedule(Job(ran.set))

    assert reached(ran)


def test_stopping_ends_the_lingering_too(start_dispatcher: StartDispatcher) -> None:
    dispatcher, ran = start_dispatcher(linger_s=LONG_S), threading.Event()
    dispatcher.schedule(Job(ran.set))

    assert dispatcher.stop(PATIENCE_S)
    assert ran.is_set()


@pytest.mark.usefixtures("restless")
def test_hurry_is_never_lost_however_it_meets_the_lingering(start_dispatcher: StartDispatcher) -> None:
    dispatcher = start_dispatcher(linger_s=LONG_S)

    def hurry() -> int:
        for _ in range(300):
            ran = threading.Event()
            dispatcher.schedule(Job(ran.set))
            dispatcher.hurry()
            assert reached(ran)
        return 300

    assert [300, 300] == at_once(hurry, hurry)


@pytest.mark.usefixtures("restless")
def test_no_wake_up_is_lost_between_many_threads_and_the_dispatchers_rest(
    start_dispatcher: StartDispatcher,
) -> None:
    """Every thread waits for its own job before it schedules the next, so the dispatcher rests again and again."""
    dispatcher, each = start_dispatcher(), 1_000

    def schedule() -> int:
        ran = threading.Semaphore(0)
        job = Job(ran.release)
        count = 0
        for _ in range(each):
            dispatcher.schedule(job)
            count += ran.acquire(timeout=PATIENCE_S)
        return count

    assert [each] * 4 == at_once(schedule, schedule, schedule, schedule)
