"""The dispatcher: one thread that runs many actors, turn by turn."""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.inbox import Inbox, Runnable
from tallystick.actors.log import logger
from tallystick.ledger.clock import Clock

log = logger("actors")

WAIT_S_MAX = 60.0
MS_PER_S = 1_000
CLOCK_BACK_MS = 1_000  # corrections of less than that do no harm


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


class _Call:
    """A callable that takes its turn like an actor."""

    def __init__(self, callback: Callable[[], None], otherwise: Callable[[], None]) -> None:
        self.drain, self.abandon = callback, otherwise


class Dispatcher:
    """Runs ready actors on its own thread until none is ready or the turn is full, then ends the turn.

    What `end_turn` does (commit a batch, say) happens once a turn; while it blocks, callers fill the next one.
    With `linger_s` a turn begins that much later than its first message, unless somebody calls `hurry`: fewer, larger
    turns for actors that follow others.
    When the thread ends it calls `at_end`, once; actors that become ready then are told to `abandon` what waits.
    """

    remembers = True

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        end_turn: Callable[[], None] = _nothing,
        is_full: Callable[[], bool] = _never,
        at_end: Callable[[], None] = _nothing,
        linger_s: float = 0.0,
    ) -> None:
        self.name, self._clock, self._linger_s = name, clock, linger_s
        self._end_turn, self._is_full, self._at_end = end_turn, is_full, at_end
        self._ready: deque[Runnable] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._idle = True
        self._stopping = False
        self._ended = False
        self.lock = threading.RLock()
        """For what is rare, and must not be done by two threads: to take mail that the dispatcher will not take."""
        self._hurried = False
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_ids = itertools.count()
        self._shown = 0
        self._courtesy = Courtesy()
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
            if self._ended:
                self._abandon()

    def hurry(self) -> None:
        """End the lingering of the turn that is about to begin."""
        self._hurried = True
        self._wake.put(None)

    def call_at(self, at_ms: int, callback: Callable[[], None]) -> None:
        """Call `callback` on the dispatcher's thread when the clock shows `at_ms`. Only that thread may ask."""
        if not self._timers:  # from now on it matters whether somebody sets the clock back
            with suppress(Exception):  # one that fails ends the thread when it is looked at
                self._shown = self._clock()
        heapq.heappush(self._timers, (at_ms, next(self._timer_ids), callback))

    def call_soon(self, callback: Callable[[], None], otherwise: Callable[[], None] = _nothing) -> None:
        """Call `callback` on the dispatcher's thread in its next turn, or `otherwise` when there is none any more.

        Any thread may ask.
        """
        self.schedule(_Call(callback, otherwise))

    def backlog(self) -> int:
        """How many actors wait for their turn."""
        return len(self._ready)

    def mail(self) -> int:
        """How many messages wait in the inboxes of those actors."""
        return sum(actor.depth() for actor in self._ready.copy() if isinstance(actor, Inbox))

    def is_current_thread(self) -> bool:
        """Whether the caller runs on this dispatcher's thread."""
        return threading.current_thread() is self._thread

    def stop(self, timeout_s: float) -> bool:
        """Run what is ready, then end the thread; whether it ended within `timeout_s` seconds."""
        self._stopping = True
        self._wake.put(None)
        if self._thread.ident is None:  # it was never started
            self._end()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                self._fire_timers()
                self._turn()
                if not self._ready and not self._rest():
                    break
        except BaseException:  # the clock, say; better ended than silent
            log.exception("dispatcher_died", dispatcher=self.name)
        self._end()

    def _turn(self) -> None:
        ready, is_full = self._ready, self._is_full
        while ready and not is_full():
            self._courtesy.pause()
            try:
                ready.popleft().drain()
            except BaseException:  # the turn outlives whatever an actor does
                log.exception("turn_failed", dispatcher=self.name)
        try:
            self._end_turn()
        except BaseException:  # and the loop whatever a turn does
            log.exception("end_of_turn_failed", dispatcher=self.name)

    def _end(self) -> None:
        with self.lock:
            if self._ended:
                return
            self._ended = True
            try:
                self._at_end()
            except BaseException:  # others wait to be answered
                log.exception("end_failed", dispatcher=self.name)
            self._abandon()

    def _abandon(self) -> None:
        """Let those who are ready answer what waits for them, for nobody runs them any more.

        On the ended thread, and from then on on the thread of whoever schedules: a flag that stays up leads all of
        them here, and the lock lets one inbox have one taker.
        """
        with self.lock:
            self._idle = True
            while self._ready:
                try:
                    self._ready.popleft().abandon()
                except BaseException:  # as above
                    log.exception("abandoning_failed", dispatcher=self.name)

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
        if not timers:
            return
        now = self._clock()
        if now < self._shown - CLOCK_BACK_MS:  # set back: at their moments they would come far too late
            timers[:] = [(min(at_ms, now), number, callback) for at_ms, number, callback in timers]
            heapq.heapify(timers)
        self._shown = now
        while timers and timers[0][0] <= self._clock():
            callback = heapq.heappop(timers)[2]
            try:
                callback()
            except BaseException:  # one timer's failure is its own
                log.exception("timer_failed", dispatcher=self.name)
