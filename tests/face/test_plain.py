"""Plain text: nothing of a stored text moves a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.plain import plain, plain_lines


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("nothing special", "nothing special"),
        ("größer, 漢字, 🙂", "größer, 漢字, 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1bc reset", "reset"),
        ("10 %\r20 %\r30 %", "10 % 20 % 30 %"),
        ("one\ntwo\r\nthree\x85four\u2028five", "one two three four five"),
        ("a\tb", "a    b"),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\x1b\x1b[31m[31m", "[31m"),
    ],
)
def test_a_stored_text_is_shown_without_what_a_terminal_obeys(stored: str, shown: str) -> None:
    assert shown == plain(stored)


def test_the_lines_of_a_text_stay_lines() -> None:
    assert ["one", "", "  two", "three"] == plain_lines("one\n\n  two\r\nthree")


@given(st.text(st.characters(codec="utf-8", categories=["Cc", "Cf", "Zl", "Zp", "L", "P"])))
def test_no_text_at_all_gets_a_control_through(stored: str) -> None:
    for line in [plain(stored), *plain_lines(stored)]:
        assert not [character for character in line if unicodedata.category(character) in ("Cc", "Zl", "Zp")]
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
