"""The one way in which the ledger learns what time it is."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the present moment, UTC, in whole milliseconds since 1970."""


def system_clock() -> int:
    """Return the machine's idea of now, in milliseconds."""
    return time.time_ns() // 1_000_000
