"""Fields that are texts: what identifies is kept to the letter or refused, what reports is repaired."""

from collections.abc import Callable
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.limits import KEY_BYTES_MAX, LABEL_BYTES_MAX, TASK_BYTES_MAX

LONE_SURROGATE = "\ud800"
any_text = st.text(st.characters(categories=["Cc", "Cs"]) | st.characters(), max_size=30)


class Word(StrEnum):
    CHECK = "check"


def refused(check: Callable[..., object], value: object, field: str = "field", **more: object) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        check("field", value, **more)
    assert field == error.value.field
    assert isinstance(error.value.allowed, str)
    return error.value


# Texts that identify.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("agent:main:main", "agent:main:main"),
        (" run-1\n", "run-1"),
        ("\u00a0run-1\u00a0", "run-1"),
        ("two words", "two words"),
        ("12\u00a0000", "12\u00a0000"),
        ("für 🪵", "für 🪵"),
        ("zero\u200dwidth", "zero\u200dwidth"),
        ("", None),
        (" \n\t", None),
        ("k" * KEY_BYTES_MAX, "k" * KEY_BYTES_MAX),
        ("🪵" * (KEY_BYTES_MAX // 4), "🪵" * (KEY_BYTES_MAX // 4)),
        (f" {'k' * KEY_BYTES_MAX} ", "k" * KEY_BYTES_MAX),
        (Word.CHECK, "check"),
    ],
)
def test_a_key_is_trimmed_and_otherwise_kept_to_the_letter(given: str, kept: str | None) -> None:
    assert kept == fields.key("field", given)
    assert type(kept) is type(fields.key("field", given))


@pytest.mark.parametrize(
    "bad",
    [
        "two\nlines",
        "a\tb",
        "a\0b",
        "a\x1b[31m",
        "a\x7f",
        "a\x85b",
        f"a{LONE_SURROGATE}",
        "k" * (KEY_BYTES_MAX + 1),
        "🪵" * (KEY_BYTES_MAX // 4) + "k",
        7,
        b"run-1",
        None,
        ["run-1"],
    ],
)
def test_what_is_no_key_is_refused_rather_than_repaired(bad: object) -> None:
    assert "512" in refused(fields.key, bad).allowed


@pytest.mark.parametrize("bad", [None, "", " ", "\n"])
def test_a_required_key_is_not_blank(bad: object) -> None:
    assert "not blank" in refused(fields.required_key, bad).allowed


def test_a_required_key_is_a_key() -> None:
    assert "grace-over" == fields.required_key("field", " grace-over ")


@pytest.mark.parametrize("task", ["x", "  indented\n\ttask ", "für 🪵", "\x1b[1mbold", "t" * TASK_BYTES_MAX])
def test_what_is_to_be_done_is_kept_to_the_letter(task: str) -> None:
    assert task == fields.task_text("field", task)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        " \n",
        "\u2003",
        "a\0b",
        LONE_SURROGATE,
        "t" * (TASK_BYTES_MAX + 1),
        "é" * (TASK_BYTES_MAX // 2 + 1),
        None,
        7,
        b"x",
    ],
)
def test_what_says_nothing_cannot_be_done(bad: object) -> None:
    assert "not blank" in refused(fields.task_text, bad).allowed


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" inbox ", "inbox"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07\0", "[31mred"),
        ("\x9bred\x7f", "red"),
        ("\x00", None),
        ("", None),
        ("é" * (LABEL_BYTES_MAX // 2), "é" * (LABEL_BYTES_MAX // 2)),
        (Word.CHECK, "check"),
    ],
)
def test_a_label_loses_what_only_moves_a_cursor(given: str, kept: str | None) -> None:
    assert kept == fields.label("field", given)


@pytest.mark.parametrize("bad", ["l" * (LABEL_BYTES_MAX + 1), "é" * LABEL_BYTES_MAX, LONE_SURROGATE, 7, None])
def test_a_label_that_is_too_long_or_no_text_is_refused(bad: object) -> None:
    assert "512 bytes" in refused(fields.label, bad).allowed


# Texts that report.


@pytest.mark.parametrize(
    ("given", "controls", "kept"),
    [
        (None, True, None),
        ("", True, None),
        (" \n ", True, None),
        ("\0", True, None),
        ("  as it is ", True, "  as it is "),
        ("Error:\n\tboom\r\n", True, "Error:\n\tboom\r\n"),
        ("\x1b[31mred", True, "\x1b[31mred"),
        ("\x1b[31mred\r\n", False, "[31mred\n"),
        ("a\0b", True, "ab"),
        (f"a{LONE_SURROGATE}b", True, "a\ufffdb"),
        ("0123456789abcdef", True, "0123456789abcdef"),
        ("0123456789abcdefg", True, "0123456789abc…"),
        ("0123456789abcde\n", True, "0123456789abcde\n"),
        ("éééééééé", True, "éééééééé"),
        ("ééééééééé", True, "éééééé…"),
        ("🪵🪵🪵🪵🪵", True, "🪵🪵🪵…"),
        ("0123456789abcde🪵", True, "0123456789abc…"),
        (f"0123456789abcde{LONE_SURROGATE}", True, "0123456789abc…"),
        (Word.CHECK, True, "check"),
    ],
)
def test_a_report_is_kept_to_the_letter_or_repaired_but_never_refused(
    given: str | None, *, controls: bool, kept: str | None
) -> None:
    assert kept == fields.report("field", given, bytes_max=16, controls=controls)


@given(given=any_text, bytes_max=st.integers(8, 40), controls=st.booleans())
def test_a_repaired_report_needs_no_further_repair(*, given: str, bytes_max: int, controls: bool) -> None:
    kept = fields.report("field", given, bytes_max=bytes_max, controls=controls)

    assert kept is None or len(kept.encode()) <= bytes_max
    assert kept == fields.report("field", kept, bytes_max=bytes_max, controls=controls)


@pytest.mark.parametrize("bad", [7, b"boom", ValueError("boom"), ["boom"]])
def test_nothing_but_text_can_report(bad: object) -> None:
    assert "text" == refused(fields.report, bad, bytes_max=16).allowed
