"""The pages of the documentation as data: their fenced blocks, headings, tables and links."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"```(\w*)\s*")
_HEADING = re.compile(r"(#{1,6}) (.+)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NO_ANCHOR = re.compile(r"[^\w\- ]")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class Block(Struct, frozen=True):
    """One fenced block: its language, the number of its first line, its lines, and whether it follows one directly."""

    language: str
    line: int
    lines: tuple[str, ...]
    follows: bool

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line}\n" for line in self.lines)


class Page(Struct, frozen=True):
    """One page: where it is, and its lines."""

    path: Path
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """The page's path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self) -> list[Block]:
        """Every fenced block, in order."""
        found: list[Block] = []
        inside: tuple[str, int] | None = None
        follows = False
        for number, line in enumerate(self.lines, 1):
            fence = _FENCE.fullmatch(line)
            if inside is None:
                if fence:
                    inside = (fence[1], number + 1)
                elif line:
                    follows = False
            elif line == "```":
                language, first = inside
                found.append(Block(language, first, self.lines[first - 1 : number - 1], follows))
                inside, follows = None, True
        assert inside is None, f"{self.name}: a block that never ends"
        return found

    def prose(self) -> str:
        """The page without its blocks and comments."""
        hidden = {
            number for block in self.blocks() for number in range(block.line - 1, block.line + len(block.lines) + 1)
        }
        return _COMMENT.sub(
            "", "".join(f"{line}\n" for number, line in enumerate(self.lines, 1) if number not in hidden)
        )

    def headings(self) -> list[str]:
        """The headings, without their level."""
        return [found[2] for line in self.prose().splitlines() if (found := _HEADING.fullmatch(line))]

    def anchors(self) -> set[str]:
        """What a link may name behind "#": headings as web pages spell them."""
        return {_NO_ANCHOR.sub("", heading.lower()).replace(" ", "-") for heading in self.headings()}

    def links(self) -> list[str]:
        """The targets of all links."""
        return _LINK.findall(self.prose())

    def section(self, heading: str) -> str:
        """Return what stands under a heading, down to the next one of its level or a higher one."""
        level, taken = 0, list[str]()
        for line in self.lines:
            found = _HEADING.fullmatch(line)
            if found and level and len(found[1]) <= level:
                break
            if level:
                taken.append(line)
            elif found and found[2] == heading:
                level = len(found[1])
        assert level, f"{self.name} has no heading {heading!r}"
        return "\n".join(taken)


def page(path: Path) -> Page:
    """Return the page in a file."""
    return Page(path, tuple(path.read_text("utf-8").splitlines()))


def doc(name: str) -> Page:
    """Return a page below `docs/`."""
    return page(DOCS / name)


def all_pages() -> list[Page]:
    """Return every page below `docs/`, and those beside it."""
    beside = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [page(path) for path in (*beside, *sorted(DOCS.rglob("*.md")))]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of the tables in a text, without the headings of columns; code marks are taken off the cells."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not line.startswith("|-") and not following.startswith("|-"):
            yield [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
