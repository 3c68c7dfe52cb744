"""The system: how it starts and ends, and that whoever sends meanwhile is answered truly."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pykka import ActorRegistry

from tallystick.actors.future import LightFuture
from tallystick.actors.stream import AwaitEnd
from tallystick.actors.system import System
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import Busy, Closed, NotFound
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import TaskProgressed, TaskStarted, TaskSucceeded
from tallystick.ledger.ids import new_id
from tallystick.ledger.limits import INBOX_DEPTH_MAX, PROGRESS_MS_MIN
from tallystick.ledger.record import TaskRecord
from tests.actors.parts import (
    PATIENCE_S,
    STREAMS,
    FullLog,
    GatedLog,
    HandClock,
    at_once,
    facts,
    folded,
    full,
    outcome,
    refusal,
    send,
)
from tests.story import created

ONE, TWO = STREAMS[:2]
START, DONE = TaskStarted(), TaskSucceeded(summary="done")
CLOSED = refusal(Closed())


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def log() -> FullLog:
    return FullLog()


@pytest.fixture
def system(log: FullLog, clock: HandClock) -> Iterator[System]:
    system = System(log, [], clock)
    system.start()
    yield system
    assert system.close(PATIENCE_S)


@pytest.fixture
def slow() -> Iterator[tuple[GatedLog, System]]:
    """A system whose disk waits for a gate."""
    log = GatedLog()
    system = System(log, [], HandClock())
    system.start()
    yield log, system
    log.gate.set()
    assert system.close(PATIENCE_S) in (True, False)


def put(system: System, stream: bytes, data: AnyFact | AwaitEnd, *, newborn: bool = False) -> LightFuture:
    """Send through the system, as the faces do."""
    future = LightFuture()
    actor = system.newborn(stream) if newborn else system.actor(stream)
    system.send(actor, data if isinstance(data, AwaitEnd) else Command(data, "agent"), future)
    return future


def tally_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tallystick-")]


def test_importing_starts_no_thread_and_making_a_system_starts_none_either() -> None:
    script = (
        "import threading, tallystick.actors.system as s, tallystick.ledger.store.memory as m, pykka\n"
        "system = s.System(m.MemoryLog(), [], lambda: 0)\n"
        "print(threading.active_count(), len(pykka.ActorRegistry.get_all()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert "1 0\n" == done.stdout


def test_starting_begins_two_threads_and_closing_ends_them(log: FullLog) -> None:
    system = System(log, [], HandClock())
    before = tally_threads()
    system.start()
    while_it_runs = tally_threads()
    closed = system.close(PATIENCE_S)

    assert [[], ["tallystick-facts", "tallystick-views"], []] == [before, while_it_runs, tally_threads()]
    assert closed
    assert [] == ActorRegistry.get_all()


def test_a_system_that_was_never_started_can_be_closed(log: FullLog) -> None:
    system = System(log, [], HandClock())
    future = put(system, ONE, created())

    assert [True, CLOSED] == [system.close(PATIENCE_S), outcome(future)]


def test_what_is_sent_is_decided_and_answered(system: System, log: FullLog) -> None:
    futures = [put(system, ONE, created(), newborn=True), put(system, ONE, DONE), put(system, TWO, START)]

    assert [1, 3] == [outcome(future).version for future in futures[:2]]
    assert NotFound == outcome(futures[2])[0]
    assert folded(log, ONE) == outcome(put(system, ONE, AwaitEnd()))


def test_after_the_close_nothing_is_taken(system: System, log: FullLog) -> None:
    actor = system.newborn(ONE)
    open_before = system.is_closed()
    system.close(PATIENCE_S)

    assert [False, True] == [open_before, system.is_closed()]
    attempts: list[Callable[[], None]] = [
        lambda: system.send(actor, Command(created(), "agent"), LightFuture()),
        lambda: system.reach(0, 1),
        system.sweep,
    ]
    for refused in attempts:
        with pytest.raises(Closed):
            refused()
    assert 0 == log.head()


def test_closing_twice_is_closing_once_also_at_the_same_time(slow: tuple[GatedLog, System]) -> None:
    log, system = slow
    future = put(system, ONE, created(), newborn=True)
    log.arrived.get(timeout=PATIENCE_S)

    def close() -> tuple[bool, bool]:
        return system.close(PATIENCE_S), future.is_done()

    def open_the_gate() -> tuple[bool, bool]:
        log.gate.set()
        return True, True

    assert [(True, True)] * 3 == at_once(close, close, open_the_gate)
    assert system.close(PATIENCE_S)


def test_closing_commits_and_answers_what_was_accepted(slow: tuple[GatedLog, System]) -> None:
    log, system = slow
    futures = [put(system, stream, created(), newborn=True) for stream in STREAMS]
    log.arrived.get(timeout=PATIENCE_S)
    futures += [put(system, stream, DONE) for stream in STREAMS]
    log.gate.set()

    assert system.close(PATIENCE_S)
    assert [1] * len(STREAMS) + [3] * len(STREAMS) == [outcome(future).version for future in futures]
    assert 3 * len(STREAMS) == log.head()


def test_a_close_that_takes_too_long_says_so_and_everybody_is_answered_in_the_end(
    slow: tuple[GatedLog, System], caplog: pytest.LogCaptureFixture
) -> None:
    log, system = slow
    futures = [put(system, ONE, created(), newborn=True)]
    log.arrived.get(timeout=PATIENCE_S)
    futures.append(put(system, TWO, created(), newborn=True))
    in_time = system.close(0.001)
    log.gate.set()

    assert not in_time
    assert [1, 1] == [outcome(future).version for future in futures]
    assert ["close_timed_out"] == [record.message for record in caplog.records]


def test_closing_writes_the_progress_that_was_held_back(system: System, log: FullLog) -> None:
    progress = [TaskProgressed(message=str(number)) for number in range(3)]
    told: list[AnyFact] = [created(), START, *progress]
    for data in told:
        outcome(put(system, ONE, data))
    assert system.close(PATIENCE_S)

    assert [progress[0], TaskProgressed(message="2", count=2)] == facts(log, ONE)[2:]


def test_closing_writes_the_progress_that_came_behind_it_too(slow: tuple[GatedLog, System]) -> None:
    """What is accepted just before the close is decided behind the release of what was held back."""
    log, system = slow
    log.gate.set()
    progress = [TaskProgressed(message=str(number)) for number in range(2)]
    begin: list[AnyFact] = [created(), START, progress[0]]
    for data in begin:
        outcome(put(system, ONE, data))
    log.gate.clear()
    put(system, TWO, created(), newborn=True)
    assert [1] * 4 == [log.arrived.get(timeout=PATIENCE_S) for _ in range(4)]  # the last waits at the gate
    closing = threading.Thread(target=system.close, args=(PATIENCE_S,))
    closing.start()
    while not system.dispatcher.backlog():
        time.sleep(0)
    future = send(system.actor(ONE), progress[1])  # as of somebody who was let in before the close
    log.gate.set()
    closing.join(PATIENCE_S)

    assert isinstance(outcome(future), TaskRecord)
    assert progress == facts(log, ONE)[2:]


def test_who_awaits_an_end_that_has_not_come_is_told_that_it_is_over(system: System) -> None:
    outcome(put(system, ONE, created()))
    futures = [put(system, ONE, AwaitEnd()) for _ in range(2)]
    assert system.close(PATIENCE_S)

    assert [CLOSED, CLOSED] == [outcome(future) for future in futures]


def test_a_full_inbox_says_busy_and_takes_commands_again(slow: tuple[GatedLog, System]) -> None:
    log, system = slow
    first = put(system, ONE, created(), newborn=True)
    log.arrived.get(timeout=PATIENCE_S)
    waiting = [put(system, ONE, START) for _ in range(INBOX_DEPTH_MAX)]
    with pytest.raises(Busy):
        put(system, ONE, DONE)
    log.gate.set()

    assert {2} == {outcome(future).version for future in waiting}
    assert [1, 3] == [outcome(first).version, outcome(put(system, ONE, DONE)).version]


def test_a_ledger_in_which_too_many_wait_says_busy_and_takes_commands_again(
    slow: tuple[GatedLog, System], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.actors.system.ACTORS_READY_MAX", 5)
    log, system = slow
    put(system, ONE, created(), newborn=True)
    log.arrived.get(timeout=PATIENCE_S)
    waiting = [put(system, stream, created(), newborn=True) for stream in STREAMS[1:6]]
    with pytest.raises(Busy) as caught:
        put(system, STREAMS[6], created(), newborn=True)
    log.gate.set()

    assert [1] * 5 == [outcome(future).version for future in waiting]
    assert 5 == caught.value.depth
    assert 1 == outcome(put(system, STREAMS[6], created())).version


def test_a_sweep_writes_what_was_held_back_and_waits_for_it(system: System, log: FullLog) -> None:
    for data in (created(), START, TaskProgressed(message="1"), TaskProgressed(message="2")):
        outcome(put(system, ONE, data))
    before = log.head()
    system.sweep()

    assert [3, 4] == [before, log.head()]


def test_a_sweep_that_meets_the_end_says_so(system: System) -> None:
    assert system.dispatcher.stop(PATIENCE_S)

    with pytest.raises(Closed):
        system.sweep()


def test_a_sweep_that_cannot_write_says_why(system: System, log: FullLog) -> None:
    for data in (created(), START, TaskProgressed(message="1"), TaskProgressed(message="2")):
        outcome(put(system, ONE, data))
    log.failures.append(full())

    with pytest.raises(type(full())):
        system.sweep()


def test_held_progress_is_written_when_its_time_has_come(system: System, log: FullLog, clock: HandClock) -> None:
    written = threading.Event()
    for data in (created(), START, TaskProgressed(message="1"), TaskProgressed(message="2")):
        outcome(put(system, ONE, data))
    system.listen(lambda position: written.set() if position == 4 else None)
    clock.advance(PROGRESS_MS_MIN)
    system.dispatcher.call_soon(lambda: None)  # nobody told the thread that the hand clock has moved

    assert written.wait(PATIENCE_S)
    assert TaskProgressed(message="2") == facts(log, ONE)[-1]


def test_listeners_hear_of_every_commit_until_they_leave(system: System) -> None:
    heard: list[int] = []
    leave = system.listen(heard.append)
    positions = [outcome(put(system, stream, created())).position for stream in STREAMS[:3]]
    system.sweep()
    leave()
    outcome(put(system, ONE, START))
    system.sweep()

    assert [1, 2, 3] == positions == heard


@pytest.mark.usefixtures("trouble")
def test_a_listener_that_fails_keeps_no_other_from_hearing(system: System) -> None:
    def fail(_position: int) -> None:
        raise RuntimeError("boom")

    heard: list[int] = []
    system.listen(fail)
    system.listen(heard.append)
    for stream in STREAMS[:2]:
        outcome(put(system, stream, created()))
    outcome(put(system, ONE, DONE))
    system.sweep()

    assert [1, 2, 4] == heard
    assert ONE not in system.directory._actors  # noqa: SLF001 - the end of the turn went on to its end


@pytest.mark.usefixtures("restless")
def test_whoever_sends_while_it_closes_is_answered_truly() -> None:
    """A record means that it is in the log, `Closed` that it is not; nobody waits for ever."""
    for delay in range(12):
        log = FullLog()
        system = System(log, [], HandClock(), live_max=3, batch_events_max=7)
        system.start()
        started = threading.Barrier(4)

        def create(system: System = system, started: threading.Barrier = started) -> list[tuple[bytes, object]]:
            futures: list[tuple[bytes, LightFuture]] = []
            started.wait(PATIENCE_S)
            refused = 0
            while not refused:
                stream = new_id()
                if len(futures) > 40:  # many on their way, not all that memory holds
                    futures[-40][1].get(timeout=PATIENCE_S)
                for data in (created(), START, TaskProgressed(message="on"), TaskProgressed(message="and on")):
                    try:
                        futures.append((stream, put(system, stream, data)))
                    except Closed:
                        refused += 1
            return [(stream, outcome(future)) for stream, future in futures]

        def close(
            system: System = system, started: threading.Barrier = started, log: FullLog = log, delay: int = delay
        ) -> list[tuple[bytes, object]]:
            started.wait(PATIENCE_S)
            while log.head() < 10 * delay:
                time.sleep(0)
            assert system.close(PATIENCE_S)
            return []

        answers = [pair for pairs in at_once(close, create, create, create) for pair in pairs]

        by_stream: dict[bytes, list[object]] = {}
        for stream, answer in answers:
            by_stream.setdefault(stream, []).append(answer)
        for stream, told in by_stream.items():
            accepted = [answer for answer in told if isinstance(answer, TaskRecord)]
            assert told[len(accepted) :] == [CLOSED] * (len(told) - len(accepted))
            record = folded(log, stream)
            assert (record.progress_count if record else None) == {3: 1, 4: 2}.get(len(accepted))
            assert min(len(accepted), 3) == len(
                [fact for fact in facts(log, stream) if not isinstance(fact, TaskProgressed) or fact.message == "on"]
            )
        assert sum(1 for _ in log.read()) == log.head()


@pytest.mark.usefixtures("restless")
def test_whoever_awaits_an_end_or_sweeps_while_it_closes_is_answered() -> None:
    for _ in range(12):
        system = System(FullLog(), [], HandClock())
        system.start()
        outcome(put(system, ONE, created()))

        def wait(system: System = system) -> set[object]:
            answers: set[object] = set()
            while Closed not in answers:
                try:
                    answers.add(outcome(put(system, ONE, AwaitEnd()))[0])
                except Closed:
                    answers.add(Closed)
            return answers

        def sweep(system: System = system) -> set[object]:
            while True:
                try:
                    system.sweep()
                except Closed:
                    return {Closed}

        def close(system: System = system) -> set[object]:
            return {system.close(PATIENCE_S)}

        assert [{Closed}, {Closed}, {Closed}, {True}] == at_once(wait, wait, sweep, close)
