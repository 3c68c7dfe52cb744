"""The command line: `tally`. Kept tiny, because every command starts here."""


def main() -> None:
    """Run what the command line says, and exit as it ends."""
    import sys

    from tallystick.cli.program import run

    sys.exit(run(sys.argv[1:]))
