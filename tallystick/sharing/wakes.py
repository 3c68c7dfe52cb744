"""Wakes for other processes: a datagram for each session in which something waits.

Whoever wants to hear binds a datagram socket in the ledger's folder `wakes/`, under a name of its own that ends in
`.sock`, and reads the keys of sessions, in UTF-8. None of them has to arrive: what waits is durable.
"""

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.actors.courier.waker import OnWake, Waker
from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.log import logger
from tallystick.actors.watching.crew import Crew
from tallystick.ledger.clock import system_clock
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.limits import KEY_BYTES_MAX
from tallystick.sharing.bell import Bell, forget, ring

if TYPE_CHECKING:
    import asyncio

log = logger("face")

WAKES_FOLDER = "wakes"
CLOSE_S_MAX = 5.0

_HEAR_S = 60.0
_NAME_BYTES = 8


def ring_all(folder: Path, session: str) -> None:
    """Tell every process that listens that something waits in a session; forget those that have gone."""
    for path in (folder / WAKES_FOLDER).glob("*.sock"):
        if not ring(path, session.encode()):
            forget(path)


class WakeListener:
    """Hears wakes in another process than the ledger's owner, and tells a callback, on threads of its own.

    `waiting` says in which sessions something waits already: the callback is told of these first.
    """

    def __init__(
        self,
        folder: Path,
        callback: OnWake,
        *,
        waiting: Callable[[], Iterable[str]] = tuple,
        loop: "asyncio.AbstractEventLoop | None" = None,
    ) -> None:
        self._wakes, self._waiting = folder / WAKES_FOLDER, waiting
        self._bell = Bell(self._wakes, f"{os.getpid()}-{os.urandom(_NAME_BYTES).hex()}.sock", bytes_max=KEY_BYTES_MAX)
        self._crew = Crew(loop=loop)
        self._dispatcher = Dispatcher("woken", system_clock)
        self._waker = Waker(self._dispatcher, system_clock, self._crew, by_hand=False)
        self._waker.listen(callback)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tallystick-wakes", daemon=True)

    def start(self) -> bool:
        """Begin to hear; False when no socket can be made there."""
        try:
            self._wakes.mkdir(mode=0o700, exist_ok=True)
            hung = self._bell.hang()
        except OSError:
            hung = False
        if hung:
            self._dispatcher.start()
            self._thread.start()
        else:
            log.error("wakes_not_heard", folder=str(self._wakes))  # what waits is durable: it can be looked for
            self.close()
        return hung

    def close(self) -> None:
        """Hear no more; a callback that hangs is left alone. Closing twice is allowed."""
        self._closed = True
        self._bell.wake()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S_MAX)
        self._crew.close()
        self._dispatcher.stop(CLOSE_S_MAX)
        self._bell.close()

    def _run(self) -> None:
        try:
            self._wake(self._waiting())  # it is heard already: nothing comes in between
        except TallystickError as error:  # closed meanwhile, say
            log.error("sessions_not_read", error=str(error))  # noqa: TRY400 - the sentence says it
        while not self._closed:
            self._wake(message.decode("utf-8", "replace") for message in dict.fromkeys(self._bell.hear(_HEAR_S)))

    def _wake(self, sessions: Iterable[str]) -> None:
        for session in sessions:
            self._dispatcher.call_soon(partial(self._waker.wake, session))
