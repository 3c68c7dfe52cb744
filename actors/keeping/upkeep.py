"""The upkeep: a keeper and its archivist with their threads, how they begin, are asked, and end."""

from collections.abc import Callable
from typing import TypeAlias

from pykka import Timeout

from tallystick.actors.dispatcher import Dispatcher
from tallystick.actors.errand import is_done_within
from tallystick.actors.future import LightFuture
from tallystick.actors.keeping.archivist import Archivist
from tallystick.actors.keeping.keeper import Foresee, Keeper, Send, Tidy
from tallystick.actors.keeping.looks import Looks
from tallystick.actors.keeping.orders import Keep
from tallystick.actors.watching.orders import Pace
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.clock import Clock
from tallystick.ledger.errors import Closed
from tallystick.projections.due import DueRules
from tallystick.projections.reader import Reader

LOOK_S = 1.0  # how often who waits looks whether somebody is there

Begin: TypeAlias = Callable[[], None]


class Upkeep:
    """What a live owner that judges does by itself: one thread looks, another one moves bytes into the archive."""

    def __init__(
        self,
        reader: Reader,
        rules: DueRules,
        clock: Clock,
        *,
        send: Send,
        foresee: Foresee,
        tidy: Tidy,
        pace: Pace,
        sealing: Sealing | None = None,
        archive_after_ms: int = 0,
    ) -> None:
        self._dispatcher = Dispatcher("upkeep", clock, at_end=self._abandon)
        self.keeper = Keeper(
            self._dispatcher,
            reader,
            Looks(reader, rules),
            send=send,
            foresee=foresee,
            tidy=tidy,
            clock=clock,
            pace=pace,
        )
        self._archivist: Archivist | None = None
        if sealing is not None:
            self._archivist = Archivist(sealing, clock, after_ms=archive_after_ms, told=self.keeper.archived)
            self.keeper.archivist = self._archivist

    def start(self) -> None:
        """Start the threads."""
        self._dispatcher.start()
        self._dispatcher.call_soon(self.keeper.begin)
        if self._archivist is not None:
            self._archivist.start()

    def ask(self, timeout_s: float | None) -> bool:
        """Have all that is due done; whether it was within `timeout_s` seconds (None: however long)."""
        return is_done_within(timeout_s, self.keeper, Keep())

    def archive(self, until: int) -> None:
        """Have what is due up to a position moved into the archive, and nothing else; wait for it.

        Raises what kept it from that, and `Closed`.
        """
        archivist, done = self._archivist, LightFuture()
        if archivist is None:
            return
        archivist.move(until, lambda error: done.set(None) if error is None else done.fail(error))
        while True:
            try:
                done.get(timeout=LOOK_S)
                return
            except Timeout:
                if not archivist.is_there():
                    raise Closed from None

    def close(self, timeout_s: float) -> bool:
        """Begin nothing more, and wait until what was begun has come to rest; whether it has within so many seconds."""
        if self._archivist is not None:
            self._archivist.stop()
        looked = self._dispatcher.stop(timeout_s)
        return (self._archivist is None or self._archivist.join(timeout_s)) and looked

    def _abandon(self) -> None:
        """Nobody looks any more: who waits for it is told so."""
        self.keeper.abandon()
