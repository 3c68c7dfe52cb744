"""The messages: where each goes and how far it is, in words, for `deliveries`, `show` and `status`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.cli.screen import Screen
from tallystick.cli.summary import ERASED, ID_TAIL, WHOLE_IDS_FROM
from tallystick.cli.table import Column, table
from tallystick.cli.times import age, relative
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.owner import OwnerInfo, live_owner
from tallystick.plain import plain
from tallystick.projections.pauses import Standing

if TYPE_CHECKING:  # not for a command that only counts
    from tallystick.ledger.told import DeliveryRecord
    from tallystick.readings import LedgerStatus

WHERE_MOST = 36
TEXT_MOST = 400

NOBODY_SENDS = "Nobody sends or wakes now: whoever opens the ledger next does, a process that only joins it does not."

_COLOURS: Mapping[str, str] = {
    DeliveryStatus.PENDING: "blue",
    DeliveryStatus.DELIVERED: "green",
    DeliveryStatus.SESSION_QUEUED: "cyan",
    DeliveryStatus.FAILED: "red",
    DeliveryStatus.UNKNOWN: "magenta",
    DeliveryStatus.DISMISSED: "yellow",
    DeliveryStatus.WITHHELD: "blue",
}


def has_sender(folder: Path) -> bool:
    """Whether somebody sends what is due: a process that opened the ledger, not one that only writes beside others."""
    return sends(live_owner(folder))


def sends(owner: OwnerInfo | None) -> bool:
    """Whether an owner sends and wakes."""
    return owner is not None and not owner.transient


def are_left_waiting(status: "LedgerStatus") -> bool:
    """Whether nobody does anything for messages that wait. In a session they may, as long as nobody owns the ledger."""
    outbox, owner = status.outbox, status.owner
    return not sends(owner) and bool(outbox.pending or outbox.withheld or (outbox.queued and owner is not None))


def is_stuck(record: "DeliveryRecord") -> bool:
    """Whether a message waits for somebody to send it again or to give it up."""
    return record.is_open and record.route is not None and record.due_at is None


def is_sent(record: "DeliveryRecord") -> bool:
    """Whether attempts are still made."""
    return record.is_open and record.route is not None and record.due_at is not None


def where(record: "DeliveryRecord") -> str:
    """Return where a message goes: telegram/123/77, or a session; what is withheld goes nowhere yet."""
    if record.status is DeliveryStatus.WITHHELD or (record.route is None and record.session is None):
        return "-"
    if record.route is None:
        return plain(f"session {record.session}")
    return _route_words(record.route)


def _route_words(route: Origin) -> str:
    parts = (route.channel, route.to, route.thread)
    said = "/".join(str(part) for part in parts if part is not None)
    return plain(said if route.account is None else f"{said} as {route.account}")


def when(record: "DeliveryRecord", now: int) -> str:
    """Return when something happens next, or when it was over: now, in 2m, 3m ago; else since when it waits."""
    if record.settled_at is not None:
        return relative(record.settled_at, now)
    if record.due_at is not None:
        return relative(record.due_at, now) if record.due_at > now else "now"
    return f"waits {age(now - record.queued_at)}"


def coloured(screen: Screen, status: str, laid: str) -> str:
    """Return the status of a message in its colour, as it is laid out."""
    colour = _COLOURS.get(status)
    return laid if colour is None else screen.colour(laid, colour)


def message_table(screen: Screen, records: "Sequence[DeliveryRecord]", now: int) -> Iterator[str]:
    """Yield messages as a table that fits the screen; on narrow ones what went wrong stands below its row."""
    wide = screen.columns >= WHOLE_IDS_FROM
    columns = [
        Column("Task", [record.task_id[-ID_TAIL:] for record in records], ID_TAIL),
        Column("Status", [record.status.value for record in records], 14, paint=lambda *of: coloured(screen, *of)),
        Column("Where", [where(record) for record in records], WHERE_MOST if wide else WHERE_MOST // 2),
        Column("Tries", [f"{record.attempts:,}" for record in records], 6, right=True),
        Column("When", [when(record, now) for record in records], 10),
        Column("Error", [plain(record.error or "-") for record in records], 48),
        Column("Message", [_text(record) for record in records], TEXT_MOST),
    ]
    if not wide or all(record.error is None for record in records):
        columns = [column for column in columns if column.title != "Error"]
    title, *rows = table(screen, columns)
    yield title
    for record, row in zip(records, rows, strict=True):
        yield row
        if record.error is not None and not wide:
            yield from screen.named("", plain(record.error), colour="red")


def message_lines(screen: Screen, record: "DeliveryRecord", now: int) -> Iterator[str]:
    """Yield one message in a few lines: how far it is, what went wrong, what it says."""
    tries = f", {record.attempts:,} {'try' if record.attempts == 1 else 'tries'}" if record.attempts else ""
    place = "" if record.status is DeliveryStatus.WITHHELD else f"{where(record)}{tries}, "
    head = f"{record.status.value}  {place}{_when_words(record, now)}"
    yield from screen.named("message", head, colour=_COLOURS.get(record.status))
    if record.error is not None:
        yield from screen.named("", plain(record.error), colour="red")
    yield from screen.named("", _text(record))


def _text(record: "DeliveryRecord") -> str:
    return ERASED if "text" in record.erased else plain(record.text)


def _when_words(record: "DeliveryRecord", now: int) -> str:
    said = when(record, now)
    if record.settled_at is not None or record.due_at is None:
        return said
    if record.status is DeliveryStatus.WITHHELD:
        return f"until what works below it has ended; skipped {said}"
    return f"next {said}" if record.route is not None else f"to be confirmed {said}"


def pause_words(standing: Standing, now: int) -> str:
    """Return since when an endpoint is paused, until when, and why."""
    noun = "failure" if standing.failures == 1 else "failures in a row"
    after = f" after {standing.failures:,} {noun}" if standing.failures else ""
    next_try = f"next try {relative(standing.until, now)}" if standing.until > now else "a try is due"
    return f"{plain(standing.name)} for {age(now - standing.since)}{after}, {next_try}: {plain(standing.error)}"
