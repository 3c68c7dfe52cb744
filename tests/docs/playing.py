"""Playing a page: its Python blocks and its console blocks run in order, and say what the page says they say."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.docs.pages import Block, Page

PLAYED = frozenset({"python", "console"})
SECONDS_MAX = 60
_ANY_LINES = "..."


def is_played(page: Page) -> bool:
    """Whether there is anything to run on a page."""
    return any(block.language in PLAYED for block in page.blocks())


def play(page: Page, folder: Path) -> None:
    """Run a page in a folder of its own, with nothing set that this process has set for `tally`.

    The Python blocks of a page share one namespace; what they print is in the block "output" that follows directly.
    A console block has commands behind "$ " and their output below: `tally …`, `export NAME=VALUE`, `echo $?`.
    In what is expected "..." stands for anything within a line, alone on a line for any lines; spaces count as one.
    """
    with _alone(folder):
        player = _Player(page)
        blocks = page.blocks()
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            said = following.lines if following and following.language == "output" and following.follows else ()
            if block.language == "python":
                player.python(block, said)
            elif block.language == "console":
                player.console(block)


class _Player:
    """The page so far: the names that its code has defined, and how its last command ended."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._module = ModuleType("page")
        self._code = 0

    def python(self, block: Block, expected: tuple[str, ...]) -> None:
        """Run a Python block. A trace back names the page and its line."""
        source = "\n" * (block.line - 1) + block.text
        code = compile(source, self._page.name, "exec", dont_inherit=True)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, self._module.__dict__)  # noqa: S102 - the page is what is tested
        self._compare(block, expected, said.getvalue())

    def console(self, block: Block) -> None:
        """Run the commands of a console block, each against what stands below it."""
        for command, expected in _commands(block):
            self._compare(block, expected, self._run(command, block))

    def _run(self, command: str, block: Block) -> str:
        words = shlex.split(command)
        if command == "echo $?":
            return f"{self._code}\n"
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            os.environ[name] = value
            return ""
        assert words[0] == "tally", f"{self._page.name}:{block.line}: {command!r} is nothing that is played here"
        done = subprocess.run(
            [sys.executable, "-m", "tallystick", *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=SECONDS_MAX,
        )
        self._code = done.returncode
        return done.stdout

    def _compare(self, block: Block, expected: tuple[str, ...], said: str) -> None:
        if not says(expected, said):
            wanted = "\n".join(expected)
            raise AssertionError(f"{self._page.name}:{block.line} expects\n{wanted}\n\nand got\n{said}")


def says(expected: tuple[str, ...], said: str) -> bool:
    """Whether a text is what is expected, in which "..." stands for anything."""
    pattern = ""
    for line in expected:
        if line.strip() == _ANY_LINES:
            pattern += r"(?:.*\n)*?"
        else:
            parts = " ".join(line.split()).split(_ANY_LINES)
            pattern += ".*".join(map(re.escape, parts)) + r"\n"
    told = "".join(f"{' '.join(line.split())}\n" for line in said.splitlines())
    return re.fullmatch(pattern, told) is not None


def _commands(block: Block) -> Iterator[tuple[str, tuple[str, ...]]]:
    starts = [number for number, line in enumerate(block.lines) if line.startswith("$ ")]
    assert starts[:1] == [0], f"line {block.line}: a console block begins with a command"
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        expected = block.lines[start + 1 : end]
        yield block.lines[start][2:], expected[:-1] if expected and not expected[-1] else expected


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith("TALLYSTICK_"):
            del os.environ[name]
    os.environ.update(HOME=str(folder), XDG_STATE_HOME=str(folder / "state-home"), NO_COLOR="1", PYTHONUTF8="1")
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
