"""What the pages show is what happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.docs.pages import Page, all_pages
from tests.docs.playing import PLAYED, is_played, play, says

SHOWN_ONLY = {"", "go", "mermaid", "output", "sh", "text", "toml"}  # the Go program has a test that builds it


def played() -> Iterator[ParameterSet]:
    """The pages that have something to run; those that start processes take more than a second."""
    for page in all_pages():
        starts_processes = any(block.language == "console" for block in page.blocks())
        if is_played(page):
            yield pytest.param(page, id=page.name, marks=[pytest.mark.slow] if starts_processes else [])


@pytest.mark.parametrize("page", list(played()))
def test_a_page_does_what_it_shows(page: Page, tmp_path: Path) -> None:
    play(page, tmp_path)


def test_every_block_is_either_played_or_known_to_be_shown_only() -> None:
    languages = {(block.language, page.name) for page in all_pages() for block in page.blocks()}

    assert [] == [found for found in languages if found[0] not in PLAYED | SHOWN_ONLY]


def test_output_follows_the_block_that_prints_it() -> None:
    astray = [
        f"{page.name}:{block.line}"
        for page in all_pages()
        for before, block in zip([None, *page.blocks()], page.blocks(), strict=False)
        if block.language == "output" and not (block.follows and before is not None and before.language == "python")
    ]

    assert [] == astray


@pytest.mark.parametrize(
    ("expected", "said", "agrees"),
    [
        (("one",), "one\n", True),
        (("one  two",), "one two\n", True),
        (("o...e",), "only one\n", True),
        (("...", "end"), "1\n2\nend\n", True),
        ((), "", True),
        ((), "something\n", False),
        (("one",), "one\ntwo\n", False),
        (("a...c",), "a\nc\n", False),
        (("a.c",), "abc\n", False),
    ],
)
def test_three_dots_stand_for_what_nobody_can_know(expected: tuple[str, ...], said: str, *, agrees: bool) -> None:
    assert agrees is says(expected, said)
