"""Pacing: when the next attempt is made. Pure: exponential, with jitter, to a ceiling, within a window."""

from hashlib import blake2b

from msgspec import Struct

from tallystick.ledger.limits import (
    DELIVERY_CEILING_MS,
    DELIVERY_FIRST_MS,
    DELIVERY_LIMIT_MS,
    DELIVERY_WINDOW_MS,
    PATIENCE_MS_MAX,
)
from tallystick.ledger.outbox import Waiting

DOUBLINGS_MAX = 32
JITTER = 0.2
"""By how much of itself a pause is longer at the most, so that what failed together does not come back together."""

_DIGEST_BYTES = 4


class Pacing(Struct, frozen=True):
    """How attempts follow each other, in ms."""

    first: int = DELIVERY_FIRST_MS
    ceiling: int = DELIVERY_CEILING_MS
    window: int = DELIVERY_WINDOW_MS
    limit: int = DELIVERY_LIMIT_MS

    def after(self, attempt: int, name: str) -> int:
        """Return how long to wait after so many failed attempts; `name` decides about the jitter, always the same."""
        plain = min(self.first << min(attempt - 1, DOUBLINGS_MAX), self.ceiling)
        digest = blake2b(f"{attempt}:{name}".encode(), digest_size=_DIGEST_BYTES).digest()
        share = int.from_bytes(digest) / (1 << 8 * _DIGEST_BYTES)
        return min(plain + int(plain * JITTER * share), max(self.ceiling, self.first))

    def next_attempt(self, now: int, attempt: int, name: str, *, queued_at: int, after_ms: int | None) -> int | None:
        """Return when to try again after a failed attempt (ms); None when that is outside of the window.

        The receiver may ask for more patience, `after_ms`, up to PATIENCE_MS_MAX.
        """
        at = now + max(self.after(attempt, name), min(after_ms or 0, PATIENCE_MS_MAX))
        return at if at < queued_at + self.window else None

    def is_due(self, now: int, waiting: Waiting) -> bool:
        """Whether something is to be sent now: also what was to wait by a clock that was set back since."""
        if waiting.due_at is None:
            return False
        if waiting.due_at <= now or waiting.due_at == waiting.queued_at:  # never tried, by whatever clock
            return True
        longest = max(self.ceiling, self.first)
        if waiting.queued_at <= now:  # the receiver may have asked for patience
            longest = max(longest, PATIENCE_MS_MAX)
        return waiting.due_at > now + longest

    def is_over(self, now: int, queued_at: int) -> bool:
        """Whether no more attempts are made of what has waited since `queued_at`."""
        return now >= queued_at + self.window
