"""The bell: datagrams by which the processes of one ledger wake each other. None of them has to arrive.

What is said is a hint where to look. Whoever waits for the bell also looks by himself now and then.
"""

import os
import select
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallystick.forks import leave_in_children

DOOR_NAME = "wake.sock"
"""The name in a ledger's folder under which its owner hears."""

LOOK = b"look"
"""There is something in the inbox."""

YIELD = b"yield"
"""Somebody who is to own the ledger waits for it."""

LEASE = b"lease"
"""The work behind a task lives: followed by the task and for how long."""

UPKEEP = b"upkeep"
"""Somebody applies maintenance, of which some is the owner's: followed by what tells this call from others, who asks,
and for what."""

SEAL = b"seal"
"""Somebody wants a checkpoint: followed by what tells this call from others, and one that is to be kept, if any."""

ATTEST = b"attest"
"""Somebody wants others to see the newest checkpoint: followed by what tells this call from others."""

FORGET = b"forget"
"""Somebody deleted archives, and what is kept beside their records is to go: followed by what tells this call from
others."""

MESSAGE_BYTES_MAX = 1_024  # with who speaks
ASKED_BYTES_MAX = 32_768  # of one that names what is to be done
HEARD_MAX = 256  # messages that are taken together

_ADDRESS_BYTES_MAX = 100  # the system's bound is 107 or 103
_MS_PER_S = 1_000
_NEW_S = 60.0


class Bell:
    """Hears what is rung under a name in a folder, and `wake` from other threads of this process."""

    def __init__(self, folder: Path, name: str, *, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._socket: socket.socket | None = None
        self._bytes_max = bytes_max
        self._path = folder / name
        self._identity: tuple[int, int] | None = None
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._is_closed = False
        leave_in_children(self)

    def hang(self) -> bool:
        """Begin to hear what others ring; whatever hung there before does not. False when that cannot be done."""
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.settimeout(0)
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
            with _address(self._path) as address:
                bell.bind(address)
            self._path.chmod(0o600)
            self._identity = _identity(self._path)
        except OSError:
            bell.close()
            return False
        self._socket = bell
        self._poll.register(bell, select.POLLIN)
        return True

    @property
    def is_hung(self) -> bool:
        """Whether others are heard."""
        return self._socket is not None

    def hear(self, timeout_s: float) -> list[bytes]:
        """Wait until somebody rings or wakes, at most so long; return what was rung."""
        self._poll.poll(max(timeout_s, 0) * _MS_PER_S)
        with suppress(BlockingIOError):
            os.read(self._woken, HEARD_MAX)
        heard: list[bytes] = []
        if self._socket is not None:
            with suppress(OSError):
                while len(heard) < HEARD_MAX:
                    heard.append(self._socket.recv(self._bytes_max))
        return heard

    def wake(self) -> None:
        """End the waiting. Any thread may, also when nobody hears any more."""
        with suppress(OSError):  # full: then it wakes anyway
            if not self._is_closed:
                os.write(self._waker, b"\0")

    def close(self) -> None:
        """Take the bell down, if it still is this one that hangs there. Closing twice is allowed."""
        if self._is_closed:
            return
        if self._identity is not None and _identity(self._path) == self._identity:
            with suppress(OSError):
                self._path.unlink()
        self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """Let go of the descriptors only: a forked child must not be taken for its parent."""
        if self._is_closed:
            return
        self._is_closed = True
        bell, self._socket = self._socket, None
        if bell is not None:
            bell.close()
        os.close(self._woken)
        os.close(self._waker)


def ring(path: Path, message: bytes) -> bool:
    """Ring the bell that hangs under a path; False when none does. One that is full of messages will be heard."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        try:
            with _address(path) as address:
                sender.sendto(message, address)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def take_down(folder: Path, pattern: str) -> None:
    """Remove the bells of this pattern whose processes are gone; the others ring for nothing, once."""
    for path in folder.glob(pattern):
        if _is_old(path) and not ring(path, LOOK):
            forget(path)


def forget(path: Path) -> None:
    """Remove a bell that nobody hears.

    One that was hung just now is left alone: a socket has its name a moment before anybody hears there.
    """
    if _is_old(path):
        with suppress(OSError):
            path.unlink()


def _is_old(path: Path) -> bool:
    try:
        return path.lstat().st_mtime < time.time() - _NEW_S
    except OSError:
        return False


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """An address for a path of any length."""
    address = os.fspath(path)
    if len(os.fsencode(address)) <= _ADDRESS_BYTES_MAX:
        yield address
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None
