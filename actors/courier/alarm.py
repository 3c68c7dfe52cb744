"""The alarm: when the courier looks again, the earliest of all moments it was set to."""

from collections.abc import Callable

from tallystick.actors.dispatcher import Dispatcher
from tallystick.ledger.clock import Clock

TICK_MS_MIN = 50  # however many moments lie between


class Alarm:
    """Calls `ring` on the dispatcher's thread at the earliest moment it was set to; by hand never."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock, ring: Callable[[], None], *, by_hand: bool) -> None:
        self._dispatcher, self._clock, self._ring, self._by_hand = dispatcher, clock, ring, by_hand
        self._next_at: int | None = None

    def by(self, at_ms: int | None) -> None:
        """Ring at that moment, if not before."""
        if at_ms is None or self._by_hand or (self._next_at is not None and self._next_at <= at_ms):
            return
        at_ms = max(at_ms, self._clock() + TICK_MS_MIN)
        if self._next_at is not None and self._next_at <= at_ms:
            return
        self._next_at = at_ms
        self._dispatcher.call_at(at_ms, lambda: self._rung() if self._next_at == at_ms else None)

    def _rung(self) -> None:
        self._next_at = None
        self._ring()
