"""Stopping processes: a whole process group or a single process, told first and killed when that did nothing.

Nothing here asks whose they are; who stops something has made sure of that.
"""

import os
import signal
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from tallystick.ledger.verdict import Finding
from tallystick.probes.identity import Identity, compare
from tallystick.probes.look import look, members

LOOK_S = 0.02  # how often what was told to end is looked at
KILLED_S = 2.0  # how long a killed process may take to be gone; one that waits for a broken disk takes longer


class Stopping(ABC):
    """What is to be stopped; as text it is what people call it."""

    @abstractmethod
    def send(self, number: signal.Signals) -> None:
        """Send a signal, if anybody is left. Raises `PermissionError`."""

    @abstractmethod
    def is_left(self) -> bool:
        """Whether anybody is left; a zombie is nobody."""

    def stop(self, first: signal.Signals, *, kill_after_s: float) -> str | None:
        """Send `first`, then SIGKILL to what is left after `kill_after_s`.

        Returns by what it was stopped, None when somebody is left all the same. Raises `PermissionError`.
        """
        self.send(first)
        if self.is_gone_within(kill_after_s):
            return f"{self}, by {first.name}"
        killed = self.kill()
        return killed and f"{killed}, {first.name} having done nothing"

    def kill(self) -> str | None:
        """Send SIGKILL. Returns and raises as `stop` does."""
        self.send(signal.SIGKILL)
        return f"{self}, by SIGKILL" if self.is_gone_within(KILLED_S) else None

    def is_gone_within(self, seconds: float) -> bool:
        """Wait until nobody is left, or the time is over; return whether nobody is left."""
        end = time.monotonic() + seconds
        while self.is_left():
            if time.monotonic() >= end:
                return False
            time.sleep(LOOK_S)
        return True


class ProcessGroup(Stopping):
    """A process group. As long as anybody is left in it, the kernel gives its number to nobody else."""

    def __init__(self, group: int) -> None:
        assert group > 1, "0 is one's own group, 1 is everybody's"
        self._group = group

    def __str__(self) -> str:
        return f"process group {self._group}"

    def send(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            pass
        except PermissionError:  # some systems say this of a group in which only zombies are left
            if self.is_left():
                raise

    def is_left(self) -> bool:
        try:
            os.killpg(self._group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return any(True for _ in members(self._group))


class SingleProcess(Stopping):
    """One process. It is looked at before every signal, so that whoever has its pid next gets none."""

    def __init__(self, identity: Identity) -> None:
        assert identity.pid > 1, "1 is the machine itself"
        self._identity = identity

    def __str__(self) -> str:
        return f"process {self._identity.pid}"

    def send(self, number: signal.Signals) -> None:
        if self.is_left():
            with suppress(ProcessLookupError):
                os.kill(self._identity.pid, number)

    def is_left(self) -> bool:
        return compare(self._identity, look(self._identity))[0] is Finding.ALIVE
