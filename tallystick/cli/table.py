"""The table: rows in columns of fixed width that fit the screen."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from tallystick.cli.cells import fill, width
from tallystick.cli.screen import Screen

GAP = "  "


class Column(Struct, frozen=True):
    """A column: its title, its cells, and how it may shrink. `paint` colours a cell that is laid out."""

    title: str
    cells: Sequence[str]
    most: int
    right: bool = False
    paint: Callable[[str, str], str] | None = None

    def columns(self) -> int:
        """How wide it wants to be."""
        return min(max(width(self.title), *map(width, self.cells), 1), self.most)


def table(screen: Screen, columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of a table; the last column takes what is left of the screen."""
    widths = [column.columns() for column in columns]
    left = screen.columns - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
    widths[-1] = max(min(widths[-1], left), width(columns[-1].title))
    titles = (fill(column.title, wide, right=column.right) for column, wide in zip(columns, widths, strict=True))
    yield screen.dim(GAP.join(titles).rstrip())
    for row in range(len(columns[0].cells)):
        laid = (_cell(column, column.cells[row], wide) for column, wide in zip(columns, widths, strict=True))
        yield GAP.join(laid).rstrip()


def _cell(column: Column, text: str, wide: int) -> str:
    laid = fill(text, wide, right=column.right)
    return column.paint(text, laid) if column.paint is not None else laid
