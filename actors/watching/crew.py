"""The crew: threads that call what may block, each call with a time limit, so that nobody else waits for it."""

import inspect
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tallystick.actors.courtesy import Courtesy
from tallystick.actors.log import logger
from tallystick.actors.watching.gang import HEED_S, Call, Done, Gang
from tallystick.ledger.limits import PROBES_AT_ONCE

if TYPE_CHECKING:  # loaded when somebody hands over a coroutine function
    import asyncio
    from concurrent.futures import Future

log = logger("actors")

QUICK_S = 0.01
"""Who takes up the next call sooner needs no help. More threads that only compute would not do more, and would keep the
embedder's loop waiting: each may keep the interpreter for some milliseconds."""

LINGER_S = 0.2
"""How long a thread waits for its next call: to begin another one costs more than most calls."""


class Unanswered(Exception):
    """A call had no answer in time, or could not be made because too many before it have none yet.

    `hangs` says that it was not made because the last call of the same key has not come back.
    """

    def __init__(self, message: str, *, hangs: bool = False) -> None:
        super().__init__(message)
        self.hangs = hangs


class Crew:
    """Calls functions on threads of its own, plain ones and coroutine functions.

    Of each kind at most `at_once` calls are under way, and no more than it takes: one thread serves those that answer
    quickly, and others join it while one is kept waiting for longer than `quick_s`. A call that takes longer than its
    limit is answered with `Unanswered` and left alone: its thread cannot be stopped, so another takes its place, up to
    `at_once` of a kind; when that many hang, further calls of the kind are answered with `Unanswered` at once. No key
    is called again while its last call hangs. So one that hangs delays nobody else, and many that hang delay only
    their own kind.
    Coroutines run on `loop`, else on one that the crew makes; they are cancelled at their limit, and hang when they do
    not heed that. The limits are real time, whatever the ledger's clock.
    A thread without a call stays for LINGER_S: when nothing is under way, none stays longer, but the loop's.
    `done` is called on one of the crew's threads, and must not block.
    """

    def __init__(
        self,
        *,
        at_once: int = PROBES_AT_ONCE,
        quick_s: float = QUICK_S,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        self._at_once, self._quick_s, self._loop, self._own_loop = at_once, quick_s, loop, False
        self._lock = threading.RLock()
        self._gangs: dict[str, Gang] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._warden: threading.Thread | None = None
        self._sooner = threading.Condition(self._lock)
        self._look_at = math.inf
        """When the warden looks, unless it is told of something `_sooner`."""
        self._closed = False

    def call(
        self, kind: str, key: bytes, function: Callable[[Any], Any], argument: Any, *, limit_s: float, done: Done
    ) -> None:
        """Call `function(argument)` soon; `done` gets what it returns or raises, or `Unanswered`, exactly once."""
        stranded: list[Call] = []
        with self._lock:
            gang = self._gangs.get(kind)
            if gang is None:
                gang = self._gangs[kind] = Gang(kind, self._at_once)
            problem = self._problem(gang, key)
            if problem is None:
                gang.keys.add(key)
                gang.waiting.append(Call(key, function, argument, limit_s=limit_s, done=done))
                stranded = self._fill(gang)
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
                while gang.idle:
                    gang.rouse()
            self._sooner.notify()
            loop, self._loop = self._loop, None
            own, self._own_loop = self._own_loop, False
        for call in left:
            _tell(call.done, Unanswered("the ledger was closed"))
        if loop is not None:
            with suppress(RuntimeError):  # an embedder may have closed his
                loop.call_soon_threadsafe(loop.stop if own else self._cancel_tasks)

    def _problem(self, gang: Gang, key: bytes) -> Unanswered | None:
        if self._closed:
            return Unanswered("the ledger was closed")
        if key in gang.keys:
            return Unanswered("the last call of it has not come back", hangs=True)
        if gang.hanging >= self._at_once:
            return Unanswered(f"{gang.hanging} calls of {gang.kind} have not come back")
        return None

    def _fill(self, gang: Gang) -> list[Call]:
        """Put a thread on what waits, if that helps; return who waits in vain. Called with the lock."""
        if not gang.waiting or not gang.may_grow():
            return []
        now = time.monotonic()
        if gang.is_busy() and now < gang.taken_at + self._quick_s:
            self._look_by(gang.taken_at + self._quick_s)
            return []
        gang.taken_at = now
        if len(gang.waiting) > 1:
            self._look_by(now + self._quick_s)
        if gang.idle:
            gang.rouse()
            return []
        try:
            if self._warden is None:
                warden = threading.Thread(target=self._watch, name="tallystick-limits", daemon=True)
                warden.start()
                self._warden = warden
            threading.Thread(target=self._work, args=(gang,), name=f"tallystick-{gang.kind}", daemon=True).start()
        except RuntimeError:  # the machine has none left; whoever is at work takes up what waits
            log.exception("no_thread", kind=gang.kind)
            return [] if gang.threads else gang.strand()
        gang.threads += 1
        return []

    def _work(self, gang: Gang) -> None:
        courtesy = Courtesy()
        while call := self._taken(gang):
            answer = self._answer_of(call)
            with self._lock:
                gang.keys.discard(call.key)
                if call.is_over:  # its caller has given up, and another thread has this one's place
                    gang.hanging -= 1
                    return
                call.is_over = True
                gang.called.discard(call)
            _tell(call.done, answer)
            courtesy.pause()

    def _taken(self, gang: Gang) -> Call | None:
        """Take the next call, when there is one within LINGER_S; else the thread has to go."""
        is_in_vain = False
        while True:
            with self._lock:
                call = gang.take()
                if call is not None:
                    self._look_by(call.until)
                    return call
                if is_in_vain or self._closed:
                    gang.threads -= 1
                    self._look_by(0)  # the warden may go, too
                    return None
                turn = gang.linger()
            turn.acquire(timeout=LINGER_S)
            with self._lock:
                is_in_vain = gang.linger_no_more(turn)

    def _answer_of(self, call: Call) -> Any:
        try:
            answer = call.function(call.argument)
            if inspect.isawaitable(answer):
                return self._awaited(answer, call)
        except BaseException as error:  # noqa: BLE001 - whatever others wrote may raise; their caller is told
            return error
        return answer

    # Coroutines.

    def _awaited(self, answer: Any, call: Call) -> Any:
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

    def _look_by(self, at: float) -> None:
        """Let the warden look at that moment, if not before. Called with the lock."""
        if at < self._look_at:
            self._look_at = at
            self._sooner.notify()

    def _watch(self) -> None:
        while True:
            with self._lock:
                late = self._late()
                if late is None:
                    if not any(each.threads for each in self._gangs.values()):
                        self._warden = None
                        return
                    self._sooner.wait(None if self._look_at == math.inf else self._look_at - time.monotonic())
                    continue
                gang, call = late
                stranded = self._give_up(gang, call)
            _tell(call.done, Unanswered(_too_long(call)))
            for other in stranded:
                _tell(other.done, Unanswered(f"too many calls of {gang.kind} have not come back"))

    def _late(self) -> tuple[Gang, Call] | None:
        """Return a call that is to be given up; without one, help those who wait, and note when to look again.

        Called with the lock.
        """
        now = time.monotonic()
        calls = [(gang, call) for gang in self._gangs.values() for call in gang.called]
        late = next((each for each in calls if each[1].is_late(now)), None)
        if late is None:
            self._look_at = min((call.look_at for _, call in calls), default=math.inf)
            for gang in self._gangs.values():
                if gang.threads:  # else nobody waits
                    self._fill(gang)
        return late

    def _give_up(self, gang: Gang, call: Call) -> list[Call]:
        """Leave a thread to its call; return who waits for a thread in vain, because no more may hang."""
        call.is_over = True
        gang.called.discard(call)
        gang.threads -= 1
        gang.hanging += 1
        log.error("call_hangs", kind=gang.kind, hanging=gang.hanging)
        return self._fill(gang) if gang.hanging < self._at_once else gang.strand()


def _tell(done: Done, answer: Any) -> None:
    try:
        done(answer)
    except BaseException:  # the thread has others to tell
        log.exception("answer_not_taken")


def _too_long(call: Call) -> str:
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
