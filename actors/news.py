"""The news: what is told of a commit, and to whom."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from tallystick.actors.envelope import Envelope
from tallystick.actors.inbox import Inbox
from tallystick.actors.journal import Committed
from tallystick.actors.log import logger
from tallystick.ledger.errors import Busy

log = logger("actors")

Listener: TypeAlias = Callable[[int], None]


class Listeners:
    """Those who listen to commits: they are told how far the log has come."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(position)` after each commit, on the thread that commits; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, position: int) -> None:
        """Tell all of them. One that raises keeps none of the others from hearing it."""
        for listener in tuple(self._listeners):
            try:
                listener(position)
            except Exception:
                log.exception("listener_failed", position=position)


class Attentive(Protocol):
    """An actor that follows what is committed, as far as it concerns it."""

    is_blind: bool
    """Set when it could not be told of a commit: then it has to look for itself."""

    @property
    def inbox(self) -> Inbox:
        """Where it is told."""
        ...

    def concern(self, batch: Committed) -> Committed | None:
        """Return what of a commit concerns it, None for nothing. On the thread that commits: it must be quick."""
        ...


def tell(actor: Attentive, batch: Committed) -> None:
    """Tell an actor of a commit. One that cannot take it knows at least that it has missed something."""
    concern = actor.concern(batch)
    if concern is None:
        return
    try:
        actor.inbox.put(Envelope(concern))
    except Busy:
        actor.is_blind = True
        actor.inbox.wake()  # it may have emptied its inbox before it could see that
