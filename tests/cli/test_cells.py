"""Cells take the columns that a terminal gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.cells import cut, fill, width, wrap
from tallystick.cli.screen import Screen
from tallystick.cli.table import Column, table


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("", 0), ("a\u200bb", 2)])
def test_wide_characters_take_two_columns_and_combining_ones_none(text: str, columns: int) -> None:
    assert columns == width(text)


@pytest.mark.parametrize(
    ("text", "columns", "kept"),
    [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("ab cdef", 4, "ab…"), ("漢字漢字", 5, "漢字…"), ("ab", 0, "")],
)
def test_what_is_cut_ends_in_an_ellipsis(text: str, columns: int, kept: str) -> None:
    assert kept == cut(text, columns)


@given(st.text(), st.integers(1, 40), st.booleans())
def test_a_filled_cell_takes_exactly_its_columns(text: str, columns: int, right: bool) -> None:  # noqa: FBT001 - Hypothesis
    assert columns == width(fill(text, columns, right=right))


@given(st.text("ab 漢", max_size=80), st.integers(2, 30))
def test_a_wrapped_text_fits_and_loses_nothing_but_spaces(text: str, columns: int) -> None:
    lines = wrap(text, columns)

    assert text.replace(" ", "") == "".join(lines).replace(" ", "")
    assert all(width(line) <= columns for line in lines)


def test_a_table_fits_the_screen_and_its_last_column_takes_the_rest() -> None:
    columns = [
        Column("Name", ["one", "two"], 10),
        Column("N", ["1", "22"], 5, right=True),
        Column("Text", ["x" * 90, ""], 99),
    ]

    lines = list(table(Screen(40), columns))

    assert ["Name   N  Text", f"one    1  {'x' * 29}…", "two   22"] == lines


def test_a_cell_is_coloured_after_it_was_laid_out() -> None:
    screen = Screen(80, has_colours=True)
    column = Column("Status", ["failed"], 9, paint=screen.status)

    assert "\x1b[31mfailed\x1b[0m" == list(table(screen, [column]))[1]
