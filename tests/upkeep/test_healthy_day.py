"""A healthy day has no findings: ten thousand tasks of all runtimes, with all that belongs to them, hour by hour."""

import random
from collections import deque
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Stopped, Verdict
from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import RETENTION_TERMINAL_MS, STALE_QUEUED_MS
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.delivering.parts import CHAT, Channel

TICK_MS = STALE_QUEUED_MS - 60_000
TICKS = 24 * 3_600_000 // TICK_MS
OWNER = "agent:main:main"


class Day:
    """A gateway on a busy day: what it begins it starts nine minutes later, and ends after some more."""

    def __init__(self, ledger: Ledger, clock: HandClock, tasks_a_tick: int) -> None:
        self.ledger, self.clock, self.tasks_a_tick, self.flows_a_tick = ledger, clock, tasks_a_tick, 2
        self.chance = random.Random(5)
        self.queued: list[str] = []
        self.running: deque[list[str]] = deque(maxlen=3)
        self.flows: list[Any] = []
        self.made = 0

    def tick(self) -> None:
        """Go on by nine minutes."""
        ending = self.running[0] if len(self.running) == self.running.maxlen else []
        with self.ledger.batch() as batch:
            for task_id in ending:
                self._end(batch.task(task_id))
            for some in list(self.running)[1:]:
                for task_id in some[::3]:
                    batch.task(task_id).progress("still at it", tool="imap")
            for task_id in self.queued:
                batch.task(task_id).start()
            self.running.append(self.queued)
            self.queued = [self._begin(batch) for _ in range(self.tasks_a_tick)]
        self._move_flows()
        self.clock.advance(TICK_MS)
        self.ledger.sweep()
        session = self.ledger.session(OWNER)
        while told := session.take(limit=1_000):
            session.ack(told[-1].position)
        self.ledger.settled()

    def _begin(self, batch: Any) -> str:
        self.made += 1
        runtime = self.chance.choice(list(Runtime))
        asked: dict[str, Any] = {"runtime": runtime, "task": f"work {self.made}"}
        if runtime is not Runtime.CRON or self.chance.random() < 0.5:
            asked["owner"] = OWNER
            if self.chance.random() < 0.3:
                asked["origin"] = CHAT
        created = batch.create(**asked)
        return str(created.id)

    def _end(self, task: Any) -> None:
        how = self.chance.random()
        if how < 0.8:
            task.succeed("done")
        elif how < 0.85:
            task.succeed("no access", outcome="blocked")
        elif how < 0.93:
            task.fail("exit code 1")
        elif how < 0.96:
            task.time_out("too long")
        else:
            task.cancel("not needed any more")

    def _move_flows(self) -> None:
        """Each flow claims a step with a task of its own, waits a little, goes on, and is finished, or cancelled."""
        for flow in self.flows:
            match flow.status:
                case "queued":
                    flow.claim("build")
                    self.ledger.create(runtime="cli", task="build", owner=OWNER, flow=flow.id).succeed("built")
                    flow.set_waiting({"for": "approval"})
                case "waiting":
                    flow.resume()
                case _ if self.chance.random() < 0.5:
                    flow.finish("released")
                case _:
                    self.ledger.create(runtime="subagent", task="more", owner=OWNER, flow=flow.id)
                    flow.cancel("enough")
        self.flows = [flow for flow in self.flows if flow.record.is_active]
        self.flows += [
            self.ledger.flows.create(owner=OWNER, goal="g", controller="bot") for _ in range(self.flows_a_tick)
        ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_amiss_at_any_moment_of_a_healthy_day_and_a_week_later_all_of_it_goes(tmp_path: Path) -> None:
    clock, channel = HandClock(), Channel()
    with tallystick.open(tmp_path / "ledger", clock=clock) as ledger:
        ledger.channel("chat", channel)
        for runtime in Runtime:
            ledger.probe(runtime, lambda _task: Verdict.alive({}))
            ledger.canceller(runtime, lambda _task: Stopped(confirmed=True))
        day = Day(ledger, clock, 10_000 // TICKS + 1)
        for _ in range(TICKS):
            day.tick()
            assert [] == ledger.audit().findings
        assert day.made >= 10_000
        assert len(channel.given) > 1_000
        assert {"running", "queued", "succeeded", "failed", "timed_out", "cancelled"} == {
            status for status, count in ledger.counts().by_status.items() if count
        }
        kept = ledger.counts().terminal

        day.tasks_a_tick = day.flows_a_tick = 0
        while day.flows or day.queued or any(day.running):
            day.tick()
        clock.advance(RETENTION_TERMINAL_MS)
        assert [] == ledger.audit().findings
        done = ledger.maintenance(apply=True)

        assert done.tasks.pruned >= kept
        assert 0 == done.audit_after.total
        assert 0 == ledger.counts().total
        assert ledger.verify().ok
