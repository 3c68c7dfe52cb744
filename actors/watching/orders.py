"""The orders: what a supervisor is told to do, and how often it looks by itself."""

from msgspec import Struct

from tallystick.ledger.lifecycle import Runtime
from tallystick.ledger.limits import PROBE_LIMIT_MS, SWEEP_FIRST_MS, SWEEP_INTERVAL_MS


class Pace(Struct, frozen=True):
    """How often the supervisor looks, in ms. With a clock that moves by hand it looks when it is told to."""

    first: int = SWEEP_FIRST_MS
    interval: int = SWEEP_INTERVAL_MS
    probe_limit: int = PROBE_LIMIT_MS
    by_hand: bool = False


class Sweep(Struct, frozen=True):
    """Asks the supervisor to do all that is due now, and to look into every task that it follows."""


class Look(Struct, frozen=True):
    """Asks the supervisor to do what is due of these tasks now, and to look into them; into no others."""

    streams: frozenset[bytes]


class Settle(Struct, frozen=True):
    """Asks the supervisor to judge every task that names a process or signs of life: a new owner has the ledger."""


class Follow(Struct, frozen=True):
    """Asks the supervisor to follow what runs already of a runtime that has a probe now."""

    runtime: Runtime
