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
