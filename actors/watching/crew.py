"""The crew: threads that call what may block, each call with a time limit, so that nobody else waits for it."""

import heapq
import inspect
import itertools
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.log import logger
from tallystick.ledger.limits import PROBES_AT_ONCE

if TYPE_CHECKING:  # loaded when somebody hands over a coroutine function
    import asyncio
    from concurrent.futures import Future

log = logger("actors")

QUICK_S = 0.01
"""Who takes up the next call sooner needs no help. More threads that only compute would not do more, and would keep the
embedder's loop waiting: each may keep the interpreter for some milliseconds."""

HEED_S = 1.0  # how long a coroutine that is cancelled may take to end

Done = Callable[[Any], None]
"""What is called with the answer of a call, or with the exception that took its place."""


class Unanswered(Exception):
    """A call had no answer in time, or could not be made because too many before it have none yet.

    `hangs` says that it was not made because the last call of the same key has not come back.
    """

    def __init__(self, message: str, *, hangs: bool = False) -> None:
        super().__init__(message)
        self.hangs = hangs


class _Call:
    __slots__ = ("argument", "done", "function", "gang", "is_awaited", "is_over", "key", "limit_s", "until")

    def __init__(
        self, gang: "_Gang", key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        self.gang, self.key, self.function, self.argument = gang, key, function, argument
        self.limit_s, self.done, self.is_over = limit_s, done, False
        self.is_awaited, self.until = False, 0.0


class _Gang:
    """The calls of one kind: who waits, who works, and who hangs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.waiting: deque[_Call] = deque()
        self.keys: set[bytes] = set()
        self.working = self.hanging = 0
        self.taken_at = 0.0
        self.is_crowded = False

    def strand(self) -> list[_Call]:
        """Return those who wait in vain, and let them wait no more."""
        stranded = list(self.waiting)
        self.waiting.clear()
        self.keys.difference_update(call.key for call in stranded)
        return stranded


class Crew:
    """Calls functions on threads of its own, plain ones and coroutine functions.

    Of each kind at most `at_once` calls are under way, and no more than it takes: one thread serves those that answer
    quickly, and others join it while it is kept waiting. A call that takes longer than its limit is answered with
    `Unanswered` and left alone: its thread cannot be stopped, so another takes its place, up to `at_once` of a kind;
    when that many hang, further calls of the kind are answered with `Unanswered` at once. No key is called again while
    its last call hangs. So one that hangs delays nobody else, and many that hang delay only their own kind.
    Coroutines run on `loop`, else on one that the crew makes; they are cancelled at their limit, and hang when they do
    not heed that. The limits are real time, whatever the ledger's clock.
    When nothing is under way, no thread stays longer than the last limit, but the loop's.
    `done` is called on one of the crew's threads, and must not block.
    """

    def __init__(self, *, at_once: int = PROBES_AT_ONCE, loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        self._at_once, self._loop, self._own_loop = at_once, loop, False
        self._lock = threading.Condition()
        self._gangs: dict[str, _Gang] = {}
        self._limits: list[tuple[float, int, _Call]] = []
        self._counter = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._warden: threading.Thread | None = None
        self._closed = False

    def call(
        self, kind: str, key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        """Call `function(argument)` soon; `done` gets what it returns or raises, or `Unanswered`, exactly once."""
        stranded: list[_Call] = []
        with self._lock:
            gang = self._gangs.setdefault(kind, _Gang(kind))
            problem = self._problem(gang, key)
            if problem is None:
                gang.keys.add(key)
                gang.waiting.append(_Call(gang, key, function, argument, limit_s=limit_s, done=done))
                stranded = self._fill(gang)
                if gang.waiting and not gang.is_crowded:
                    gang.is_crowded = True
                    self._lock.notify_all()  # the warden sees to it that they do not wait for long
        if problem is not None:
            _tell(done, problem)
        for each in stranded:
            _tell(each.done, Unanswered("no thread can be had"))

    def is_closed(self) -> bool:
        """Whether no more calls are begun."""
        return self._closed

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
        if loop is not None:
            with suppress(RuntimeError):  # an embedder may have closed his
                loop.call_soon_threadsafe(loop.stop if own else self._cancel_tasks)

    def _problem(self, gang: _Gang, key: bytes) -> Unanswered | None:
        if self._closed:
            return Unanswered("the ledger was closed")
        if key in gang.keys:
            return Unanswered("the last call of it has not come back", hangs=True)
        if gang.hanging >= self._at_once:
            return Unanswered(f"{gang.hanging} calls of {gang.kind} have not come back")
        return None

    def _fill(self, gang: _Gang) -> list[_Call]:
        """Put a thread on what waits, if one may be had; return who waits in vain. Called with the lock."""
        if not gang.waiting or gang.working >= self._at_once:
            return []
        if gang.working and time.monotonic() < gang.taken_at + QUICK_S:
            return []
        try:
            if self._warden is None:
                warden = threading.Thread(target=self._watch, name="tallystick-limits", daemon=True)
                warden.start()
                self._warden = warden
            threading.Thread(target=self._work, args=(gang,), name=f"tallystick-{gang.kind}", daemon=True).start()
        except RuntimeError:  # the machine has none left; whoever is at work takes up what waits
            log.exception("no_thread", kind=gang.kind)
            return [] if gang.working else gang.strand()
        gang.working += 1
        return []

    def _work(self, gang: _Gang) -> None:
        courtesy = Courtesy()
        while True:
            courtesy.pause()
            with self._lock:
                if not gang.waiting:
                    gang.working -= 1
                    if self._closed or not self._limits:
                        self._lock.notify_all()  # the warden may go, too
                    return
                call = gang.waiting.popleft()
                gang.taken_at = time.monotonic()
                call.until = gang.taken_at + call.limit_s
                self._limit(call, call.until)
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
                return self._awaited(answer, call)
        except BaseException as error:  # noqa: BLE001 - whatever others wrote may raise; their caller is told
            return error
        return answer

    # Coroutines.

    def _awaited(self, answer: Any, call: _Call) -> Any:
        """Wait until it is really over: a coroutine that does not heed its cancellation hangs like any other call."""
        import asyncio  # noqa: PLC0415 - most probes are plain functions

        left = call.until - time.monotonic()
        call.is_awaited = left > 0
        caught = _caught(answer)
        waiting = asyncio.wait_for(caught, left)
        limited = self._followed(waiting)
        try:
            if left <= 0:
                raise TimeoutError
            return self._begun(limited).result()
        except TimeoutError:
            if time.monotonic() < call.until:
                raise  # its own
            raise Unanswered(_too_long(call)) from None
        finally:
            for coroutine in (limited, waiting, caught, answer):  # one that never began would be warned about
                if inspect.iscoroutine(coroutine):
                    coroutine.close()

    def _begun(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Hand a coroutine to the loop: whatever is handed over comes before the stop."""
        import asyncio  # noqa: PLC0415 - as above

        with self._lock:
            if self._closed:
                raise Unanswered("the ledger was closed")
            if self._loop is None:
                loop = asyncio.new_event_loop()
                try:
                    threading.Thread(target=_run, args=(loop,), name="tallystick-async", daemon=True).start()
                except BaseException:
                    loop.close()
                    raise
                self._loop, self._own_loop = loop, True
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _followed(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Let the closing cancel it."""
        import asyncio  # noqa: PLC0415 - as above

        task = asyncio.current_task()
        assert task is not None, "it runs on a loop"
        self._tasks.add(task)
        try:
            return await coroutine
        finally:
            self._tasks.discard(task)

    def _cancel_tasks(self) -> None:
        """Cancel what nobody waits for any more; on the loop's thread."""
        for task in tuple(self._tasks):
            task.cancel()

    # What takes too long.

    def _limit(self, call: _Call, at: float) -> None:
        """Look at a call when its time is over. Called with the lock."""
        heapq.heappush(self._limits, (at, next(self._counter), call))
        if self._limits[0][2] is call:
            self._lock.notify_all()

    def _watch(self) -> None:
        while True:
            with self._lock:
                while self._limits and self._limits[0][2].is_over:
                    heapq.heappop(self._limits)
                if not self._limits and not any(gang.working for gang in self._gangs.values()):
                    self._warden = None
                    return
                is_crowded = self._help()
                left = self._limits[0][0] - time.monotonic() if self._limits else None
                if left is None or left > 0:
                    self._lock.wait(min(left or QUICK_S, QUICK_S) if is_crowded else left)
                    continue
                at, _, call = heapq.heappop(self._limits)
                if call.is_awaited and at == call.until:  # it is being cancelled
                    self._limit(call, at + HEED_S)
                    continue
                call.is_over = True
                stranded = self._give_up(call.gang)
            _tell(call.done, Unanswered(_too_long(call)))
            for other in stranded:
                _tell(other.done, Unanswered(f"too many calls of {call.gang.kind} have not come back"))

    def _help(self) -> bool:
        """Put another thread on what has been waiting for long; whether anybody still waits. Called with the lock."""
        for gang in self._gangs.values():
            if gang.working:  # else nobody waits
                self._fill(gang)
            gang.is_crowded = bool(gang.waiting) and gang.working < self._at_once
        return any(gang.is_crowded for gang in self._gangs.values())

    def _give_up(self, gang: _Gang) -> list[_Call]:
        """Leave a thread to its call; return who waits for a thread in vain, because no more may hang."""
        gang.working -= 1
        gang.hanging += 1
        log.error("call_hangs", kind=gang.kind, hanging=gang.hanging)
        return self._fill(gang) if gang.hanging < self._at_once else gang.strand()


def _tell(done: Done, answer: Any) -> None:
    try:
        done(answer)
    except BaseException:  # the thread has others to tell
        log.exception("answer_not_taken")


def _too_long(call: _Call) -> str:
    return f"no answer within {call.limit_s:g} s"


async def _caught(answer: Awaitable[Any]) -> Any:
    """Return what would end the loop if it were raised there."""
    try:
        return await answer
    except (KeyboardInterrupt, SystemExit) as error:
        return error


def _run(loop: "asyncio.AbstractEventLoop") -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_wind_up())
    finally:
        loop.close()


async def _wind_up() -> None:
    """Cancel what has not come back, and give it a moment to heed that."""
    import asyncio  # noqa: PLC0415 - as above

    for _ in range(2):  # what was handed over begins, and what it waits for
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=HEED_S)
