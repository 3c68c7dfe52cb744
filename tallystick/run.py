"""Run: a command as a task that ends as the command ends."""

import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO

from msgspec import Struct

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput, Refused, TallystickError
from tallystick.ledger.limits import TASK_BYTES_MAX
from tallystick.probes.process import own_backing
from tallystick.process import DRAIN_S, Process, held_back
from tallystick.sync import Ledger
from tallystick.task import Task

EXIT_TIMED_OUT = 124  # what `timeout` of coreutils says
EXIT_NOT_EXECUTABLE = 126  # what a shell says
EXIT_NOT_FOUND = 127
EXIT_SIGNAL = 128  # … plus the signal's number
PROGRESS_S = 1.0
MS_PER_S = 1_000


class Terminated(KeyboardInterrupt):
    """Somebody ended this process by another signal than that of Ctrl-C; a handler of that signal may raise it."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.signal = number


class Ran(Struct, frozen=True):
    """How a command ended: its task, the code to exit with, and why it could not be started, if so."""

    task: Task
    exit_code: int
    problem: str | None = None


def run_command(
    ledger: Ledger,
    command: Sequence[str],
    *,
    label: str | None = None,
    owner: str,
    timeout_ms: int | None = None,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
    on_start: Callable[[], object] | None = None,
) -> Ran:
    """Run a command to its end as a `cli` task and record what happens to it.

    Output goes to `out` and `err` as it comes (nowhere when None); the newest line of either becomes progress, at most
    once a second. The command has a process group of its own and reads no terminal. When its time is over the group
    gets SIGTERM, and SIGKILL what is left of it after 5 s. `KeyboardInterrupt` stops it likewise, with SIGINT first (a
    `Terminated` with its own signal), and is raised again after the task is cancelled; a second one kills the group.
    When somebody cancels the task and a signal ends the command, the task is cancelled, not failed.
    `on_start` is called when the command runs.
    Raises what creating a task raises; once the command runs, a ledger that cannot be written is told on standard
    error and changes nothing about the command.
    """
    if not command or any("\0" in word for word in command):
        raise InvalidInput("command", command, "a command and its arguments, without NUL")
    task: Task | None = None
    process: Process | None = None
    try:
        # Until the command runs this process backs the task: should it end now, the task is lost, not queued for ever.
        task = ledger.create(
            runtime="cli",
            task=_text(command),
            label=label,
            owner=owner,
            kind="exec",
            timeout_ms=timeout_ms,
            backing={**own_backing(), "probe": "process"},
        )
        with held_back():  # no interruption comes between the command and knowing it
            try:
                process = Process.start(command, out, err)
            except OSError as error:
                return _not_started(task, command[0], error)
        if on_start is not None:
            on_start()
        return _attend(ledger, task, process, timeout_ms)
    except KeyboardInterrupt as error:
        if task is not None and task.record.is_active:
            if process is None:
                _record(partial(task.cancelled, "interrupted", stopped="it had not started"))
            else:
                _interrupted(task, process, error)
        raise


def _text(command: Sequence[str]) -> str:
    """The command as a shell would take it; what is too long is cut, for it is no reason not to run it."""
    return fields.report("command", shlex.join(command), bytes_max=TASK_BYTES_MAX) or command[0]


def _not_started(task: Task, name: str, error: OSError) -> Ran:
    exit_code = EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_NOT_EXECUTABLE
    problem = f"{name}: {error.strerror}"
    task.fail(problem, exit_code=exit_code)
    return Ran(task, exit_code, problem)


def _attend(ledger: Ledger, task: Task, process: Process, timeout_ms: int | None) -> Ran:
    deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / MS_PER_S
    _record(lambda: task.start(backing=process.backing()))
    told = ""
    while not process.ended.wait(_until_next_look(deadline)):
        if deadline is not None and time.monotonic() >= deadline:
            return _timed_out(ledger, task, process, timeout_ms)
        line = process.last_line
        if line and line != told:
            told = line
            _record(partial(task.progress, line))
    return _ended(ledger, task, process, timeout_ms)


def _until_next_look(deadline: float | None) -> float:
    return PROGRESS_S if deadline is None else max(min(PROGRESS_S, deadline - time.monotonic()), 0)


def _timed_out(ledger: Ledger, task: Task, process: Process, timeout_ms: int | None) -> Ran:
    stopped = process.stop(signal.SIGTERM)
    process.drain(DRAIN_S)
    _record(lambda: task.time_out(f"stopped after {timeout_ms} ms: {stopped}", summary=process.last_line or None))
    process.drain()
    return Ran(_newest(ledger, task), EXIT_TIMED_OUT)


def _interrupted(task: Task, process: Process, error: KeyboardInterrupt) -> None:
    number = error.signal if isinstance(error, Terminated) else signal.SIGINT
    try:
        stopped = process.stop(number)
        process.drain(DRAIN_S)
    except KeyboardInterrupt:  # again: no more patience
        stopped = process.kill()
    _record(lambda: task.cancelled(f"interrupted by {number.name}", stopped=stopped))


def _ended(ledger: Ledger, task: Task, process: Process, timeout_ms: int | None) -> Ran:
    process.drain(DRAIN_S)  # so that the last line is known; a reader that is slow does not hold up the record
    code = process.code
    if code == 0:
        _record(lambda: task.succeed(_with("exit code 0", process.last_line)))
    elif code > 0:
        _record(lambda: task.fail(_with(f"exit code {code}", process.last_error), exit_code=code))
    else:
        name = _signal_name(-code)
        if _is_over(task):  # then it was the ledger that stopped it, a moment before this would have
            how = f"stopped after {timeout_ms} ms: killed by {name}"
            _record(lambda: task.time_out(how, summary=process.last_line or None))
            process.drain()
            return Ran(_newest(ledger, task), EXIT_TIMED_OUT)
        _record(lambda: _killed(ledger, task, name, process.last_error))
    process.drain()
    return Ran(_newest(ledger, task), code if code >= 0 else EXIT_SIGNAL - code)


def _is_over(task: Task) -> bool:
    """Whether the time of a task is over, by the machine's clock, as the owner of the ledger sees it."""
    deadline_at = task.record.deadline_at
    return deadline_at is not None and time.time() * MS_PER_S >= deadline_at


def _killed(ledger: Ledger, task: Task, name: str, last_error: str) -> None:
    """Who was asked to stop and was stopped has not failed; others may have asked meanwhile."""
    known = ledger.get(task.id).record
    if known.cancel_requested_at is None:
        task.fail(_with(f"killed by {name}", last_error), signal=name)
    else:
        task.cancelled(known.cancel_reason, stopped=_with(f"the command, killed by {name}", last_error))


def _with(end: str, line: str) -> str:
    return f"{end}: {line}" if line else end


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _newest(ledger: Ledger, task: Task) -> Task:
    """Return the task as it is now: the ledger may have ended it itself."""
    try:
        return ledger.get(task.id)
    except TallystickError:
        return task


def _record(write: Callable[[], object]) -> None:
    """Tell the ledger; when it cannot be told, tell people: the command's own fate does not hang on it."""
    try:
        write()
    except Refused:
        pass  # the ledger has ended the task itself in between, and keeps this as a late signal
    except TallystickError as error:
        print(f"tallystick could not record this: {error}", file=sys.stderr)  # noqa: T201 - the last resort
