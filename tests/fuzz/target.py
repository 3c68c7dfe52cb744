"""The target: something that reads bytes which others wrote, and what it may refuse them with."""

import atexit
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from msgspec import Struct


class Target(Struct, frozen=True, kw_only=True):
    """What reads, and the bytes to begin with; `words` are what such bytes are made of.

    `read` returns, raises one of `refusals`, or has found a fault: whatever else it raises, an assertion among others.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()
    words: tuple[str, ...] = ()

    def take(self, data: bytes) -> None:
        """Read bytes, whatever they are."""
        with suppress(*self.refusals):
            self.read(data)


@cache
def workshop() -> Path:
    """A folder for what can only be read from files: one for all, gone when the process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


def place(name: str) -> Path:
    """Return a folder of the workshop, made when it is first asked for."""
    path = workshop() / name
    path.mkdir(exist_ok=True)
    return path
