"""The recipient: whom a command for a task is sent to, when nobody can know who will own the ledger then."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tallystick.actors.envelope import ExcInfo, Reply
from tallystick.ledger.commands import Command
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord


class Recipient:
    """Whom a command for a task or a flow is sent to, whoever owns the ledger when it is."""

    __slots__ = ("held", "is_newborn", "of_flow", "stream")

    def __init__(self, stream: bytes, *, is_newborn: bool = False, of_flow: bool = False) -> None:
        self.stream, self.is_newborn, self.of_flow = stream, is_newborn, of_flow
        self.held: list[tuple[Command, Reply]] | None = None
        """What was sent before it was known whether another task stands for this one; None when that is known."""


class Identified(Struct, frozen=True):
    """Takes the answer to a creation that may give back another task, whose id the recipient has from then on."""

    recipient: Recipient
    reply: Reply
    then: Callable[[Recipient], None]

    def set(self, value: Any | None = None) -> None:
        """Take the record."""
        assert isinstance(value, TaskRecord | FlowRecord), "a creation is answered with what was created"
        self.recipient.stream = value.stream
        self.then(self.recipient)
        self.reply.set(value)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Take what was raised."""
        self.then(self.recipient)
        self.reply.set_exception(exc_info)

    def fail(self, error: BaseException) -> None:
        """Take the refusal."""
        self.then(self.recipient)
        self.reply.fail(error)
