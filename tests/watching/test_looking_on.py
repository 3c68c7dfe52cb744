"""Whatever fails, hangs or is set: the supervisor looks on, and nothing that is due waits for something else."""

import threading
from pathlib import Path

import tallystick
from tallystick import Config, Stopped, TaskRecord, Verdict
from tallystick.actors.dispatcher import Dispatcher
from tallystick.testing import HandClock as SteppedClock
from tests.actors.parts import PATIENCE_S, HandClock, at_once, reached
from tests.watching.conftest import OWNER

GRACE_MS = 300_000


def test_a_deadline_does_not_wait_for_a_probe_that_cannot_tell(folder: Path) -> None:
    clock = SteppedClock()
    answers = [Verdict.missing("gone")]
    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", lambda _task: answers[-1])
        task = ledger.create(runtime="subagent", task="work", owner=OWNER, timeout_ms=2 * GRACE_MS)
        task.start()
        ledger.sweep()
        answers.append(Verdict.unknown("cannot tell"))
        clock.advance(GRACE_MS)
        ledger.sweep()
        assert ledger.get(task.id).status == "running"
        clock.advance(GRACE_MS)
        ledger.sweep()
        assert ledger.get(task.id).status == "timed_out"


def test_work_that_is_being_stopped_is_not_lost_because_it_is_gone(folder: Path) -> None:
    stopping, asked, gone = threading.Event(), threading.Event(), threading.Event()

    def stop(_task: TaskRecord) -> Stopped:
        stopping.set()
        assert reached(gone)
        return Stopped(detail="killed it")

    def probe(_task: TaskRecord) -> Verdict:
        asked.set()
        return Verdict.dead("killed")

    def let_go() -> None:
        asked.wait(0.3)  # nobody should ask; who does, finds it dead before it is told that it was stopped
        gone.set()

    with tallystick.open(folder, clock=SteppedClock()) as ledger:
        ledger.probe("subagent", probe)
        ledger.canceller("subagent", stop)
        task = ledger.create(runtime="subagent", task="work", owner=OWNER)
        task.start()
        task.cancel("enough", wait_ms=0)
        assert reached(stopping)
        at_once(ledger.sweep, let_go)
        assert ["cancelled"] == [ledger.get(task.id).status]
        assert [] == [event for event in ledger.events() if event.type == "task-lost.1"]


def test_a_sweep_returns_though_more_comes_due_than_can_be_looked_at(folder: Path) -> None:
    pause = threading.Event()
    with tallystick.open(folder, config=Config(sweep={"first": 20, "interval": 50})) as ledger:
        ledger.probe("subagent", lambda _task: Verdict.unknown() if pause.wait(0.05) else Verdict.alive())
        for _ in range(300):
            ledger.create(runtime="subagent", task="work", owner=OWNER).start()
        swept = threading.Thread(target=ledger.sweep, daemon=True)
        swept.start()
        swept.join(PATIENCE_S)
        assert not swept.is_alive()
        pause.set()


def test_a_clock_that_is_set_back_delays_no_timer() -> None:
    clock, fired = HandClock(), threading.Event()
    dispatcher = Dispatcher("clock", clock)
    dispatcher.start()
    asked = threading.Event()

    def ask() -> None:
        dispatcher.call_at(clock() + 60_000, fired.set)
        asked.set()

    dispatcher.call_soon(ask)
    assert reached(asked)
    clock.advance(-3_600_000)
    dispatcher.hurry()
    assert reached(fired)
    assert dispatcher.stop(PATIENCE_S)
