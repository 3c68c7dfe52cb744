"""The closers: who closes what a task has left open, by its kind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.resources import OpenResource

Closer: TypeAlias = Callable[[OpenResource], object | Awaitable[object]]
"""Closes one thing, and raises when it could not. It may be a coroutine function, and may answer `Stopped`."""


class Closers:
    """Who closes which kind of resource. Any thread may register and ask."""

    def __init__(self, built_in: Mapping[str, Closer] | None = None) -> None:
        self._by_kind: dict[str, Closer] = dict(built_in or {})

    def register(self, kind: str, closer: Closer) -> None:
        """Let this close what is of a kind from now on. Raises `InvalidInput`."""
        if not callable(closer):
            raise InvalidInput("closer", closer, "a function of an OpenResource")
        self._by_kind[fields.required_key("kind", kind)] = closer

    def of(self, kind: str) -> Closer | None:
        """Return who closes what is of a kind; None when nobody does."""
        return self._by_kind.get(kind)
