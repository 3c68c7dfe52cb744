"""The change: what the commands have in common that write about one task, through the owner if there is one."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.lookup import task_id_of
from tallystick.cli.screen import Screen
from tallystick.cli.summary import first_line, text_of
from tallystick.cli.times import now_ms
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain

if TYPE_CHECKING:
    from tallystick.task import Task

PATIENCE_S = 2.0
MS_PER_S = 1_000

SHAPE = "the new record, as `show` has it"
LOOKUP_HELP = """LOOKUP is a task id, a run id or a session key (the newest task of it), or 6 or more characters from
    the begin or the end of a recent task's id. It goes to the live owner of the ledger; without one this command acts
    itself."""


@contextmanager
def task_named(call: Call, lookup: str, *, wait_ms: int = 0) -> Iterator["Task"]:
    """Find the task that a lookup names, and join the ledger to write about it. Raises `NotFound`, `Ambiguous`.

    When that takes much longer than `wait_ms`, people are told for whom this waits.
    """
    settings = call.settings  # before anything else: what cannot be must not wait for a task that is found
    with call.readings(or_none_yet=True) as readings:
        task_id = task_id_of(readings, lookup)

    from tallystick.joining import join

    with impatient(call.folder, wait_ms), join(call.folder, config=settings) as ledger:
        yield ledger.get(task_id)


@contextmanager
def impatient(folder: Path, wait_ms: int = 0) -> Iterator[Callable[[], None]]:
    """Say for whom this waits when the block takes much longer than `wait_ms`; what it yields ends the impatience."""
    timer = threading.Timer(PATIENCE_S + wait_ms / MS_PER_S, _say_who_is_waited_for, (folder,))
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def _say_who_is_waited_for(folder: Path) -> None:
    from tallystick.owner import is_stopped, live_owner

    owner = live_owner(folder)
    if owner is not None and owner.pid != os.getpid():  # else this process owns it, and only has much to do
        stopped = f" and is stopped (kill -CONT {owner.pid} lets it go on)" if is_stopped(owner) else ""
        print(f"Waiting for {plain(str(owner))}, which owns the ledger{stopped} …", file=sys.stderr, flush=True)


def changed(call: Call, record: TaskRecord, words: Callable[[str], str]) -> Answer:
    """Return the answer of a command that changed a task: the record, and for people what happened to it, in words."""
    named = text_of(first_line(record.label or record.task), record.erased)
    data: dict[str, Any] = {}
    if call.json:  # nobody else looks at it
        from tallystick.messages import Messages

        with call.readings() as readings:
            data = msgspec.to_builtins(readings.dated(record, now_ms()))
            data["deliveries"] = Messages(readings.log, readings.reader).of_task(record.stream)

    def lines(screen: Screen) -> Iterator[str]:
        yield words(record.task_id)
        yield screen.dim(named)

    return Answer(data, lines)
