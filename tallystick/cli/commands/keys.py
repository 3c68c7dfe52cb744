"""`tally keys`: the keys that sign checkpoints. Each of its commands has a file of its own."""

from tallystick.cli import menu
from tallystick.cli.group import LedgerGroup

command = LedgerGroup(
    "keys",
    menu=menu.KEYS,
    home="tallystick.cli.commands.keys_",
    default=menu.DEFAULT_OF_KEYS,
    help=f"""{menu.HELP["keys"]}

    "tally keys" alone is "tally keys show".""",
)
