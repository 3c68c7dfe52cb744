"""`tally archive`: the sealed ranges of the log. Each of its commands has a file of its own."""

from tallystick.cli import menu
from tallystick.cli.group import LedgerGroup

command = LedgerGroup(
    "archive",
    menu=menu.ARCHIVE,
    home="tallystick.cli.commands.archive_",
    default=menu.DEFAULT,
    help=f"""{menu.HELP["archive"]}

    "tally archive" alone is "tally archive list".""",
)
