"""The stage of the demo: what a person sees while work is under way, and commands run before their eyes."""

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from tallystick.cli.answer import say
from tallystick.cli.call import LEDGER_VARIABLE
from tallystick.cli.screen import Screen, screen_of
from tallystick.cli.stream import event_line
from tallystick.cli.summary import pressure, task_table
from tallystick.cli.times import now_ms
from tallystick.ledger.events import Event
from tallystick.projections.counts import Counts
from tallystick.projections.query import Page

DRAW_S = 0.15
ROWS = 10


class Source(Protocol):
    """What can be asked of a ledger, by its owner and by readers beside it."""

    def list(self, *, limit: int) -> Page: ...

    def counts(self) -> Counts: ...

    def events(self, after: int = 0) -> Iterator[Event]: ...


class Stage:
    """Shows a ledger while work is under way: a table that moves on a terminal, else a line for every event."""

    def __init__(self, ledger: str, *, silent: bool) -> None:
        self.silent = silent
        self.screen = screen_of(sys.stdout)
        self._moves = sys.stdout.isatty() and not silent
        self._ledger = ledger
        self._position = 0

    def say(self, *lines: str) -> None:
        """Tell people something."""
        if not self.silent:
            say(*lines)

    def watch(self, source: Source, done: threading.Event) -> None:
        """Show the ledger until the work is done."""
        with self._shown(source) as show:
            while not done.wait(DRAW_S):
                show()
            show()

    @contextmanager
    def _shown(self, source: Source) -> Iterator[Callable[[], None]]:
        if not self._moves:
            yield lambda: self._tell(source)
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(), auto_refresh=False) as live:
            yield lambda: live.update(Text.from_ansi("\n".join(table_lines(self.screen, source))), refresh=True)

    def _tell(self, source: Source) -> None:
        for event in source.events(self._position):
            self.say(event_line(self.screen, event))
            self._position = event.position

    def run(self, *words: str) -> int:
        """Run `tally` as a process, its command line first, as a person would see both."""
        if self.silent:
            return 0
        say("", self.screen.bold(f"$ {shlex.join(['tally', *words])}"))
        return subprocess.run([*tally(), *words], env=self.environment(), check=False).returncode

    def environment(self) -> Mapping[str, str]:
        """The environment in which `tally` means this ledger."""
        return {**os.environ, LEDGER_VARIABLE: self._ledger}


def tally() -> list[str]:
    """The words that start this very `tally`."""
    return [sys.executable, "-m", "tallystick"]


def typed_name() -> str:
    """What a person types for `tally` here."""
    if shutil.which("tally"):
        return "tally"
    script = sys.argv[0]
    return script if os.path.basename(script) == "tally" else f"{shlex.quote(sys.executable)} -m tallystick"  # noqa: PTH119 - as typed


def table_lines(screen: Screen, source: Source) -> Iterator[str]:
    """Yield the ledger as a table."""
    counts, page = source.counts(), source.list(limit=ROWS)
    yield f"{counts.total} tasks · {pressure(counts)}"
    if page.tasks:
        yield from task_table(screen, page.tasks, now_ms())
