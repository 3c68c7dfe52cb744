"""The command: what all of them have in common, and the kinds of values that their options take."""

from collections.abc import Callable, Iterable, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.call import Call
from tallystick.cli.menu import HELP

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PATH = click.Path(path_type=Path, readable=False)  # whoever opens it says what is wrong with it, the same everywhere


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note an option of the call; what stood before the command's name stays if nothing stands behind it."""
    call = ctx.ensure_object(Call)
    if value:
        assert parameter.name is not None
        setattr(call, parameter.name, value)


def common_options() -> list[click.Parameter]:
    """Return the options that every command takes."""
    return [
        click.Option(
            ["--ledger"],
            type=PATH,
            metavar="PATH",
            expose_value=False,
            callback=_keep,
            help="The ledger's folder. Else $TALLYSTICK_LEDGER, else the user's state folder.",
        ),
        click.Option(
            ["--config"],
            type=PATH,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="A TOML file that is read after the ledger's own.",
        ),
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_keep, help="Say it as JSON, failures too."
        ),
    ]


class LedgerCommand(click.Command):
    """A command with the common options; its first line of help is the menu's, its last the shape of its JSON.

    `menu` is that of the group that it is one of.
    """

    def __init__(self, name: str, *, json: str = "", menu: Mapping[str, str] = HELP, **attributes: Any) -> None:
        self.json = cleandoc(json)
        attributes["epilog"] = f"\b\nJSON: {self.json}" if json else None
        attributes["params"] = [*attributes.get("params", ()), *common_options()]
        attributes["help"] = "\n\n".join(filter(None, (menu.get(name), cleandoc(attributes.get("help") or ""))))
        settings = {"help_option_names": ["-h", "--help"], **attributes.pop("context_settings", {})}
        super().__init__(name, context_settings=settings, **attributes)


def command(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command of `tally`. It is called with the `Call` and returns an `Answer` or an exit code."""

    def made(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=LedgerCommand, **attributes)(click.pass_obj(function))

    return made


class OneOf(click.ParamType[str]):
    """A word of a closed set. Completed by the shell, judged by the ledger, whose error has all the data."""

    name = "word"

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.words)}]"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Name the words that there are to whoever gave none."""
        return f"Give one of {', '.join(self.words)}."

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class Lookup(click.ParamType[str]):
    """What names a task: completed with the ids of recent ones."""

    name = "lookup"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> "list[CompletionItem]":
        from tallystick.cli.lookup import completions

        return completions(ctx.ensure_object(Call), incomplete)


class FlowLookup(click.ParamType[str]):
    """What names a flow: completed with the ids of recent ones."""

    name = "lookup"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> "list[CompletionItem]":
        from tallystick.cli.flow_lookup import completions

        return completions(ctx.ensure_object(Call), incomplete)


LOOKUP = Lookup()
FLOW_LOOKUP = FlowLookup()
