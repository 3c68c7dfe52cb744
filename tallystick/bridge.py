"""The bridge between the dispatcher's thread and an event loop: how answers reach the coroutines that wait for them."""

import asyncio
from typing import Any

from tallystick.actors.envelope import ExcInfo
from tallystick.actors.future import LightFuture
from tallystick.ledger.record import TaskRecord

AT_ONCE = 64  # answers handed over in one turn of the loop: others want theirs, too


class Bridge:
    """Carries answers from the dispatcher's thread into a loop: one wake-up for all that arrived meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived: list[LoopFuture] = []
        self._woken = False

    def arrived(self, future: "LoopFuture") -> None:
        """Take an answer, on the dispatcher's thread."""
        self._arrived.append(future)
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._hand_over)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._arrived.clear()
                self._woken = False

    def _hand_over(self) -> None:
        arrived = self._arrived
        taken = arrived[:AT_ONCE]
        del arrived[: len(taken)]
        if not arrived:
            self._woken = False  # before the last look: what arrives after it wakes the loop again
        if arrived:
            self._woken = True
            self.loop.call_soon(self._hand_over)
        for future in taken:
            future.hand_over()


class LoopFuture(LightFuture):
    """A future whose answer a coroutine awaits."""

    __slots__ = ("_bridge", "waiting")

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.waiting: asyncio.Future[TaskRecord] = bridge.loop.create_future()

    def set(self, value: Any | None = None) -> None:
        """Answer; called by the dispatcher."""
        super().set(value)
        self._bridge.arrived(self)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Answer with an exception; called by the dispatcher."""
        super().set_exception(exc_info)
        self._bridge.arrived(self)

    def hand_over(self) -> None:
        """Give the answer to the coroutine that waits, on the loop's thread; nothing when it was cancelled."""
        if self.waiting.done():
            return
        if self._exc_info is None:
            self.waiting.set_result(self._value)
        else:
            error = self._exc_info[1]
            assert error is not None, "errors are answered as values"
            self.waiting.set_exception(error)

    async def settled(self) -> None:
        """Wait for the answer without taking it; a wait that is cancelled leaves it to others."""
        if not self.waiting.done():
            await asyncio.wait((self.waiting,))

    def abandon(self) -> None:
        """Say that nobody waits for the answer any more, whatever it is."""
        if not self.waiting.cancel() and not self.waiting.cancelled():
            self.waiting.exception()  # looked at, so that asyncio does not complain that nobody did
