"""The screen: how wide it is, whether it has colours, and what they mean. Words always say what colours say."""

import os
from collections.abc import Mapping
from typing import IO

import click
from msgspec import Struct

from tallystick.cli.cells import fill, wrap

PIPED_COLUMNS = 160  # what is piped is read by programs, and by people with wide windows: ids stay whole
COLUMNS_MIN = 40
_DIGITS_MAX = 6  # of a width that anybody means
INDENT = 16  # of what stands beside a name

STATUS_COLOURS: Mapping[str, str] = {
    "queued": "cyan",
    "running": "blue",
    "waiting": "cyan",
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
    "lost": "magenta",
    "blocked": "yellow",
}


class Screen(Struct, frozen=True):
    """Where text goes."""

    columns: int = PIPED_COLUMNS
    has_colours: bool = False

    def dim(self, text: str) -> str:
        """What matters less than the rest."""
        return self._paint(text, dim=True)

    def bold(self, text: str) -> str:
        """What the eye should find first."""
        return self._paint(text, bold=True)

    def colour(self, text: str, name: str) -> str:
        """A text in a colour."""
        return self._paint(text, fg=name)

    def status(self, shown: str, text: str | None = None) -> str:
        """A status in its colour; `text` is the word as it is laid out."""
        return self._paint(shown if text is None else text, fg=STATUS_COLOURS.get(shown))

    def named(self, name: str, text: str, *, colour: str | None = None) -> list[str]:
        """A name and what it is, wrapped below itself."""
        lines = wrap(text, max(self.columns - INDENT, COLUMNS_MIN))
        first = self.colour(lines[0], colour) if colour else lines[0]
        return [f"{self.dim(fill(name, INDENT - 1))} {first}".rstrip(), *(" " * INDENT + line for line in lines[1:])]

    def _paint(self, text: str, **style: object) -> str:
        return click.style(text, **style) if self.has_colours else text  # type: ignore[arg-type] # as click says


def screen_of(stream: IO[str]) -> Screen:
    """Return the screen that a stream writes to. Colours only on a terminal, and never with `NO_COLOR`."""
    if not stream.isatty():
        return Screen()
    columns = _columns(stream)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(max(columns, COLUMNS_MIN), not plain)


def _columns(stream: IO[str]) -> int:
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and len(named) <= _DIGITS_MAX and int(named):
        return int(named)
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return PIPED_COLUMNS
