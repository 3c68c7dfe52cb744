"""What the tests of redaction share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a ledger; it is not there yet."""
    return tmp_path / "ledger"
