"""The bar: how far long work is, on standard error, for people who watch it. Nobody watches a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Told: TypeAlias = Callable[[int, int], None]
"""Told how much is done, of how much."""


def _nobody(_done: int, _total: int) -> None:
    """Nobody watches."""


@contextmanager
def bar(what: str) -> Iterator[Told]:
    """Show a bar while the block works. Yields what to call with (done, total)."""
    if not sys.stderr.isatty():
        yield _nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        work = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(work, completed=done, total=total)
