"""The scenes of the demo: a build, a gateway that is killed, the one that takes over, and those whom it tells."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

import tallystick
from tallystick.cli.demo import gateway
from tallystick.cli.demo.stage import Stage, tally
from tallystick.cli.demo.told import CHANNEL, Agent, Endpoint, wait_until_told
from tallystick.cli.demo.work import Job, build, jobs
from tallystick.config import Integrity
from tallystick.messages import SessionEvent
from tallystick.probes.process import backing_of
from tallystick.readings import Readings, due_rules
from tallystick.run import run_command

OWNER = "agent:main:main"
TASK_TO_KILL = "count primes"
DIRECTLY_TOLD = "summarise build"
KILL_AFTER_S = 2.0
CANCEL_AFTER_S = 2.5
LOOK_S = 0.1
STEPS = 4
EAGER = tallystick.Config(sweep={"first": 500, "interval": 500}, outbox={"first": 200, "ceiling": 500})
"""A gateway looks every minute, and tries again after seconds; nobody wants to watch a demo for as long."""


class Told(Struct, frozen=True):
    """The ids of the tasks by label, what the session took, and what the receiver of the webhook heard."""

    ids: Mapping[str, str]
    taken: Sequence[SessionEvent]
    received: Sequence[Mapping[str, Any]]


def build_with_tally_run(stage: Stage, ledger: Path, folder: Path) -> None:
    """Run the build as a process of its own, which owns the ledger meanwhile; watch it from here as a reader."""
    job = build(folder)
    with (folder / "build.log").open("wb") as log:
        process = subprocess.Popen(
            [*tally(), "run", "--label", job.label, "--owner", OWNER, "--", *job.words],
            env=stage.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        readings = Readings.open(ledger, rules=due_rules(tallystick.Config()))
        done = threading.Event()
        waiting = threading.Thread(target=_then, args=(process.wait, done))
        waiting.start()
        try:
            stage.watch(readings, done)
        except BaseException:
            process.terminate()
            raise
        finally:
            waiting.join()
            readings.close()


def _then(wait: Callable[[], object], done: threading.Event) -> None:
    wait()
    done.set()


def gateway_killed(ledger: Path, folder: Path) -> int:
    """Let a gateway start two agents, one of them a process that outlives it, and kill it. Returns its pid."""
    words = [sys.executable, "-m", gateway.__name__, str(ledger), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    return process.pid


def rest_with_library(stage: Stage, ledger: Path, folder: Path, integrity: Integrity) -> Told:
    """Take the ledger over, run everything else side by side, and show who is told of it."""
    endpoint = Endpoint(folder)
    config = replace(
        EAGER,
        integrity=integrity,
        channel={CHANNEL: endpoint.settings()},
        route=({"name": "alerts", "to": f"{CHANNEL}://alerts", "when": {"runtime": "cli"}},),
    )
    with tallystick.open(ledger, config=config) as opened:
        endpoint.serve(opened)
        with Agent(opened, OWNER) as agent:
            _work_side_by_side(stage, opened, folder)
            ids = {record.label or record.task: record.task_id for record in opened.list().tasks}
            _tell(stage, opened, endpoint, agent, ids)
        return Told(ids, agent.taken, endpoint.received())


def _work_side_by_side(stage: Stage, ledger: tallystick.Ledger, folder: Path) -> None:
    side_by_side = _SideBySide(ledger, folder)
    done = threading.Event()
    waiting = threading.Thread(target=_then, args=(side_by_side.join, done))
    try:
        side_by_side.start()
        waiting.start()
        stage.watch(ledger, done)
    except BaseException:
        side_by_side.end(done)
        raise
    finally:
        waiting.join()


def _tell(stage: Stage, ledger: tallystick.Ledger, endpoint: Endpoint, agent: Agent, ids: Mapping[str, str]) -> None:
    """Show what the session took when it was woken, and what waits for the webhook until its receiver is up."""
    stage.say("", "4. Who was told. Nobody polled, and nobody listens at the webhook yet: what is for it waits.")
    woken = "once" if agent.wakes == 1 else f"{agent.wakes} times"
    stage.say(f"   The session {agent.session} was woken {woken}, and took:")
    stage.say(*(f"     {event.text}" for event in agent.taken))
    stage.run("deliveries")
    stage.say("", f"   Now somebody listens at {endpoint.url}:")
    with endpoint.up():
        wait_until_told(ledger)
    proof = "signed, " if endpoint.is_signed else ""
    for message in endpoint.received():
        stage.say(f"     to {message['to']}, {proof}attempt {message['attempt']}: {message['text']}")
    stage.run("deliveries")
    stage.run("timeline", ids[DIRECTLY_TOLD])


class _SideBySide:
    """Everything that runs at the same time, a thread each."""

    def __init__(self, ledger: tallystick.Ledger, folder: Path) -> None:
        self._ledger, self._folder = ledger, folder
        work = [*(self._command(job) for job in jobs(folder)), self._summarise, self._cancel_one, self._kill_one]
        work += [self._take_over, self._kill_agent]
        self._threads = [threading.Thread(target=each) for each in work]
        self._over = threading.Event()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def end(self, done: threading.Event) -> None:
        """End whatever runs, because somebody has seen enough; also what is only just starting."""
        self._over.set()
        while not done.wait(LOOK_S):
            for record in self._ledger.list(status="running").tasks:
                group = (record.backing or {}).get("group")
                if isinstance(group, int):
                    with suppress(ProcessLookupError):
                        os.killpg(group, signal.SIGKILL)

    def _command(self, job: Job) -> Callable[[], object]:
        return lambda: run_command(self._ledger, job.words, label=job.label, owner=OWNER, timeout_ms=job.timeout_ms)

    def _summarise(self) -> None:
        """Work of this very process, tracked as a block of Python."""
        lines = (self._folder / "build.log").read_text("utf-8", "replace").splitlines()
        with tallystick.track(
            self._ledger,
            runtime="subagent",
            label=DIRECTLY_TOLD,
            task="Summarise the build log",
            owner=OWNER,
            origin=tallystick.Origin(channel=CHANNEL, to="maintainers"),
        ) as task:
            for step in range(1, STEPS + 1):
                self._over.wait(0.4)
                read = len(lines) * step // STEPS
                task.progress(f"{read} lines read", step=step, steps=STEPS, usage={"inputTokens": read * 12})
            task.succeed(f"{sum(line.startswith('Compiling') for line in lines)} files were compiled")

    def _cancel_one(self) -> None:
        task = self._ledger.create(
            runtime="acp", label="review", task="Review the pull request", owner=OWNER, metadata={"repository": "parts"}
        )
        self._over.wait(CANCEL_AFTER_S)
        task.cancel("the pull request was closed")

    def _take_over(self) -> None:
        """What the gateway that was killed has left behind, and still lives, ends here."""
        [record] = self._ledger.list(status="running", text="research").tasks
        findings = self._folder / "findings"
        while not findings.exists() and not self._over.wait(LOOK_S):
            pass
        if findings.exists():
            self._ledger.get(record.task_id).succeed(findings.read_text("utf-8"))
        findings.with_name("findings.read").touch()

    def _kill_agent(self) -> None:
        """An agent that nobody waits for is killed: the ledger misses it, and says so."""
        with subprocess.Popen([sys.executable, str(self._folder / "count.py")], stdout=subprocess.DEVNULL) as agent:
            task = self._ledger.create(runtime="subagent", label="triage", task="Sort the inbox", owner=OWNER)
            task.start(backing=backing_of(agent.pid))
            self._over.wait(KILL_AFTER_S)
            agent.kill()
        while self._ledger.get(task.id).status == "running" and not self._over.wait(LOOK_S):
            pass

    def _kill_one(self) -> None:
        """What an operator does with `kill -9`: nobody tells the ledger, it sees."""
        self._over.wait(KILL_AFTER_S)
        for record in self._ledger.list(status="running", text=TASK_TO_KILL).tasks:
            pid = (record.backing or {}).get("pid")
            if isinstance(pid, int):
                os.kill(pid, signal.SIGKILL)
