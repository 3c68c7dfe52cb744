"""The crew: threads that call what may block, each call with a time limit, so that nobody else waits for it."""

import heapq
import inspect
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from tallystick.actors.log import logger
from tallystick.ledger.limits import PROBES_AT_ONCE

if TYPE_CHECKING:  # loaded when somebody hands over a coroutine function
    import asyncio

log = logger("actors")

Done = Callable[[Any], None]
"""What is called with the answer of a call, or with the exception that took its place."""


class Unanswered(Exception):
    """A call had no answer in time, or could not be made because too many before it have none yet."""


class _Call:
    __slots__ = ("argument", "done", "function", "gang", "is_over", "key", "limit_s")

    def __init__(
        self, gang: "_Gang", key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        self.gang, self.key, self.function, self.argument = gang, key, function, argument
        self.limit_s, self.done, self.is_over = limit_s, done, False


class _Gang:
    """The calls of one kind: who waits, who works, and who hangs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.waiting: deque[_Call] = deque()
        self.keys: set[bytes] = set()
        self.working = self.hanging = 0


class Crew:
    """Calls functions on threads of its own, plain ones and coroutine functions.

    Of each kind at most `at_once` calls are under way. A call that takes longer than its limit is answered with
    `Unanswered` and left alone: its thread cannot be stopped, so another takes its place, up to `at_once` of a kind;
    when that many hang, further calls of the kind are answered with `Unanswered` at once. No key is called again while
    its last call hangs. So one that hangs delays nobody else, and many that hang delay only their own kind.
    Coroutines run on `loop`, else on one that the crew makes. The limits are real time, whatever the ledger's clock.
    `done` is called on one of the crew's threads, and must not block.
    """

    def __init__(self, *, at_once: int = PROBES_AT_ONCE, loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        self._at_once, self._loop, self._own_loop = at_once, loop, False
        self._lock = threading.Condition()
        self._gangs: dict[str, _Gang] = {}
        self._limits: list[tuple[float, int, _Call]] = []
        self._counter = itertools.count()
        self._warden: threading.Thread | None = None
        self._closed = False

    def call(
        self, kind: str, key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        """Call `function(argument)` soon; `done` gets what it returns or raises, or `Unanswered`, exactly once."""
        with self._lock:
            gang = self._gangs.setdefault(kind, _Gang(kind))
            problem = self._problem(gang, key)
            if problem is None:
                gang.keys.add(key)
                gang.waiting.append(_Call(gang, key, function, argument, limit_s=limit_s, done=done))
                self._fill(gang)
        if problem is not None:
            _tell(done, Unanswered(problem))

    def hanging(self) -> dict[str, int]:
        """Return how many calls of each kind are over their limit and have not come back."""
        with self._lock:
            return {kind: gang.hanging for kind, gang in self._gangs.items() if gang.hanging}

    def close(self) -> None:
        """Begin no more calls; those that wait are answered with `Unanswered`. Closing twice is allowed."""
        with self._lock:
            self._closed = True
            left = [call for gang in self._gangs.values() for call in gang.waiting]
            for gang in self._gangs.values():
                gang.waiting.clear()
            self._lock.notify_all()
            loop, self._loop = self._loop, None
            own, self._own_loop = self._own_loop, False
        for call in left:
            _tell(call.done, Unanswered("the ledger was closed"))
        if own and loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _problem(self, gang: _Gang, key: bytes) -> str | None:
        if self._closed:
            return "the ledger was closed"
        if key in gang.keys:
            return "the last call of it has not come back"
        if gang.hanging >= self._at_once:
            return f"{gang.hanging} calls of {gang.kind} have not come back"
        return None

    def _fill(self, gang: _Gang) -> None:
        """Put a thread on what waits, if one may be had. Called with the lock."""
        if gang.waiting and gang.working < self._at_once:
            gang.working += 1
            threading.Thread(target=self._work, args=(gang,), name=f"tallystick-{gang.kind}", daemon=True).start()

    def _work(self, gang: _Gang) -> None:
        while True:
            with self._lock:
                if not gang.waiting:
                    gang.working -= 1
                    return
                call = gang.waiting.popleft()
                self._limit(call)
            answer = self._answer_of(call)
            with self._lock:
                gang.keys.discard(call.key)
                if call.is_over:  # its caller has given up, and another thread has this one's place
                    gang.hanging -= 1
                    return
                call.is_over = True
            _tell(call.done, answer)

    def _answer_of(self, call: _Call) -> Any:
        try:
            answer = call.function(call.argument)
            if inspect.isawaitable(answer):
                return self._awaited(answer, call.limit_s)
        except BaseException as error:  # noqa: BLE001 - whatever others wrote may raise; their caller is told
            return error
        return answer

    def _awaited(self, answer: Any, limit_s: float) -> Any:
        import asyncio  # noqa: PLC0415 - most probes are plain functions

        async def waited() -> Any:
            return await asyncio.wait_for(answer, limit_s)

        coroutine = waited()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        except BaseException:
            _dispose(coroutine, answer)
            raise
        try:
            return future.result(limit_s)
        except TimeoutError:
            future.cancel()
            raise Unanswered(f"no answer within {limit_s:g} s") from None

    def _running_loop(self) -> "asyncio.AbstractEventLoop":
        import asyncio  # noqa: PLC0415 - as above

        with self._lock:
            if self._loop is None:
                if self._closed:
                    raise Unanswered("the ledger was closed")
                loop = self._loop = asyncio.new_event_loop()
                self._own_loop = True
                threading.Thread(target=_run, args=(loop,), name="tallystick-async", daemon=True).start()
            return self._loop

    # What takes too long.

    def _limit(self, call: _Call) -> None:
        """Look at a call when its time is over. Called with the lock."""
        heapq.heappush(self._limits, (time.monotonic() + call.limit_s, next(self._counter), call))
        if self._warden is None:
            self._warden = threading.Thread(target=self._watch, name="tallystick-limits", daemon=True)
            self._warden.start()
        elif self._limits[0][2] is call:
            self._lock.notify_all()

    def _watch(self) -> None:
        while True:
            with self._lock:
                while self._limits and self._limits[0][2].is_over:
                    heapq.heappop(self._limits)
                if self._closed and not self._limits:
                    self._warden = None
                    return
                left = self._limits[0][0] - time.monotonic() if self._limits else None
                if left is None or left > 0:
                    self._lock.wait(left)
                    continue
                call = heapq.heappop(self._limits)[2]
                call.is_over = True
                stranded = self._give_up(call.gang)
            _tell(call.done, Unanswered(f"no answer within {call.limit_s:g} s"))
            for other in stranded:
                _tell(other.done, Unanswered(f"{self._at_once} calls of {call.gang.kind} have not come back"))

    def _give_up(self, gang: _Gang) -> list[_Call]:
        """Leave a thread to its call; return who waits for a thread in vain, because no more may hang."""
        gang.working -= 1
        gang.hanging += 1
        log.error("call_hangs", kind=gang.kind, hanging=gang.hanging)
        if gang.hanging < self._at_once:
            self._fill(gang)
            return []
        stranded = list(gang.waiting)
        gang.waiting.clear()
        gang.keys.difference_update(call.key for call in stranded)
        return stranded


def _tell(done: Done, answer: Any) -> None:
    try:
        done(answer)
    except BaseException:  # the thread has others to tell
        log.exception("answer_not_taken")


def _dispose(*coroutines: Any) -> None:
    """Close coroutines that never ran, so that nobody warns about them."""
    for coroutine in coroutines:
        if isinstance(coroutine, Coroutine):
            coroutine.close()


def _run(loop: "asyncio.AbstractEventLoop") -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
