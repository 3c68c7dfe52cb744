"""`tally completion`: the script that makes a shell complete `tally`."""

import click

from tallystick.cli.answer import Answer
from tallystick.cli.call import Call
from tallystick.cli.command import command as _command

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_TALLY_COMPLETE"


@_command(
    "completion",
    json="{shell, script}",
    help="""Write it to a file once; then a new shell starts nothing for it.

    \b
    bash  tally completion bash > ~/.local/share/bash-completion/completions/tally
    zsh   tally completion zsh  > a file _tally in a folder of $fpath
    fish  tally completion fish > ~/.config/fish/completions/tally.fish

    Commands, options, statuses, runtimes and the ids of recent tasks are completed.""",
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(call: Call, *, shell: str) -> Answer:  # noqa: ARG001 - no ledger is needed
    """Print a completion script."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, shell
    # The class's own `source` starts the shell to ask for its version; a script that is written once need not know.
    script = ShellComplete.source(kind(click.Group(), {}, "tally", _VARIABLE))
    return Answer({"shell": shell, "script": script}, lambda _screen: script.rstrip("\n").split("\n"))
