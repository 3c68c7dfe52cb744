"""A service on loopback for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.channels.service import Service, serving


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running
