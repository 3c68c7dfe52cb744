"""How a dispatcher ends: what is ready is run, and whoever becomes ready too late is told so."""

import threading

import pytest

from tallystick.actors.dispatcher import Dispatcher
from tests.actors.conftest import StartDispatcher
from tests.actors.parts import PATIENCE_S, HandClock, Job, at_once, fail, reached


def test_stopping_runs_what_is_ready_first_and_what_that_makes_ready(start_dispatcher: StartDispatcher) -> None:
    dispatcher = start_dispatcher()
    arrived, gate = threading.Event(), threading.Event()
    ran: list[str] = []

    def block() -> None:
        arrived.set()
        assert reached(gate)

    def go_on() -> None:
        ran.append("ready")
        dispatcher.schedule(Job(lambda: ran.append("then")))

    dispatcher.schedule(Job(block))
    assert reached(arrived)
    dispatcher.schedule(Job(go_on))
    in_time = dispatcher.stop(0.001)
    gate.set()

    assert [False, True] == [in_time, dispatcher.stop(PATIENCE_S)]
    assert ["ready", "then"] == ran


def test_stopping_runs_all_that_is_ready_also_when_a_turn_does_not_hold_it(
    start_dispatcher: StartDispatcher,
) -> None:
    ran: list[int] = []
    turn: list[int] = []
    dispatcher = start_dispatcher(end_turn=turn.clear, is_full=lambda: len(turn) >= 2)
    arrived, gate = threading.Event(), threading.Event()

    def block() -> None:
        arrived.set()
        assert reached(gate)

    def run(number: int) -> None:
        turn.append(number)
        ran.append(number)

    dispatcher.schedule(Job(block))
    assert reached(arrived)
    for number in range(9):
        dispatcher.schedule(Job(lambda number=number: run(number)))  # type: ignore[misc]
    dispatcher.stop(0)
    gate.set()

    assert dispatcher.stop(PATIENCE_S)
    assert list(range(9)) == ran


class Interrupted(Dispatcher):
    """A dispatcher to which somebody becomes ready in the moment in which it goes to rest."""

    def __init__(self, job: Job) -> None:
        super().__init__("interrupted", HandClock())
        self._job: Job | None = job

    def _rest(self) -> bool:
        job, self._job = self._job, None
        if job is not None:
            self.schedule(job)
        return super()._rest()


@pytest.mark.parametrize("stopping", [False, True])
def test_who_becomes_ready_when_it_goes_to_rest_is_run(stopping: bool) -> None:  # noqa: FBT001
    ran = threading.Event()
    dispatcher = Interrupted(Job(ran.set))
    if stopping:
        dispatcher._stopping = True  # noqa: SLF001 - before it starts
    dispatcher.start()

    assert reached(ran)
    assert dispatcher.stop(PATIENCE_S)


def test_after_the_end_nobody_runs_and_whoever_becomes_ready_is_told(start_dispatcher: StartDispatcher) -> None:
    ends: list[str] = []
    dispatcher = start_dispatcher(at_end=lambda: ends.append("end"))
    assert dispatcher.stop(PATIENCE_S)
    jobs = [Job(lambda: fail(AssertionError("it ran"))) for _ in range(3)]
    for job in jobs:
        dispatcher.schedule(job)
    otherwise = threading.Event()
    dispatcher.call_soon(lambda: fail(AssertionError("it ran")), otherwise.set)
    dispatcher.call_soon(lambda: fail(AssertionError("it ran")))

    assert [1, 1, 1] == [job.abandoned for job in jobs]
    assert otherwise.is_set()
    assert dispatcher.stop(PATIENCE_S)
    assert ["end"] == ends
    assert 0 == dispatcher.backlog()


def test_what_is_ready_when_it_was_never_started_is_abandoned() -> None:
    ends: list[str] = []
    dispatcher, job = Dispatcher("never", HandClock(), at_end=lambda: ends.append("end")), Job()
    dispatcher.schedule(job)

    assert [True, True] == [dispatcher.stop(0), dispatcher.stop(0)]
    assert (1, ["end"]) == (job.abandoned, ends)


@pytest.mark.usefixtures("trouble")
def test_who_fails_when_abandoned_keeps_nobody_from_being_told(start_dispatcher: StartDispatcher) -> None:
    class Failing(Job):
        def abandon(self) -> None:
            super().abandon()
            raise SystemExit

    dispatcher = start_dispatcher(at_end=lambda: fail(SystemExit()))
    assert dispatcher.stop(PATIENCE_S)
    jobs = [Failing(), Job()]
    for job in jobs:
        dispatcher.schedule(job)

    assert [1, 1] == [job.abandoned for job in jobs]


@pytest.mark.usefixtures("trouble")
def test_a_clock_that_fails_ends_the_thread_and_whoever_becomes_ready_is_told(
    start_dispatcher: StartDispatcher,
) -> None:
    ended = threading.Event()
    dispatcher = start_dispatcher(clock=lambda: fail(OSError("no time")), at_end=ended.set)
    dispatcher.call_soon(lambda: dispatcher.call_at(1, lambda: None))
    assert reached(ended)
    assert dispatcher.stop(PATIENCE_S)
    job = Job()
    dispatcher.schedule(job)

    assert 1 == job.abandoned


@pytest.mark.usefixtures("restless")
def test_everybody_who_becomes_ready_is_run_or_abandoned_once_in_the_race_with_the_end(
    start_dispatcher: StartDispatcher,
) -> None:
    def race() -> list[int]:
        dispatcher, ran = start_dispatcher(), list[int]()
        jobs = [Job(lambda number=number: ran.append(number)) for number in range(60)]  # type: ignore[misc]

        def schedule(part: int) -> bool:
            for job in jobs[part::3]:
                dispatcher.schedule(job)
            return True

        at_once(lambda: dispatcher.stop(PATIENCE_S), lambda: schedule(0), lambda: schedule(1), lambda: schedule(2))
        return ran + [number for number, job in enumerate(jobs) for _ in range(job.abandoned)]

    for _ in range(40):
        assert list(range(60)) == sorted(race())
