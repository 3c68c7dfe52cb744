"""The process canceller: it stops the processes that back a task, and nobody else's."""

import os
import signal

from tallystick.ledger.limits import CANCEL_KILL_MS
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.resources import OpenResource
from tallystick.ledger.stopped import Stopped
from tallystick.ledger.verdict import Finding
from tallystick.probes.group import ProcessGroup, SingleProcess, Stopping
from tallystick.probes.identity import PID_MAX, Backing, Found, Identity, is_count, is_same, judge_machine, process_in
from tallystick.probes.look import look, members, this_machine

MS_PER_S = 1_000

ENDED = "it had ended already"


class ProcessCanceller:
    """Stops the process that a task's backing names: SIGTERM, then SIGKILL for what is left after `kill_after_ms`.

    All of its process group is stopped when the backing has a `group`, else only the process. Before anything is
    signalled it is certain that the process is the one that is meant: by when it started, on this boot of this host.
    What cannot be proved is not signalled, and neither is this process, its group, or a process that the backing calls
    `shared` because it does other work, too: then the stop is not confirmed, and the detail says why.
    """

    def __init__(self, kill_after_ms: int = CANCEL_KILL_MS) -> None:
        self._kill_after_s = kill_after_ms / MS_PER_S

    def __call__(self, task: TaskRecord) -> Stopped:
        return self.stop(task.backing or {})

    def close(self, resource: OpenResource) -> Stopped:
        """Stop a process that a task left open: its evidence is what a backing would say."""
        return self.stop(resource.evidence)

    def stop(self, backing: Backing) -> Stopped:
        """Stop what a backing names."""
        expected = process_in(backing)
        if expected is None:
            return _not_stopped("its backing names no process")
        try:
            return _refusal(backing, expected) or self._stopped(backing, expected)
        except OSError as error:
            return _not_stopped(f"process {expected.pid}: {error.strerror or type(error).__name__}")

    def _stopped(self, backing: Backing, expected: Identity) -> Stopped:
        found = look(expected)
        group = _own_group(backing, found)
        if found is None:
            return _without_leader(group)
        same = is_same(expected, found)
        if same is None:
            return _not_stopped(f"process {expected.pid} cannot be told from another one of this pid")
        if not same or (found.is_zombie and group is None):
            return Stopped(confirmed=True, detail=ENDED)
        what: Stopping = SingleProcess(expected) if group is None else ProcessGroup(group)
        if not what.is_left():
            return Stopped(confirmed=True, detail=ENDED)
        detail = what.stop(signal.SIGTERM, kill_after_s=self._kill_after_s)
        return Stopped(confirmed=True, detail=detail) if detail else _not_stopped(f"{what} outlives SIGKILL")


def _refusal(backing: Backing, expected: Identity) -> Stopped | None:
    """Return why nothing may be signalled, None when it may."""
    away = judge_machine(backing, this_machine())
    if away is not None and away.finding is Finding.DEAD:
        return Stopped(confirmed=True, detail=ENDED)
    if away is not None:
        return _not_stopped(f"process {expected.pid} runs on another host")
    if expected.pid == 1:
        return _not_stopped("process 1 is never stopped")
    if expected.pid == os.getpid() or backing.get("shared"):
        return _not_stopped(f"process {expected.pid} does other work, too")
    if expected.is_bare:
        return _not_stopped(f"its backing does not say when process {expected.pid} started")
    return None


def _own_group(backing: Backing, found: Found | None) -> int | None:
    """Return the group that a process has to itself, None when it has none that may be signalled.

    The backing must name it and the process must be in it: what was found there decides.
    """
    group = backing.get("group")
    if not is_count(group, least=2, most=PID_MAX) or group == os.getpgrp():
        return None
    if found is not None and found.group is not None and found.group != group:
        return None
    return int(str(group))


def _without_leader(group: int | None) -> Stopped:
    """The process is gone. Others in a group of its number may be its children, and nobody can prove it."""
    left = [] if group is None else sorted(members(group))
    if not left:
        return Stopped(confirmed=True, detail=ENDED)
    return _not_stopped(
        f"{ENDED}; who is left in group {group} may be of another one, and was not signalled: "
        f"{', '.join(map(str, left))}"
    )


def _not_stopped(why: str) -> Stopped:
    return Stopped(confirmed=False, detail=why)
