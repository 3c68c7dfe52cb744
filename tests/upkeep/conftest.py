"""What the tests of upkeep share."""

from pathlib import Path

import pytest

from tests.upkeep.cases import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A folder for a ledger, and the world around it."""
    return Scene(tmp_path / "ledger")
