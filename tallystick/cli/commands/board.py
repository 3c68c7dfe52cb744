"""`tally board`: what a session has under way, in a few lines."""

from collections.abc import Iterator, Sequence

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.cells import cut, fill
from tallystick.cli.command import command as _command
from tallystick.cli.screen import Screen
from tallystick.cli.summary import ID_TAIL, lasted, work
from tallystick.cli.times import age, now_ms, took
from tallystick.ledger.limits import BOARD_ROWS_MAX
from tallystick.ledger.record import TaskRecord
from tallystick.plain import plain


@_command(
    "board",
    json="{session, count, tasks: [record]}",
    help="""SESSION is a session key: of the owner, of who asked, or of the child that does the work. Active tasks come
    first, then the newest of those that have ended.""",
)
@click.argument("session")
def command(call: Call, *, session: str) -> Answer:
    """Show the board of a session."""
    with call.readings(or_none_yet=True) as readings:
        tasks = [readings.dated(record, now_ms()) for record in readings.board(session, BOARD_ROWS_MAX)]
    data = {"session": session.strip(), "count": len(tasks), "tasks": tasks}
    return Answer(data, lambda screen: _lines(screen, session.strip(), tasks, now_ms()))


def _lines(screen: Screen, session: str, tasks: Sequence[TaskRecord], now: int) -> Iterator[str]:
    if not tasks:
        yield f'No tasks of session {plain(session)}. Run "tally list" to see recent tasks of all.'
        return
    active = sum(record.is_active for record in tasks)
    yield f"{screen.bold(plain(session))}  {active} active, {len(tasks) - active} recent"
    for record in tasks:
        span = lasted(record, now)
        when = "waits" if span is None and record.is_active else took(span or 0)
        ago = "" if record.ended_at is None else f", {age(now - record.ended_at)} ago"
        head = f"{fill(record.shown_status, 9)}  {fill(when + ago, 18)}  "
        tail = f"  {record.task_id[-ID_TAIL:]}"
        said = cut(work(record), max(screen.columns - len(head) - len(tail), 20))
        yield f"{screen.status(record.shown_status, head)}{said}{screen.dim(tail)}"
