"""The recovery: what the commands have in common by which an operator takes over messages that did not arrive."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.change import LOOKUP_HELP, impatient
from tallystick.cli.lookup import task_id_of
from tallystick.cli.messages import NOBODY_SENDS, has_sender
from tallystick.cli.screen import Screen
from tallystick.ledger.errors import Refused
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy
from tallystick.ledger.limits import RECOVERED_AT_ONCE
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain

SHAPE = "{count, tasks: [record]}"
HELP = f"""{LOOKUP_HELP} At most {RECOVERED_AT_ONCE} tasks at a time."""


def recovered(
    call: Call,
    lookups: Sequence[str],
    verb: Literal["retry", "dismiss"],
    reason: str | None,
    words: Callable[[TaskRecord], str],
) -> Answer:
    """Have messages sent again, or given up. Raises `Refused`, which says how they are, when there is none for that.

    Those of the other tasks are taken care of all the same.
    """
    with call.readings(or_none_yet=True) as readings:
        ids = [task_id_of(readings, lookup) for lookup in lookups]
    is_sent = verb == "dismiss" or has_sender(call.folder)

    from tallystick.joining import join

    with impatient(call.folder), join(call.folder, config=call.settings) as ledger:
        ask = ledger.retry if verb == "retry" else ledger.dismiss
        try:
            records = ask(*ids, reason=reason)
        except Refused as error:
            raise _explained(error, verb, ledger.get(error.token).record, alone=len(ids) == 1) from error

    def lines(screen: Screen) -> Iterator[str]:
        yield from map(words, records)
        if not is_sent:
            yield screen.dim(NOBODY_SENDS)

    return Answer({"count": len(records), "tasks": records}, lines)


def _explained(error: Refused, verb: str, record: TaskRecord, *, alone: bool) -> Refused:
    """Return a refusal that also says how the messages are, and what can be done."""
    state, remedy = _state(record)
    others = "" if alone else " What waits for it of the others was dealt with."
    told = Refused(error.token, status=error.status, attempted=error.attempted)
    told.args = (f"Task {error.token} has nothing to {verb}: {state}. {remedy}{others}",)
    return told


def _state(record: TaskRecord) -> tuple[str, str]:
    task_id = record.task_id
    for waiting in record.outbox:
        if waiting.is_sent:
            return "its message is being sent", f'It goes on by itself; "tally deliveries {task_id}" says when.'
        if waiting.session is not None:
            remedy = f'It is done with when the session takes it; "tally dismiss {task_id}" gives it up.'
            return plain(f"its message waits in the session {waiting.session}"), remedy
    look = f'See "tally deliveries {task_id}".'
    if record.is_active:
        return f"it is {record.shown_status}, and nothing waits", look
    if record.notify_policy is NotifyPolicy.SILENT and record.delivery_status is DeliveryStatus.NOT_APPLICABLE:
        return "it is silent, nobody was to be told", f'"tally notify {task_id} done_only" has it told.'
    return f"its delivery is {record.delivery_status.value}", look
