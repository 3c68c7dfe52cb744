"""The program: from the words of a command line to an exit code. Loads the one command that is called."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from tallystick.cli import menu
from tallystick.cli.answer import EXIT_OK, Answer, as_json, give, hush, say
from tallystick.cli.call import Call
from tallystick.cli.command import common_options
from tallystick.cli.failure import USAGE, Failure, failure_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAME = "tally"
COMPLETE_VARIABLE = "_TALLY_COMPLETE"
_OWN_OPTIONS = {"--help", "-h", "--version"}
_EPILOG = '"tally" alone is "tally list". Every command has its own --help; common options may stand before its name.'


class Program(click.Group):
    """All commands, each loaded when it is called; the menu knows them before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(menu.HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in menu.HELP:
            return None
        found = import_module(f"tallystick.cli.commands.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command where no command is named."""
        takes_value = {"--ledger", "--config"}
        place = 0
        while place < len(args) and (args[place] == "--json" or args[place].partition("=")[0] in takes_value):
            place += 2 if args[place] in takes_value else 1
        if place < len(args):
            wants_default = args[place].startswith("-") and args[place] not in _OWN_OPTIONS
        else:
            wants_default = not ctx.resilient_parsing  # a shell that completes has not said yet what comes
        if wants_default:
            args = [*args[:place], menu.DEFAULT, *args[place:]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        self.commands = dict.fromkeys(menu.HELP, self)  # for "did you mean": names are enough
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, text in menu.HELP.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for chapter, entries in menu.CHAPTERS.items():
            with formatter.section(chapter):
                formatter.write_dl(list(entries.items()), col_max=12)


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        say(f"tally {version('tallystick')}")
        ctx.exit()


program = Program(
    NAME,
    params=[
        *common_options(),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print it."
        ),
    ],
    help="The ledger of background work: what was started, by whom, when, and how it ended.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: Sequence[str]) -> int:
    """Run what the arguments say and return the code to exit with. Prints answers, and failures in words or JSON."""
    if COMPLETE_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # they are text files
    call = Call()
    try:
        with program.make_context(NAME, list(arguments), obj=call) as ctx:
            answer = program.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        hush()
        return EXIT_OK
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what nobody expected is raised again
        return _fail(error, call, arguments)
    return give(answer, json=call.json) if isinstance(answer, Answer) else int(answer or EXIT_OK)


def _fail(error: BaseException, call: Call, arguments: Sequence[str]) -> int:
    failure = failure_of(error)
    if failure is None:
        raise error
    if call.json or (failure.type == USAGE and _asks_for_json(arguments)):
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
