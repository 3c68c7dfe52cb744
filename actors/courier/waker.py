"""The waker: tells whoever runs a session that something waits there, at once, and not more often than makes sense."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.actors.watching.supervision import in_words
from tallystick.ledger.clock import Clock
from tallystick.ledger.limits import DELIVERY_LIMIT_MS, WAKE_COALESCED_MS

log = logger("actors")

OnWake: TypeAlias = Callable[[str], Awaitable[None] | None]
"""Is told the key of a session in which something waits."""

MS_PER_S = 1_000
SESSIONS_KEPT = 10_000


class Waker:
    """Wakes sessions: the first wake at once, further ones within WAKE_COALESCED_MS together as one.

    Lives on one dispatcher's thread; callbacks run on the crew, and none waits for another. One that is still busy with
    a session is told of it again afterwards: it may have looked before the last message came.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, crew: Crew, *, by_hand: bool) -> None:
        self._dispatcher, self._clock, self._crew, self._by_hand = dispatcher, clock, crew, by_hand
        self._callbacks: list[OnWake] = []
        self._woken: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self._busy: set[tuple[int, str]] = set()
        self._again: set[tuple[int, str]] = set()

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

    def tell_due(self) -> None:
        """Wake the sessions whose time has come, or is farther away than it ever was: then the clock was set back."""
        now = self._clock()
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
        self._crew.call(
            f"wake {number}",
            session.encode(),
            self._callbacks[number],
            session,
            limit_s=DELIVERY_LIMIT_MS / MS_PER_S,
            done=lambda answer: self._dispatcher.call_soon(lambda: self._called(number, session, answer)),
        )

    def _called(self, number: int, session: str, answer: object) -> None:
        if isinstance(answer, BaseException) and not self._crew.is_closed():
            log.error("wake_failed", session=session, error=in_words(answer))  # what waits is durable: it may look
        self._busy.discard((number, session))
        if (number, session) in self._again:
            self._again.discard((number, session))
            self._call(number, session)
