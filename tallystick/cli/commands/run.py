"""`tally run`: a command as a task, which ends as the command ends."""

import getpass
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from tallystick.cli.call import Call
from tallystick.cli.change import impatient
from tallystick.cli.command import command as _command
from tallystick.cli.times import duration
from tallystick.run import Terminated, run_command


@_command(
    "run",
    json="nothing but failures: standard output is the command's",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    help="""The command has a process group of its own and no terminal to read from. Its output goes through as it is;
    its last line becomes the task's progress. Put "--" before the command.

    Exits with the command's code, with 128 + n if signal n ended it, 124 when its time was over, 127 if there is no
    such command, 126 if it cannot be run, 130 after Ctrl-C.""",
)
@click.option("--label", metavar="L", help="What people call it.")
@click.option("--owner", metavar="K", help='The session that asks for it. Else "operator:" and your name.')
@click.option("--timeout", metavar="D", help='Stop it after so long, such as "90s" or "5m".')
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND…")
def command(call: Call, *, words: tuple[str, ...], label: str | None, owner: str | None, timeout: str | None) -> int:
    """Run a command as a task."""
    from tallystick.joining import join

    timeout_ms = None if timeout is None else duration("timeout", timeout)
    with impatient(call.folder) as patient, _stopped_by_signals(), join(call.folder, config=call.settings) as ledger:
        ran = run_command(
            ledger,
            words,
            label=label,
            owner=owner or f"operator:{_user()}",
            timeout_ms=timeout_ms,
            out=sys.stdout.buffer,
            err=sys.stderr.buffer,
            on_start=patient,
        )
    if ran.problem is not None:
        print(ran.problem, file=sys.stderr)
    return ran.exit_code


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """What ends this process ends the command first; what it ignores, as under `nohup`, it goes on ignoring."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number))

    heeded = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        if signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
