"""The envelope: a message and where its answer goes."""

from types import TracebackType
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

ExcInfo: TypeAlias = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Reply(Protocol):
    """What is told the answer: a future, or whatever else counts answers."""

    def set(self, value: Any | None = None) -> None:
        """Take the answer."""
        ...

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Take an exception as the answer."""
        ...

    def fail(self, error: BaseException) -> None:
        """Take this error as the answer."""
        ...


class Envelope(Struct, gc=False):
    """What Pykka calls an envelope, made in half the time and never looked at by the garbage collector."""

    message: Any
    reply_to: Reply | None = None
