"""`tally deliveries`: what has not arrived, or every message of one task."""

from collections.abc import Iterator, Sequence

import click
from msgspec import Struct

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import LOOKUP
from tallystick.cli.command import command as _command
from tallystick.cli.lookup import task_id_of
from tallystick.cli.messages import NOBODY_SENDS, has_sender, is_sent, is_stuck, message_table, pause_words
from tallystick.cli.screen import Screen
from tallystick.cli.times import now_ms
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.ids import id_bytes
from tallystick.ledger.lifecycle import DeliveryStatus
from tallystick.ledger.limits import DELIVERIES_DEFAULT
from tallystick.ledger.outbox import endpoint_of
from tallystick.ledger.told import DeliveryRecord
from tallystick.messages import Messages
from tallystick.projections.pauses import Standing, paused

_NO_MESSAGE = 'No message of it so far: it has not ended, or its policy keeps it silent ("tally notify" changes that).'


@_command(
    "deliveries",
    json="""{count, isCut, deliveries: [{id, taskId, kind, status, text, position, queuedAt, name, route, session,
    artifacts, attempts, dueAt, settledAt, error, receipt, erased, redacted}]}""",
    help="""Without LOOKUP what has not arrived, of any task: first what waits for "tally retry" or "tally dismiss",
    then what is being sent, then what is withheld or waits in sessions. With LOOKUP (as in "tally show") every message
    of that task, in order.""",
)
@click.option("--limit", type=int, metavar="N", help=f"At most so many; {DELIVERIES_DEFAULT} if nothing is said.")
@click.argument("lookup", required=False, type=LOOKUP)
def command(call: Call, *, lookup: str | None, limit: int | None) -> Answer:
    """List messages."""
    if lookup is not None and limit is not None:
        raise InvalidInput("limit", limit, "no limit with a LOOKUP, of which every message is listed")
    with call.readings(or_none_yet=True) as readings:
        messages = Messages(readings.log, readings.reader)
        most = DELIVERIES_DEFAULT if limit is None else limit
        if lookup is None:
            task_id = None
            records = sorted(messages.open(most), key=_rank)
        else:
            task_id = task_id_of(readings, lookup)
            records = messages.of_task(id_bytes(task_id))
        is_cut = lookup is None and len(records) == most
        found = _Found(task_id, records, paused(readings.log), has_sender(call.folder), is_cut)
    data = {"count": len(records), "isCut": is_cut, "deliveries": records}
    return Answer(data, lambda screen: _lines(screen, found, now_ms()))


class _Found(Struct, frozen=True):
    """Messages, of one task or of all, and what keeps endpoints from getting them."""

    task_id: str | None
    records: Sequence[DeliveryRecord]
    paused: Sequence[Standing]
    has_sender: bool
    is_cut: bool


def _rank(record: DeliveryRecord) -> tuple[bool, bool, int]:
    """What is stuck first, then what is being sent; of each the oldest first."""
    return not is_stuck(record), not is_sent(record), record.position


def _lines(screen: Screen, found: _Found, now: int) -> Iterator[str]:
    records = found.records
    if not records:
        yield "Every message has arrived." if found.task_id is None else _NO_MESSAGE
        return
    stuck, sent = sum(map(is_stuck, records)), sum(map(is_sent, records))
    waiting = sum(record.status is DeliveryStatus.SESSION_QUEUED for record in records)
    noun = "message" if len(records) == 1 else "messages"
    withheld = sum(record.status is DeliveryStatus.WITHHELD for record in records)
    parts = ((stuck, "stuck"), (sent, "being sent"), (withheld, "withheld"), (waiting, "waiting in sessions"))
    yield " · ".join(
        [screen.bold(f"{len(records):,} {noun}"), *(f"{count:,} {what}" for count, what in parts if count)]
    )
    yield ""
    yield from message_table(screen, records, now)
    if found.is_cut:
        yield screen.dim('There may be more: "tally status" counts them, --limit N shows more.')
    concerned = {standing.name: standing for standing in found.paused if _concerns(standing, records)}
    is_sent_now = not (sent or withheld) or found.has_sender
    if stuck or concerned or not is_sent_now:
        yield ""
    if not is_sent_now:
        yield NOBODY_SENDS
    for standing in concerned.values():
        yield f"paused: {pause_words(standing, now)}"
    if stuck:
        yield 'stuck: "tally retry LOOKUP" sends it again, "tally dismiss LOOKUP" gives it up.'


def _concerns(standing: Standing, records: Sequence[DeliveryRecord]) -> bool:
    return any(
        record.route is not None and endpoint_of(record.route) == standing.name for record in records if is_sent(record)
    )
