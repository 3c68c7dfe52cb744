"""The change: what the commands have in common that write about one task, through the owner if there is one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.lookup import task_id_of
from tallystick.cli.screen import Screen
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.sync import Task

SHAPE = "the new record, as `show` has it"
LOOKUP_HELP = """LOOKUP is a task id, a run id or a session key (the newest task of it), or 6 or more characters from
    the begin or the end of a recent task's id. It goes to the live owner of the ledger; without one this command acts
    itself."""


@contextmanager
def task_named(call: Call, lookup: str) -> Iterator["Task"]:
    """Find the task that a lookup names, and join the ledger to write about it. Raises `NotFound`, `Ambiguous`."""
    with call.readings(or_none_yet=True) as readings:
        task_id = task_id_of(readings, lookup)

    from tallystick.joining import join

    with join(call.folder, config=call.settings) as ledger:
        yield ledger.get(task_id)


def changed(record: TaskRecord, words: Callable[[str], str]) -> Answer:
    """Return the answer of a command that changed a task: the record, and for people what happened to it, in words."""
    named = f"{record.label or record.task}".splitlines()[0]
    data: dict[str, Any] = {**msgspec.to_builtins(record), "deliveries": []}

    def lines(screen: Screen) -> Iterator[str]:
        yield words(record.task_id)
        yield screen.dim(plain(named))

    return Answer(data, lines)
