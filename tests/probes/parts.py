"""Parts for the tests of the probes: records to ask about, and real processes that do as they are told."""

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.record import TaskRecord

PATIENCE_S = 20.0
"""How long a test waits for what must come. Only a failing test waits that long."""

ROOT = Path(__file__).parent.parent.parent

WAITS = "print('ready', flush=True); print('heard', input(), flush=True)"
"""A script that is there until it is told a line."""


def record(backing: Mapping[str, Any] | None = None, **more: Any) -> TaskRecord:
    """The record of a running task."""
    return TaskRecord(
        task_id=id_text(new_id()),
        runtime=Runtime.CLI,
        task="Count the tallies",
        status=Status.RUNNING,
        scope_kind=Scope.SESSION,
        delivery_status=DeliveryStatus.PENDING,
        notify_policy=NotifyPolicy.DONE_ONLY,
        created_at=1,
        last_event_at=2,
        version=2,
        position=2,
        backing=None if backing is None else dict(backing),
        **more,
    )


class Running(subprocess.Popen[str]):
    """A process that is heard line by line."""

    first_line = ""


@contextmanager
def running(script: str = WAITS, *args: object, **how: Any) -> Iterator[Running]:
    """A Python process that has said its first line. Whatever becomes of it, it is gone afterwards."""
    how.setdefault("env", {**os.environ, "PYTHONPATH": str(ROOT)})
    popen = Running(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **how,
    )
    timer = threading.Timer(3 * PATIENCE_S, popen.kill)
    timer.start()
    try:
        popen.first_line = line_of(popen)
        yield popen
    finally:
        timer.cancel()
        timer.join()
        popen.kill()
        popen.communicate()


def line_of(popen: Running) -> str:
    """The next line that a process says; empty when nobody can say any more."""
    assert popen.stdout is not None
    return popen.stdout.readline().strip()


def lives(popen: Running) -> bool:
    """Whether a process that waits can still be told something."""
    assert popen.stdin is not None
    print("you", file=popen.stdin, flush=True)
    return line_of(popen) == "heard you"


def end_unasked(popen: Running) -> None:
    """Kill a process and wait until it has ended, without asking how: it is a zombie then."""
    popen.kill()
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)


def end(popen: Running) -> None:
    """Kill a process and ask how it ended: nothing is left of it."""
    popen.kill()
    popen.wait(PATIENCE_S)
