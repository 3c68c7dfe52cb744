"""What the tests of the command line share: `tally` in this process and as one of its own, and a ledger to ask."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

import tallystick
from tallystick.cli.program import run
from tallystick.testing import HandClock

OWNER = "agent:main:main"
BEGIN_MS = 1_790_000_000_000
COMMAND = [sys.executable, "-m", "tallystick"]


class Said(Struct, frozen=True):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it said as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The failure that it said as JSON."""
        told = self.data
        assert told["ok"] is False
        return told["error"]


def tally(*words: str) -> Said:
    """Run `tally` in this process."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    texts = []
    for stream in (out, err):
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        texts.append(stream.buffer.getvalue().decode())
    return Said(code, *texts)


def process(*words: str | Path, environment: Mapping[str, str] | None = None, **how: Any) -> Said:
    """Run `tally` as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=60,
        **how,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def make_stories(folder: Path) -> dict[str, str]:
    """Make a ledger with a task in every state; return their ids by label."""
    clock = HandClock(BEGIN_MS)
    ids: dict[str, str] = {}
    with tallystick.open(folder, clock=clock, actor="teller") as ledger:

        def create(label: str, **more: Any) -> tallystick.Task:
            given: dict[str, Any] = {"runtime": "cli", "task": f"do {label}", "label": label, "owner": OWNER, **more}
            clock.advance(1_000)
            task = ledger.create(**given)
            ids[label] = task.id
            return task

        build = create("build", metadata={"repo": "a/b", "host": "one"}, timeout_ms=300_000)
        build.start(backing={"pid": 4711})
        clock.advance(2_500)
        build.succeed("3 files", artifacts=["file:///a", "file:///b"], usage={"inputTokens": 12})
        tests = create("tests", run_id="run-7", child_session="agent:main:subagent:7c")
        tests.start()
        clock.advance(61_000)
        tests.fail("exit code 1: 2 tests failed", exit_code=1)
        wait = create("wait")
        wait.start()
        clock.advance(5_000)
        wait.time_out("stopped after 5000 ms")
        create("review", runtime="acp").cancel("the request was closed")
        blocked = create("blocked", runtime="subagent")
        blocked.succeed("no access", outcome="blocked")
        lost = create("lost", runtime="subagent")
        lost.start()
        lost.settle("lost", "nobody knows where it is")
        late = create("late")
        late.fail("it ended")
        with suppress(tallystick.Refused):
            late.succeed("and came back")
        create("cron", runtime="cron", owner=None)
        reading = create("reading", runtime="subagent", metadata={"repo": "a/b"})
        reading.start()
        reading.progress("reading mail", step=2, steps=5, tool="imap", usage={"inputTokens": 5})
        stopping = create("stopping", runtime="acp")
        stopping.start()
        stopping.cancel("enough", wait_ms=0)
    return ids
