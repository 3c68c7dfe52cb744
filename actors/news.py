"""The news: what is told of a commit, and to whom."""

from typing import Protocol

from tallystick.actors.envelope import Envelope
from tallystick.actors.inbox import Inbox
from tallystick.actors.journal import Committed
from tallystick.ledger.errors import Busy


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
