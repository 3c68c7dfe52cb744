"""What tests of programs that embed a ledger need: a clock that moves when told, and a ledger without a disk."""

from tallystick.actors.metrics import Metrics
from tallystick.actors.redaction import Redact
from tallystick.building import assemble, discretion_of
from tallystick.config import Config
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.store.memory import MemoryLog
from tallystick.readings import Readings, due_rules
from tallystick.sync import Ledger

FIRST_MS = 1_790_000_000_000


class HandClock:
    """A clock that moves only when told. A ledger that goes by it does nothing by itself: `sweep` does what is due."""

    is_by_hand = True

    def __init__(self, at_ms: int = FIRST_MS) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        return self.at_ms

    def advance(self, ms: int) -> None:
        """Move on by `ms` milliseconds; negative ones set the clock back, as administrators do."""
        if type(ms) is not int:
            raise InvalidInput("ms", ms, "a whole number of milliseconds")
        self.at_ms += ms


def memory_ledger(
    *,
    clock: Clock | None = None,
    config: Config | None = None,
    actor: str = "test",
    redact: Redact | None = None,
    redact_stored: Redact | None = None,
    metrics: Metrics | None = None,
) -> Ledger:
    """Return an open ledger that keeps every promise of a real one except durability. Close it."""
    settings = config or Config()
    readings = Readings(MemoryLog(), None, rules=due_rules(settings))
    house = assemble(
        readings,
        [],
        settings,
        clock=clock or HandClock(),
        actor=actor,
        redact=redact,
        discretion=discretion_of(settings, redact_stored),
        metrics=metrics,
    )
    return Ledger(house)
