"""Forks: a child process has the memory of its parent, but neither its threads nor a right to its files."""

import os
from typing import Protocol
from weakref import WeakSet


class Leaving(Protocol):
    """What belongs to the process that made it."""

    def leave_to_parent(self) -> None:
        """Let go, in a child process, of what the parent goes on to use."""
        ...


class _Forks:
    """Everything that a child has to leave; it is forgotten here when nobody else knows it."""

    def __init__(self) -> None:
        self._things: WeakSet[Leaving] = WeakSet()
        self._told = False

    def add(self, thing: Leaving) -> None:
        if not self._told:  # not when this module is imported: importing does nothing
            os.register_at_fork(after_in_child=self._leave)
            self._told = True
        self._things.add(thing)

    def _leave(self) -> None:
        for thing in list(self._things):
            thing.leave_to_parent()


_FORKS = _Forks()


def leave_in_children(thing: Leaving) -> None:
    """Call `leave_to_parent` of this in every child process that `os.fork` makes from now on."""
    _FORKS.add(thing)
