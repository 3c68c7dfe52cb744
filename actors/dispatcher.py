"""The dispatcher: one thread that runs many actors, turn by turn."""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from tallystick.actors.inbox import Runnable
from tallystick.actors.log import logger
from tallystick.ledger.clock import Clock

log = logger("actors")

WAIT_S_MAX = 60.0
MS_PER_S = 1_000


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


class _Call:
    """A callable that takes its turn like an actor."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.drain = callback


class Dispatcher:
    """Runs ready actors on its own thread until none is ready or the turn is full, then ends the turn.

    What `end_turn` does (commit a batch, say) happens once a turn; while it blocks, callers fill the next one.
    With `linger_s` a turn begins that much later than its first message, unless somebody calls `hurry`: fewer, larger
    turns for actors that follow others.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        end_turn: Callable[[], None] = _nothing,
        is_full: Callable[[], bool] = _never,
        linger_s: float = 0.0,
    ) -> None:
        self.name, self._clock, self._linger_s = name, clock, linger_s
        self._end_turn, self._is_full = end_turn, is_full
        self._ready: deque[Runnable] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._idle = True
        self._stopping = False
        self._hurried = False
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_ids = itertools.count()
        self._thread = threading.Thread(target=self._run, name=f"tallystick-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def schedule(self, actor: Runnable) -> None:
        """Give the actor a turn. Any thread may call this."""
        self._ready.append(actor)
        # The actor is in the queue before the flag is read, and the loop raises the flag before it looks at the
        # queue: one of the two always sees the other.
        if self._idle:
            self._idle = False
            self._wake.put(None)

    def hurry(self) -> None:
        """End the lingering of the turn that is about to begin."""
        self._hurried = True
        self._wake.put(None)

    def call_at(self, at_ms: int, callback: Callable[[], None]) -> None:
        """Call `callback` on the dispatcher's thread when the clock shows `at_ms`. Only that thread may ask."""
        heapq.heappush(self._timers, (at_ms, next(self._timer_ids), callback))

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the dispatcher's thread in its next turn. Any thread may ask."""
        self.schedule(_Call(callback))

    def backlog(self) -> int:
        """How many actors wait for their turn."""
        return len(self._ready)

    def is_current_thread(self) -> bool:
        """Whether the caller runs on this dispatcher's thread."""
        return threading.current_thread() is self._thread

    def stop(self, timeout_s: float) -> bool:
        """Run what is ready, then end the thread; whether it ended within `timeout_s` seconds."""
        self._stopping = True
        self._wake.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._fire_timers()
            self._turn()
            if not self._ready and not self._rest():
                return

    def _turn(self) -> None:
        ready, is_full = self._ready, self._is_full
        try:
            while ready and not is_full():
                ready.popleft().drain()
            self._end_turn()
        except BaseException:  # the loop outlives whatever a turn does
            log.exception("dispatcher_turn_failed", dispatcher=self.name)

    def _rest(self) -> bool:
        """Wait for work. False when the dispatcher is to stop and nothing is left."""
        self._idle = True
        if self._ready:
            self._idle = False
            return True
        if self._stopping:
            return False
        self._wait(self._seconds_to_next_timer())
        self._idle = False
        if self._linger_s and self._ready and not (self._hurried or self._stopping):
            self._wait(self._linger_s)
        self._hurried = False
        return True

    def _wait(self, seconds: float) -> None:
        try:
            self._wake.get(timeout=seconds)
            while True:  # one wake is as good as many
                self._wake.get_nowait()
        except Empty:
            pass

    def _seconds_to_next_timer(self) -> float:
        if not self._timers:
            return WAIT_S_MAX
        return min(max(self._timers[0][0] - self._clock(), 1) / MS_PER_S, WAIT_S_MAX)

    def _fire_timers(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._clock():
            callback = heapq.heappop(timers)[2]
            try:
                callback()
            except Exception:  # one timer's failure is its own
                log.exception("timer_failed", dispatcher=self.name)
