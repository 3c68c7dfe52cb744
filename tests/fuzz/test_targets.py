"""Whatever bytes somebody put in the place of ours, who reads them says so in our own words, or is not fooled."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.proofs.parts import near

FOUND = Path(__file__).parent / "found"
"""What was read in a wrong way once: a folder for each target, with the bytes as files."""

each = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each
def test_what_this_version_wrote_is_read(target: Target) -> None:
    for seed in target.seeds():
        target.read(seed)


@pytest.mark.slow
@each
def test_bytes_that_are_nearly_ours_are_read_or_refused_and_nothing_else(target: Target) -> None:
    @given(near(target.seeds()) | st.binary(max_size=200))
    def takes(data: bytes) -> None:
        target.take(data)

    takes()


@pytest.mark.parametrize("path", sorted(FOUND.rglob("*.bin")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_was_read_in_a_wrong_way_once_is_read_or_refused(path: Path) -> None:
    TARGETS[path.parent.name].take(path.read_bytes())
