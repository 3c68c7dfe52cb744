"""What the tests of exports and imports share."""

from pathlib import Path

import pytest

from tests.exports.evidence import EVENTS, bundled
from tests.exports.parts import logged, make_openclaw
from tests.notary.parts import Place


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A state database of OpenClaw with the tables that tell of tasks and flows, and nothing in them."""
    path = tmp_path / "openclaw.sqlite"
    make_openclaw(path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place for a ledger, with a key."""
    made = Place(tmp_path)
    made.new_key()
    return made


@pytest.fixture
def bundle(place: Place, tmp_path: Path) -> Path:
    """A bundle of a small log."""
    bundled(logged(EVENTS), place, tmp_path / "bundle")
    return tmp_path / "bundle"
