"""The peer: the process of an agent at the other end of a connection, as what backs its sessions."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from contextlib import suppress

from msgspec.structs import replace

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.probes.process import backing_of, own_backing, process_probe

LOOK_S = 0.1  # how often a process is looked at while somebody waits for its answer
PROTOCOL = "acp"

_LISTENER = {"pid": "runner", "ticks": "runnerTicks", "started": "runnerStarted", "boot": "boot", "host": "host"}


class Peer:
    """An agent's process, or none when the agent is no child of this process."""

    def __init__(self, process: Process | None) -> None:
        self._process = process

    def backing(self, session_id: str) -> dict[str, object]:
        """Say what backs a session: the agent, which may have others, and this process, which will tell the end.

        An agent that is no child of this process is backed by the connection, and that by this process.
        """
        backing = own_backing()
        if self._process is not None:
            try:
                backing = backing_of(self._process.pid, runner=True)
            except ProcessLookupError:
                backing["agentPid"] = self._process.pid
        return {**backing, "shared": True, "protocol": PROTOCOL, "session": session_id}

    async def ended(self) -> None:
        """Wait until the process has ended; for ever when there is none.

        Its own `wait` waits for its pipes as well, and what it has started may hold them open.
        """
        if self._process is None:
            await asyncio.get_running_loop().create_future()
            return
        while self._process.returncode is None:  # noqa: ASYNC110 - nothing tells it sooner
            await asyncio.sleep(LOOK_S)

    async def exit(self, timeout_s: float) -> int | None:
        """Return how the process ended; None when it has not in time, or is nobody's to ask."""
        if self._process is None:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended(), timeout_s)
        return self._process.returncode


def judged_from_outside(task: TaskRecord) -> Verdict:
    """Judge a task whose session no agent of this process has: by its process, and by who would hear of its end."""
    verdict, backing = process_probe(task), task.backing or {}
    runner = backing.get("runner", backing.get("pid"))
    if backing.get("protocol") != PROTOCOL or verdict.finding is not Finding.ALIVE:
        return verdict
    evidence = {"session": task.child_session_key, "runner": runner}
    if runner == os.getpid():
        return Verdict.missing({**evidence, "detail": "this process has no connection to it any more"})
    listener = {name: backing[key] for name, key in _LISTENER.items() if key in backing}
    if "runner" in backing and process_probe(replace(task, backing=listener)).finding is Finding.DEAD:
        return Verdict.missing({**evidence, "detail": "the process that spoke with it is gone"})
    return verdict


def signal_name(number: int) -> str:
    """Return what a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
