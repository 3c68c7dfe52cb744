"""What lies ahead: moments and positions that have not come, so that nobody takes an answer for one about them."""

import sys

from tallystick.cli.times import now_ms, stamp
from tallystick.ledger.events import Event
from tallystick.ledger.store.port import EventLog
from tallystick.moments import When


def warn_of_what_has_not_come(log: EventLog, *asked: When) -> None:
    """Say on standard error, whatever is asked for as data, of each moment that the log cannot know of yet."""
    head = log.head()
    for when in asked:
        if when.position is not None and when.position > head:
            print(f"There is no position {when.position:,} yet: the log ends at {head:,}.", file=sys.stderr)
        if when.at is not None and seen_from(log, when) is None:
            ends = f"this is as of the end of the log, position {head:,}"
            print(f"{stamp(when.at)} has not come yet: {ends}.", file=sys.stderr)


def seen_from(log: EventLog, when: When) -> int | None:
    """Return the moment that was asked for (ms), from which ages count; None without one, or if it has not come."""
    return None if when.at is None or when.at > max(now_ms(), _newest(log)) else when.at


def _newest(log: EventLog) -> int:
    """When the last event was recorded: by the owner's clock, which may be ahead of the one of this machine."""
    head = log.head()
    return max((event.recorded_at for event in log.read(max(head - 1, 0), head) if isinstance(event, Event)), default=0)
