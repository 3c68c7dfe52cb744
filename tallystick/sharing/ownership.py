"""The ownership: what a process that joined a ledger has while it is its owner."""

from typing import Protocol

from tallystick.facts import Facts
from tallystick.ledger.record import TaskRecord


class Ownership(Protocol):
    """What the owner of a ledger has while it is that."""

    def facts(self) -> Facts:
        """Return what writes."""
        ...

    def keep_alive(self, stream: bytes, ttl_ms: int) -> bool:
        """Take a sign of life; False when the log does not say yet that the task gives them."""
        ...

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        ...

    def close(self) -> None:
        """Commit and answer what was accepted, and be the owner no more."""
        ...
