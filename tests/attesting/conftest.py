"""Where checkpoints are signed, and a witness that is told of the key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attesting.witness import Witness, serving
from tests.notary.parts import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.new_key()
    return made


@pytest.fixture
def witness(place: Place) -> Iterator[Witness]:
    with serving(Witness(*place.verifiers)) as served:
        yield served
