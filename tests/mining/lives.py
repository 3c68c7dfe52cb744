"""Lives: a ledger with every way in which a task can live and end, told by a gateway, its probes and an operator."""

from typing import Any

from tallystick import Refused, Verdict
from tallystick.ledger.record import TaskRecord
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock

OWNER = "agent:main:main"
MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Lives:
    """Tells a ledger lives. Each is named by the label of its task, or of the last of them."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self._ledger, self._clock = ledger, clock
        self._verdicts: dict[str, Verdict] = {}
        ledger.probe("acp", self._verdict)

    def _verdict(self, task: TaskRecord) -> Verdict:
        return self._verdicts.get(task.task_id, Verdict.alive())

    def tell(self) -> None:
        """Tell all of them."""
        self._that_end_well()
        self._that_end_badly()
        self._that_are_stopped()
        self._that_are_lost()
        self._that_are_kept()
        self._in_flows()

    def _new(self, label: str, **more: Any) -> Task:
        given = {"runtime": "acp", "task": f"Do what is {label}", "label": label, "owner": OWNER, **more}
        return self._ledger.create(**given)

    def _started(self, label: str, **more: Any) -> Task:
        task = self._new(label, **more)
        self._clock.advance(1_000)
        task.start()
        return task

    def _that_end_well(self) -> None:
        task = self._started("well", child_session="agent:well", agent="coder", notify="state_changes")
        for step in range(3):
            self._clock.advance(2_000)
            task.progress(message=f"step {step}", tool="bash", usage={"inputTokens": 10})
        task.opened("browser_tab", "tab-1")
        task.keep_alive()
        task.succeed("it is done", artifacts=["file:///a"])
        session = self._ledger.session(OWNER)
        for told in session.take():
            session.ack(told.position)
        self._new("well at once").succeed("it was nothing")
        self._started("blocked", notify="failures_only").succeed("no key", outcome="blocked")
        self._started("well, and told elsewhere", origin={"channel": "telegram", "to": 5}).succeed("done")
        self._started("cron", runtime="cron", owner=None, scope="system").succeed()

    def _that_end_badly(self) -> None:
        self._started("failed").fail("boom", exit_code=1)
        self._new("failed before it began").fail("no room")
        self._started("out of time").time_out("an hour")
        self._started("past its deadline", timeout_ms=1_000)
        self._clock.advance(MINUTE_MS)
        self._ledger.sweep()
        late = self._started("late")
        late.fail("boom")
        for report in (late.start, late.progress, late.succeed):
            try:
                report(occurred_at=self._clock() - 1)
            except Refused:
                continue
            raise AssertionError(f"{report} came too late")

    def _that_are_stopped(self) -> None:
        self._new("cancelled before it began").cancel("not needed")
        asked = self._started("cancelled")
        asked.cancel("enough", wait_ms=0)
        asked.cancelled(stopped="the process group")
        self._started("cancelled, and nobody says so").cancel("enough", wait_ms=0)
        self._clock.advance(MINUTE_MS)
        self._ledger.sweep()
        done = self._started("done before it could be cancelled")
        done.cancel("enough", wait_ms=0)
        done.succeed("too late for that")
        for status in ("failed", "cancelled", "lost"):
            self._started(f"settled as {status}").settle(status, "an operator said so")
            self._new(f"settled as {status} at once").settle(status, "an operator said so")

    def _that_are_lost(self) -> None:
        gone, walk, back = self._started("gone"), self._started("gone for a walk"), self._started("gone, then back")
        for task in (gone, walk, back):
            self._verdicts[task.id] = Verdict.missing("no such session")
        self._ledger.sweep()
        back.progress(message="here I am")
        self._verdicts[back.id] = Verdict.alive()
        self._clock.advance(10 * MINUTE_MS)
        self._ledger.sweep()
        walk.succeed("here I am, too", occurred_at=self._clock() - 8 * MINUTE_MS)
        for outcome in ("fail", "time_out", "cancelled"):
            dead = self._started(f"dead, then {outcome}")
            self._verdicts[dead.id] = Verdict.dead("deleted")
            self._ledger.sweep()
            getattr(dead, outcome)("seen")

    def _that_are_kept(self) -> None:
        held = self._started("held")
        held.hold("evidence")
        held.succeed()
        held.notify("silent")
        held.release()
        self._clock.advance(8 * DAY_MS)
        self._ledger.maintenance(apply=True)

    def _in_flows(self) -> None:
        flow = self._ledger.flows.create(owner=OWNER, goal="Release", controller="release-bot")
        self._clock.advance(1_000)
        flow.claim("build", claimant="release-bot")
        first = self._started("in a flow", flow=flow.id)
        self._new("child", parent=first.id, runtime="subagent").succeed("a part")
        first.succeed("built")
        joins = self._started("joins a flow", notify="silent")
        flow.link(joins.id)
        self._clock.advance(1_000)
        flow.set_waiting({"for": "approval"})
        self._clock.advance(1_000)
        flow.resume()
        joins.succeed()
        self._clock.advance(1_000)
        flow.finish("released")
