"""The gateway of the demo: a process that starts two agents and is killed before either of them is done."""

import subprocess
import sys
from pathlib import Path

import tallystick
from tallystick.probes.process import backing_of, own_backing

OWNER = "agent:main:main"
READY = "ready"


def main(ledger: str, folder: str) -> None:
    """Start an agent within this process and one beside it, say so, and work until somebody kills us."""
    gateway = tallystick.open(ledger)
    inside = gateway.create(runtime="subagent", label="release notes", task="Draft the release notes", owner=OWNER)
    inside.start(backing=own_backing())
    inside.progress("reading the commits")
    agent = subprocess.Popen(
        [sys.executable, str(Path(folder) / "agent.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    beside = gateway.create(runtime="acp", label="research", task="Find out who else does this", owner=OWNER)
    beside.start(backing=backing_of(agent.pid, group=agent.pid))
    print(READY, flush=True)
    agent.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
