"""The process probe: whether the process that backs a task is still there, and what a process records so that it works.

`judge` in `tallystick.probes.identity` has the rules; this module looks, and looks seldom.
"""

import functools
import os
import time
from collections.abc import Callable

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict
from tallystick.probes.identity import Found, Identity, Look, Machine, judge
from tallystick.probes.look import boot_id, look, started_ms, this_machine

__all__ = ["ProcessProbe", "backing_of", "boot_id", "own_backing", "process_probe"]

LOOK_MS = 1_000  # how long a look serves all tasks that name the same process
LOOKS_KEPT_MAX = 4_096

NS_PER_MS = 1_000_000


class ProcessProbe:
    """A probe for tasks whose backing names a process.

    DEAD: the pid is gone, a zombie, or another process's by now; or the machine has restarted since. But as long as the
    backing's `runner` lives, which reports the end, it is MISSING. UNKNOWN: another machine's process, one that is
    hidden from this one, or a backing that names none.

    Ten thousand tasks of one process cost one look a second. May be called from many threads.
    """

    def __init__(
        self,
        *,
        look: Look = look,
        machine: Callable[[], Machine] = this_machine,
        clock: Callable[[], float] = lambda: time.monotonic_ns() / NS_PER_MS,
    ) -> None:
        self._look, self._machine, self._clock = look, machine, clock
        self._looks: dict[Identity, tuple[float, Found | None]] = {}

    def __call__(self, task: TaskRecord) -> Verdict:
        return judge(task.backing or {}, self._machine(), self._look_once)

    def _look_once(self, expected: Identity) -> Found | None:
        """Look, unless somebody just did.

        By the whole identity, not by the pid: a look from before a task began says nothing about a task that got its
        pid afterwards. For the same reason a bare pid is looked at every time.
        """
        now = self._clock()
        known = self._looks.get(expected)
        if known is not None and now - known[0] < LOOK_MS:
            return known[1]
        found = self._look(expected)
        if not expected.is_bare:
            if len(self._looks) >= LOOKS_KEPT_MAX:
                self._looks.clear()
            self._looks[expected] = (now, found)
        return found


process_probe = ProcessProbe()
"""The process probe that a program shares, so that all that it asks is served by the same looks."""


def own_backing() -> dict[str, object]:
    """Return what backs work that is done within this process.

    It is marked as shared: a process with other work, too, is never stopped for one task.
    """
    return {**_said_of(os.getpid()), "shared": True}


def backing_of(pid: int, *, group: int | None = None, runner: bool = False) -> dict[str, object]:
    """Return what backs a task that is a process: pid, when it started, boot and host.

    `group` is its process group if it has one of its own: all of it is stopped then. With `runner` this process is
    named as the one that will report the end. Raises `ProcessLookupError` when there is no such process; one that has
    ended is there as long as nobody has asked how.
    """
    backing = dict(_said(pid))
    if group is not None:
        backing["group"] = group
    if runner:
        own = _said_of(os.getpid())
        backing["runner"] = own["pid"]
        if "ticks" in own:
            backing["runnerTicks"] = own["ticks"]
        elif "started" in own:
            backing["runnerStarted"] = own["started"]
    return backing


@functools.lru_cache(maxsize=8)
def _said_of(pid: int) -> dict[str, object]:
    """As `_said`, once: a process stays what it is. By pid, because a fork is another one."""
    return _said(pid)


def _said(pid: int) -> dict[str, object]:
    found = look(Identity(pid))
    if found is None:
        raise ProcessLookupError(f"no process has the pid {pid}")
    machine = this_machine()
    said = {
        "pid": pid,
        "started": started_ms(pid),
        "ticks": found.ticks,
        "boot": machine.boot,
        "host": machine.host,
    }
    return {name: value for name, value in said.items() if value is not None}
