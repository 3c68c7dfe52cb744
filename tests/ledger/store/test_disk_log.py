"""The log on disk keeps every promise, across processes and bad days."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.port import EventLog
from tests.ledger.store.log_contract import LogContract


class TestDiskLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EventLog]:
        with DiskLog.open(tmp_path / "log") as log:
            yield log
