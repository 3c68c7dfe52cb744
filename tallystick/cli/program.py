"""The program: from the words of a command line to an exit code. Loads the one command that is called."""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from tallystick.cli import menu
from tallystick.cli.answer import EXIT_OK, Answer, Unheard, as_json, give, hush, say
from tallystick.cli.call import Call
from tallystick.cli.failure import USAGE, Failure, failure_of
from tallystick.cli.group import LedgerGroup

NAME = "tally"
COMPLETE_VARIABLE = "_TALLY_COMPLETE"
_EPILOG = '"tally" alone is "tally list". Every command has its own --help; common options may stand before its name.'


class Program(LedgerGroup):
    """All commands, by chapter."""

    def chapters(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        return list(menu.CHAPTERS.items())


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        say(f"tally {version('tallystick')}")
        ctx.exit()


program = Program(
    NAME,
    menu=menu.HELP,
    home="tallystick.cli.commands.",
    default=menu.DEFAULT,
    params=[
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print it."
        ),
    ],
    help="The ledger of background work: what was started, by whom, when, and how it ended.",
    epilog=_EPILOG,
)


def run(arguments: Sequence[str]) -> int:
    """Run what the arguments say and return the code to exit with. Prints answers, and failures in words or JSON."""
    if COMPLETE_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # they are text files
    call = Call()
    try:
        with program.make_context(NAME, list(arguments), obj=call) as ctx:
            answer = program.invoke(ctx)
        return give(answer, json=call.json) if isinstance(answer, Answer) else int(answer or EXIT_OK)
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        hush()
        return EXIT_OK
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what nobody expected is raised again
        return _fail(error, call, arguments)


def _open_closed() -> None:
    """Open nothing in the place of standard streams that are closed, or the next file would be one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for all that is left


def _fail(error: BaseException, call: Call, arguments: Sequence[str]) -> int:
    failure = failure_of(error)
    if failure is None:
        raise error
    if isinstance(error, Unheard):
        hush()
        print(failure.as_text(), file=sys.stderr)
    elif call.json or (failure.type == USAGE and _asks_for_json(arguments)):
        _say_as_json(failure)
    elif isinstance(error, click.UsageError):
        error.show()
    else:
        print(failure.as_text(), file=sys.stderr)
    return failure.exit_code


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` is among the arguments, when they could not be understood."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def _say_as_json(failure: Failure) -> None:
    try:
        say(as_json(failure.as_data()))
    except BrokenPipeError:
        hush()
    except Unheard as error:
        hush()
        print(failure.as_text(), error, sep="\n", file=sys.stderr)
