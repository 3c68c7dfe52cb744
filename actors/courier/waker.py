"""The waker: tells whoever runs a session that something waits there, at once, and not more often than makes sense."""

import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import TypeAlias

from msgspec import Struct

from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew, Unanswered
from tallystick.actors.watching.supervision import in_words
from tallystick.ledger.clock import Clock
from tallystick.ledger.limits import DELIVERY_LIMIT_MS, ROUSED_AT_ONCE, SESSIONS_KEPT, WAKE_COALESCED_MS

log = logger("actors")

OnWake: TypeAlias = Callable[[str], Awaitable[None] | None]
"""Is told the key of a session in which something waits."""

MS_PER_S = 1_000


class _Call(Struct, eq=False):
    """A callback that is to be called. Whoever called it says so."""

    callback: OnWake
    session: str
    is_back: Callable[[], None]
    has_begun: bool = False

    def make(self) -> Awaitable[None] | None:
        """Call it, on the crew."""
        self.has_begun = True
        answer: Awaitable[None] | None = None
        try:
            answer = self.callback(self.session)
        finally:
            if not inspect.isawaitable(answer):
                self.is_back()
        return None if answer is None else self._awaited(answer)

    async def _awaited(self, answer: Awaitable[None]) -> None:
        try:
            await answer
        finally:
            self.is_back()


class Waker:
    """Wakes sessions: the first wake at once, further ones within WAKE_COALESCED_MS together as one.

    Lives on one dispatcher's thread; callbacks run on the crew, and none waits for another. One that is still busy with
    a session is told of it again afterwards: it may have looked before the last message came. What could not be called,
    because too many calls of it hang, is called when one of them has come back.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, crew: Crew, *, by_hand: bool) -> None:
        self._dispatcher, self._clock, self._crew, self._by_hand = dispatcher, clock, crew, by_hand
        self._callbacks: list[OnWake] = []
        self._woken: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self._busy: set[tuple[int, str]] = set()
        self._again: set[tuple[int, str]] = set()
        self._missed: defaultdict[int, set[str]] = defaultdict(set)
        self._returned: set[int] = set()
        self._sessions: Callable[[], Iterator[str]] = lambda: iter(())
        self._rousing: Iterator[str] = iter(())

    def listen(self, callback: OnWake) -> None:
        """Tell this callback from now on."""
        self._callbacks.append(callback)

    def wake(self, session: str) -> None:
        """Something waits in the session."""
        if session in self._due:
            return
        now = self._clock()
        last = self._woken.get(session)
        if last is None or not last <= now < last + WAKE_COALESCED_MS:
            self._tell(session, now)
            return
        self._due[session] = last + WAKE_COALESCED_MS
        if not self._by_hand:
            self._dispatcher.call_at(last + WAKE_COALESCED_MS, self.tell_due)

    def rouse(self, sessions: Callable[[], Iterator[str]]) -> None:
        """Something waits in all of these: wake them, some with each `rouse_some`."""
        self._sessions, self._rousing = sessions, sessions()

    def rouse_some(self) -> bool:
        """Wake some of the sessions to be roused: there may be many. Returns whether there were any."""
        try:
            few = tuple(islice(self._rousing, ROUSED_AT_ONCE))
        except Exception:
            self._rousing = self._sessions()  # what has failed would seem to be at its end
            raise
        for session in few:
            self.wake(session)
        return bool(few)

    def tell_due(self) -> None:
        """Wake the sessions whose time has come, or is farther away than it ever was: then the clock was set back."""
        now = self._clock()
        self._tell_missed()
        for session in [session for session, at in self._due.items() if not now < at <= now + WAKE_COALESCED_MS]:
            del self._due[session]
            self._tell(session, now)

    def _tell(self, session: str, now: int) -> None:
        if len(self._woken) >= SESSIONS_KEPT:
            self._woken = {key: at for key, at in self._woken.items() if now - WAKE_COALESCED_MS < at <= now}
        self._woken[session] = now
        for number in range(len(self._callbacks)):
            self._call(number, session)

    def _call(self, number: int, session: str) -> None:
        if (number, session) in self._busy:
            self._again.add((number, session))
            return
        self._busy.add((number, session))
        call = _Call(self._callbacks[number], session, lambda: self._dispatcher.call_soon(lambda: self._back(number)))
        self._crew.call(
            f"wake {number}",
            session.encode(),
            _Call.make,
            call,
            limit_s=DELIVERY_LIMIT_MS / MS_PER_S,
            done=lambda answer: self._dispatcher.call_soon(lambda: self._called(number, call, answer)),
        )

    def _back(self, number: int) -> None:
        """A call has come back; a moment later its thread is free, too."""
        if self._missed[number] and number not in self._returned:
            self._returned.add(number)
            if not self._by_hand:
                self._dispatcher.call_at(self._clock() + WAKE_COALESCED_MS, self._tell_missed)

    def _tell_missed(self) -> None:
        returned, self._returned = self._returned, set()
        for number in returned:
            for session in self._missed.pop(number, ()):
                self._call(number, session)

    def _called(self, number: int, call: _Call, answer: object) -> None:
        session = call.session
        if isinstance(answer, Unanswered) and not call.has_begun and not self._crew.is_closed():
            self._missed[number].add(session)
        if isinstance(answer, BaseException) and not self._crew.is_closed():
            log.error("wake_failed", session=session, error=in_words(answer))  # what waits is durable: it may look
        self._busy.discard((number, session))
        if (number, session) in self._again:
            self._again.discard((number, session))
            self._call(number, session)
