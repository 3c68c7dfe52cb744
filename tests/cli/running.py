"""What the tests of `tally run` share: a command that is under way, and what the ledger says of it."""

import subprocess
from pathlib import Path
from typing import Any

import psutil

from tests.cli.support import COMMAND, tally


def newest(folder: str) -> dict[str, Any]:
    """The record of the newest task."""
    record: dict[str, Any] = tally("list", "--ledger", folder, "--json").data["tasks"][0]
    return record


def events(folder: str) -> list[dict[str, Any]]:
    """The events of the newest task."""
    found: list[dict[str, Any]] = tally("timeline", newest(folder)["taskId"], "--ledger", folder, "--json").data[
        "events"
    ]
    return found


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(f"import os, signal, subprocess, sys, time\n{text}", "utf-8")
    return str(path)


def start(folder: str, *words: str, **how: Any) -> "subprocess.Popen[bytes]":
    """Start `tally run` as a process; it tells on standard output."""
    return subprocess.Popen([*COMMAND, "run", "--ledger", folder, *words], stdout=subprocess.PIPE, **how)


def line_of(running: "subprocess.Popen[bytes]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().decode().strip()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked how counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
