"""The oldest: since when the first of those tasks waits that nobody has started."""

from tallystick.ledger.lifecycle import Status
from tallystick.ledger.limits import TIME_MS_MAX
from tallystick.projections import board
from tallystick.projections.codes import RUNTIME_CODES, STATUS_CODES
from tallystick.projections.keys import cell_heading
from tallystick.projections.places import moment, moment_of, oldest_first, stream_of
from tallystick.projections.seen import Seen


def oldest_queued(seen: Seen) -> int | None:
    """Return when the oldest queued task was created (ms, as reported); None when none waits."""
    changes, sight = seen.overlay.changes, seen.sight
    found = [
        change.after.created_at
        for change in changes.values()
        if change.after.status is Status.QUEUED and change.after.pruned_at is None
    ]
    if sight is not None:
        table = sight.tables[board.NAME][board.INDEX]
        for runtime in RUNTIME_CODES.values():
            heading = cell_heading(runtime, STATUS_CODES[Status.QUEUED])
            for place in oldest_first(sight.txn, table, heading, moment(TIME_MS_MAX)):
                if stream_of(place) not in changes:
                    found.append(moment_of(place))
                    break
    return min(found, default=None)
