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
from tallystick.ledger.limits import RECOVERED_AT_ONCE
from tallystick.ledger.record import TaskRecord

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
    settings = call.settings  # before anything else: what cannot be must not wait for a task that is found
    with call.readings(or_none_yet=True) as readings:
        ids = [task_id_of(readings, lookup) for lookup in lookups]
    is_sent = verb == "dismiss" or has_sender(call.folder)

    from tallystick.joining import join

    with impatient(call.folder), join(call.folder, config=settings) as ledger:
        ask = ledger.retry if verb == "retry" else ledger.dismiss
        try:
            records = ask(*ids, reason=reason)
        except Refused as error:
            if len(ids) > 1:
                error.args = (f"{error} What waits for it of the others was dealt with.",)
            raise

    def lines(screen: Screen) -> Iterator[str]:
        yield from map(words, records)
        if not is_sent:
            yield screen.dim(NOBODY_SENDS)

    return Answer({"count": len(records), "tasks": records}, lines)
