"""A proof or a checkpoint that was cut off is named with its option, and proves nothing."""

from pathlib import Path

import pytest

from tests.cli.support import tally
from tests.notary.parts import Place


@pytest.mark.parametrize(
    ("option", "whole", "words"),
    [
        ("--proof", "event-7.tlog-proof", []),
        ("--proof", "on", ["--old", "kept"]),
        ("--old", "kept", ["--proof", "on"]),
        ("--checkpoint", "kept", []),
    ],
)
def test_a_file_that_was_cut_off_anywhere_is_named_with_its_option_and_what_it_should_be(
    place: Place, option: str, whole: str, words: list[str]
) -> None:
    tally("prove", "7")
    tally("prove", "--from", "kept", "--out", "on")
    content = Path(whole).read_bytes()
    for end in (0, *range(1, len(content), 37), len(content) - 1):
        (place.beside / "cut").write_bytes(content[:end])
        said = tally("verify", option, "cut", *words, "--key", "pin")

        assert (2, "") == (said.code, said.out)
        assert said.err.startswith(f"{option}: 'cut' is not allowed; give a whole ")
        assert "this was cut off, or is something else" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("prove", "--from", "cut", "--out", "on"),
        ("keys", "sign", "--file", "elsewhere", "--old", "cut", "text"),
        ("checkpoint", "--add", "cut", "--key", "pin"),
    ],
)
def test_a_checkpoint_that_was_cut_off_is_named_wherever_one_is_wanted(place: Place, words: tuple[str, ...]) -> None:
    (place.beside / "text").write_text(tally("checkpoint", "--unsigned").out, "utf-8")
    content = Path("kept").read_bytes()
    for end in (0, len(content) // 2, len(content) - 1):
        (place.beside / "cut").write_bytes(content[:end])
        said = tally(*words)

        assert (2, "") == (said.code, said.out)
        assert "'cut' is not allowed; give a whole checkpoint" in said.err


@pytest.mark.parametrize("content", ["", "\n \n"])
@pytest.mark.parametrize(
    "words", [("--key", "none"), ("--key", "pin", "--key", "none"), ("--key", "pin", "--witness", "none")]
)
def test_a_file_without_any_key_asks_for_nobody_and_is_refused(
    place: Place, content: str, words: tuple[str, ...]
) -> None:
    (place.beside / "none").write_text(content, "utf-8")
    tally("prove", "7")

    for given in (("--checkpoint", "kept"), ("--proof", "event-7.tlog-proof")):
        assert 0 == tally("verify", *given, "--key", "pin").code
        said = tally("verify", *given, *words)
        assert (2, "") == (said.code, said.out)
        assert "'none' is not allowed; give a file with a verifier key" in said.err
