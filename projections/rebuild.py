"""The rebuild: read models folded anew from the whole log beside the ones that are read, then put in their place."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.store.mapping import Database, Transaction
from tallystick.ledger.store.port import EventLog
from tallystick.projections import board, flows
from tallystick.projections.catch_up import Progressed, nobody
from tallystick.projections.change import changes_of, last_of
from tallystick.projections.views import Progress, Sight, Views

_ROWS = (board.NAME, flows.NAME)

SLICE_EVENTS = 4_096  # folded in one transaction, for which whoever follows the log has to wait
STRETCH = 4  # a last slice may be so many times as large, if all read models arrive with it


def names_of(views: Views, name: str | None) -> list[str]:
    """Return the read models that a name means: that one, or all for None or "all". Raises `InvalidInput`."""
    known = [projection.name for projection in views.projections]
    if name is None or name == "all":
        return known
    if name not in known:
        raise InvalidInput("name", name, f"{', '.join(known)} or all")
    return [name]


def rebuild(
    views: Views,
    log: EventLog,
    name: str | None = None,
    *,
    slice_events: int = SLICE_EVENTS,
    progressed: Progressed = nobody,
) -> None:
    """Fold a read model, or all, from the log's first event to where it stands, and swap it in, in one transaction.

    Until then the old one is read and kept up; when this ends in the middle, it is all there is. One that was parked
    is brought to where the others stand, and follows again. Where the log grows by more than half of what a slice
    folds, the next ones are twice as large: it arrives however much is written meanwhile, after twice the slices that
    a quiet log would take.
    """
    left = set(names_of(views, name))
    with views.rebuilding:
        while left:
            views.clear_shadows()
            shadow = _Shadow(views, log, left)
            while not shadow.arrived:
                was_target = shadow.target
                shadow.grow(slice_events)
                progressed(shadow.position, shadow.target)
                if was_target and shadow.target - was_target > slice_events // 2:
                    slice_events *= 2
            left -= shadow.arrived
            slice_events *= 2
        views.clear_shadows()


class _Shadow:
    """The next generation of some read models, and of those whose rows tell what a task or a flow was before."""

    def __init__(self, views: Views, log: EventLog, names: Collection[str]) -> None:
        self._views, self._log = views, log
        self._names = frozenset(names)
        self._grown = [each for each in views.projections if each.name in self._names or each.name in _ROWS]
        self.position = self.target = 0
        self.arrived: frozenset[str] = frozenset()
        """The names of those that are in their place."""
        self._last: tuple[int, bytes] | None = None

    def grow(self, slice_events: int) -> None:
        """Fold the next slice; at the end of it some may have arrived."""
        with self._views.writing:  # nobody follows between the swap and the end of the parking
            step = self._views.environment.write_batch(lambda txn: self._step(txn, slice_events))
            for name in step.arrived:
                self._views.parked.pop(name, None)
        self.position, self.target, self._last, self.arrived = step.position, step.target, step.last, step.arrived

    def _step(self, txn: Transaction, slice_events: int) -> "_Step":
        sight = self._views.seen(txn)
        assert sight is not None, "somebody else writes these views"
        targets = {name: self._target(sight, name) for name in self._names}
        first, target = min(targets.values()), max(targets.values())
        position = min(self.position + slice_events, target)
        if first <= position < target:  # where they stand too far apart, some arrive, and the others begin anew
            near = target - self.position <= STRETCH * slice_events
            position = target if near else first
        stops = sorted({stop for stop in targets.values() if stop < position} | {position})
        lasts = self._fold(txn, sight, stops, targets)
        arrived = frozenset(name for name in self._names if targets[name] in lasts)
        if arrived:
            swapped = {
                name: Progress(sight.progress[name].generation + 1).moved(targets[name], lasts[targets[name]])
                for name in arrived
            }
            self._views.write_progress(txn, {**sight.progress, **swapped})
        return _Step(position, target, lasts[position], arrived)

    def _fold(
        self, txn: Transaction, sight: Sight, stops: Sequence[int], targets: Mapping[str, int]
    ) -> dict[int, tuple[int, bytes] | None]:
        """Fold on from stop to stop, each read model no further than to where it is wanted.

        Returns the newest event that changed something, as of each stop.
        """
        rows, flow_rows = self._tables(sight, board.NAME), self._tables(sight, flows.NAME)
        tasks: dict[bytes, TaskRecord] = {}  # rows that have arrived already do not tell what comes after them
        of_flows: dict[bytes, FlowRecord] = {}
        lasts: dict[int, tuple[int, bytes] | None] = {}
        after, last = self.position, self._last
        for stop in stops:
            changes = changes_of(
                self._log.read(after, stop),
                lambda stream: tasks.get(stream) or board.known(txn, rows, stream),
                flows=lambda stream: of_flows.get(stream) or flows.known(txn, flow_rows, stream),
            ).changes
            for projection in self._grown:
                if targets.get(projection.name, stop) >= stop:
                    projection.apply(txn, self._tables(sight, projection.name), changes)
            tasks.update((stream, change.after) for stream, change in changes.tasks.items())
            of_flows.update((stream, change.after) for stream, change in changes.flows.items())
            last = last_of(changes, stop) or last
            lasts[stop] = last
            after = stop
        return lasts

    def _target(self, sight: Sight, name: str) -> int:
        """Where a read model stands, or should if it is parked: where nobody who follows the log misses it."""
        if name not in self._views.parked:
            return sight.position(name)
        moving = [sight.position(other) for other in sight.progress if other not in self._views.parked]
        return max(moving, default=self._log.head())

    def _tables(self, sight: Sight, name: str) -> Sequence[Database]:
        return self._views.tables(name, sight.progress[name].generation + 1)


class _Step(Struct, frozen=True):
    """Where a slice ended."""

    position: int
    target: int
    last: tuple[int, bytes] | None
    arrived: frozenset[str]
