"""The ownership: what a process that joined a ledger has while it is its owner."""

from typing import TYPE_CHECKING, Protocol

from tallystick.actors.system import System
from tallystick.facts import Facts
from tallystick.ledger.clock import Clock
from tallystick.ledger.record import TaskRecord
from tallystick.projections.due import DueRules
from tallystick.readings import Readings

if TYPE_CHECKING:  # loaded where a ledger has an origin
    from tallystick.actors.notary import Notary


class Ownership(Protocol):
    """What the owner of a ledger has while it is that."""

    readings: Readings
    clock: Clock
    notary: "Notary | None"

    @property
    def system(self) -> System:
        """The actors of this process."""
        ...

    def judging(self) -> DueRules | None:
        """Return the rules by which it judges what is due by the clock; None when it does not."""
        ...

    def facts(self) -> Facts:
        """Return what writes."""
        ...

    def keep_alive(self, stream: bytes, ttl_ms: int) -> bool:
        """Take a sign of life; False when the log does not say yet that the task gives them."""
        ...

    def promised(self, record: TaskRecord) -> None:
        """Take note of what the log says now: the work promised to be heard of again."""
        ...

    def sweep(self) -> None:
        """Do what is due now, and wait until it is durable."""
        ...

    def close(self) -> None:
        """Commit and answer what was accepted, and be the owner no more."""
        ...
