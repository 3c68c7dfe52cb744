"""The follower: one or all read models behind the small port through which an actor keeps them up."""

from tallystick.ledger.store.port import EventLog
from tallystick.projections.catch_up import catch_up
from tallystick.projections.change import Changes
from tallystick.projections.views import Views

ALL = "views"


class Follower:
    """Moves read models along with the log: all of them in one transaction, or one by itself."""

    def __init__(self, views: Views, name: str = ALL) -> None:
        self.name = name
        self._views = views
        self._names = None if name == ALL else frozenset({name})

    def position(self) -> int:
        """Return the position of the newest event that all of them have seen, parked ones left out."""
        return min(self._views.moving(self._names).values(), default=0)

    def apply(self, changes: Changes, *, first: int, last: int) -> None:
        """Write what the events `first` … `last` changed, and the positions, in one transaction.

        Raises what a read model raised, when it was the only one; of all, the others go on without it.
        """
        self._views.apply(changes, after=first - 1, until=last, names=self._names)
        self._raise_if_nobody_moves()

    def catch_up(self, event_log: EventLog, until: int) -> None:
        """Fold what they have not seen from the log itself.

        Whoever else is behind comes along: the log is folded once for all of them.
        """
        catch_up(self._views, event_log, until=until)
        self._raise_if_nobody_moves()

    def _raise_if_nobody_moves(self) -> None:
        parked = {
            name: error for name, error in self._views.parked.items() if self._names is None or name in self._names
        }
        if parked and not self._views.moving(self._names):
            raise next(iter(parked.values()))
