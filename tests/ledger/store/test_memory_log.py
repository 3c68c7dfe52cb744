"""The log in memory keeps every promise but durability."""

import pytest

from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import EventLog
from tests.ledger.store.log_contract import LogContract


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> EventLog:
        return MemoryLog()

    def test_it_says_where_it_is(self, log: EventLog) -> None:
        assert ":memory:" == log.path
