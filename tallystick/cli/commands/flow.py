"""`tally flow`: flows, work of several steps above tasks. Each of its commands has a file of its own."""

from tallystick.cli import menu
from tallystick.cli.group import LedgerGroup

command = LedgerGroup(
    "flow",
    menu=menu.FLOW,
    home="tallystick.cli.commands.flow_",
    default=menu.DEFAULT,
    help=f"""{menu.HELP["flow"]}

    "tally flow" alone is "tally flow list".""",
)
