"""A number of more digits than Python reads is a wrong use like any other, wherever somebody gives it."""

from pathlib import Path

import pytest

from tests.cli.support import make_stories, process, tally

DIGITS = "9" * 5_000
FILE = "tallystick.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_stories(tmp_path / "ledger")
    return tmp_path / "ledger"


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--since", DIGITS],
        ["list", "--since", f"{DIGITS}h"],
        ["cancel", "run-7", "--wait", DIGITS],
        ["run", "--timeout", DIGITS, "--", "true"],
        ["archive", "delete", "--before", DIGITS, "--reason", "x"],
        ["prove", DIGITS],
        ["prove", "--from", DIGITS],
    ],
    ids=lambda words: " ".join(words)[:24],
)
def test_an_option_of_too_many_digits_is_a_wrong_use(folder: Path, words: list[str]) -> None:
    said = tally(*words, "--ledger", str(folder))

    assert 2 == said.code, said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "text",
    [
        f"[archive]\nafter = {DIGITS}\n",
        f'[archive]\nafter = "{DIGITS}h"\n',
        f"[archive]\nafter = {'[' * 5_000}\n",
        f'[[route]]\nto = "telegram://{DIGITS}"\n',
        f'[[route]]\nto = "telegram://1/{DIGITS}"\n',
    ],
    ids=lambda text: text.replace("\n", " ")[:24],
)
def test_a_configuration_of_too_many_digits_or_depths_is_a_wrong_use(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text, "utf-8")

    said = tally("run", "--ledger", str(folder), "--", "true")

    assert 2 == said.code, said.err
    assert "not allowed" in said.err


@pytest.mark.parametrize("name", ["TALLYSTICK_ARCHIVE_AFTER", "TALLYSTICK_ACTORS_LIVE"])
def test_a_variable_of_too_many_digits_is_a_wrong_use(folder: Path, name: str) -> None:
    said = process("list", "--ledger", folder, environment={name: DIGITS})

    assert 2 == said.code
    assert name in said.err
