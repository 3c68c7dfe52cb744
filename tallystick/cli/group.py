"""The group: a command that is several, each with its own options, and each loaded when it is called."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.command import common_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_OWN_OPTIONS = {"--help", "-h", "--version"}
_TAKE_VALUES = {"--ledger", "--config"}


class LedgerGroup(click.Group):
    """Commands that share a menu, which is known without loading any of them.

    `home` is the prefix of the modules that have them; `default` is the one that is meant when none is named.
    """

    def __init__(self, name: str, *, menu: Mapping[str, str], home: str, default: str, **attributes: Any) -> None:
        attributes["params"] = [*common_options(), *attributes.get("params", ())]
        settings = {"help_option_names": ["-h", "--help"]}
        super().__init__(name, context_settings=settings, **attributes)
        self.menu, self.home, self.default = menu, home, default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.menu)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.menu:
            return None
        found = import_module(f"{self.home}{cmd_name}{'_' * iskeyword(cmd_name)}").command
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command where no command is named."""
        place = 0
        while place < len(args) and (args[place] == "--json" or args[place].partition("=")[0] in _TAKE_VALUES):
            place += 2 if args[place] in _TAKE_VALUES else 1
        if place < len(args):
            wants_default = args[place].startswith("-") and args[place] not in _OWN_OPTIONS
        else:
            wants_default = not ctx.resilient_parsing  # a shell that completes has not said yet what comes
        if wants_default:
            args = [*args[:place], self.default, *args[place:]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        self.commands = dict.fromkeys(self.menu, self)  # for "did you mean": names are enough
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, text in self.menu.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for chapter, entries in self.chapters():
            with formatter.section(chapter):
                formatter.write_dl(list(entries.items()), col_max=12)

    def chapters(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Return the menu, chapter by chapter."""
        return [("Commands", self.menu)]
