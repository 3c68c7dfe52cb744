"""The moments that operators look for are logged by name, and cost nothing where nobody listens."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import tallystick

QUIET = """
import sys
import tallystick

tallystick.open(sys.argv[1]).close()
print("structlog" in sys.modules)
"""


def test_that_a_ledger_is_opened_and_closed_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tallystick"):
        with tallystick.open(folder) as ledger:
            ledger.create(runtime="cli", task="work", owner="o")
        ledger.close()
        with tallystick.open(folder):
            tallystick.open(folder, read_only=True).close()

    told = [(record.getMessage(), vars(record).get("head")) for record in caplog.records]
    assert [("ledger_opened", 0), ("ledger_closed", None), ("ledger_opened", 1), ("ledger_closed", None)] == told


def test_where_nobody_listens_nothing_is_loaded_for_it(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", QUIET, folder], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
