"""Parts for the tests of exports and imports: ledgers with given events, exports of them, and OpenClaw's tables."""

import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tallystick.exports.exporting import Exported, export, selection_of
from tallystick.imports.database import COLUMNS
from tallystick.ledger.events import Event
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.memory import MemoryLog
from tallystick.ledger.store.port import Body, EventLog
from tallystick.projections.due import DueRules
from tallystick.readings import Readings
from tests.story import BEGIN_MS

NOW_MS = BEGIN_MS + 1_000_000


def read(log: EventLog) -> Readings:
    """Return the readings of a log without read models."""
    return Readings(log, None, rules=DueRules())


def logged(events: Sequence[Event]) -> MemoryLog:
    """Return a log that has these events."""
    log = MemoryLog()
    log.append(events)
    return log


class Spoiled(MemoryLog):
    """A log of which one record has other bytes than those that were written."""

    def __init__(self, events: Sequence[Event], position: int, body: bytes) -> None:
        super().__init__()
        self.append(events)
        self._spoiled, self._body = position, body

    def records(self, first: int, last: int) -> list[Body]:
        found = enumerate(super().records(first, last), first)
        return [self._body if position == self._spoiled else body for position, body in found]

    def bodies(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        for position, body in super().bodies(after, until):
            yield position, self._body if position == self._spoiled else body


def exported(readings: Readings, form: str = "ndjson", **selected: Any) -> tuple[bytes, Exported]:
    """Return an export as bytes, and what is said of it."""
    out = io.BytesIO()
    made = export(readings, form, out, selection_of(form, **selected), now=NOW_MS)
    return out.getvalue(), made


def lines(content: bytes) -> list[dict[str, Any]]:
    """Return the lines of an export, read."""
    return [json.loads(line) for line in content.splitlines()]


def bodies(ledger: Path) -> list[tuple[int, bytes]]:
    """Return the records of a ledger on disk, to the byte."""
    with DiskLog.open(ledger / "log", readonly=True) as log:
        return list(log.bodies())


def root(ledger: Path) -> bytes:
    """Return the root hash of a ledger on disk."""
    with DiskLog.open(ledger / "log", readonly=True) as log:
        return log.tree_head().root_hash


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for the locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "lock" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# OpenClaw.

TASK: dict[str, Any] = {
    "task_id": "old-1",
    "runtime": "subagent",
    "owner_key": "agent:main:main",
    "requester_session_key": "agent:main:main",
    "scope_kind": "session",
    "task": "Count the tallies",
    "status": "succeeded",
    "delivery_status": "delivered",
    "notify_policy": "done_only",
    "created_at": BEGIN_MS,
    "started_at": BEGIN_MS + 10,
    "ended_at": BEGIN_MS + 20,
    "terminal_summary": "42 tallies",
}
"""An ordinary row of `task_runs`."""

FLOW: dict[str, Any] = {
    "flow_id": "flow-1",
    "sync_mode": "managed",
    "owner_key": "agent:main:main",
    "controller_id": "pipeline",
    "status": "running",
    "goal": "Ship it",
    "created_at": BEGIN_MS,
    "updated_at": BEGIN_MS + 5,
}
"""An ordinary row of `flow_runs`."""


def task(key: str = "old-1", **more: Any) -> dict[str, Any]:
    """Return a row of `task_runs` with more said in it."""
    return {**TASK, "task_id": key, "run_id": f"run-{key}", **more}


def active(key: str = "old-1", status: str = "running", **more: Any) -> dict[str, Any]:
    """Return a row of a task that has not ended."""
    started = BEGIN_MS + 10 if status == "running" else None
    blank = {"started_at": started, "ended_at": None, "terminal_summary": None, "delivery_status": "pending"}
    return task(key, status=status, **{**blank, **more})


def make_openclaw(path: Path) -> None:
    """Make a database with the tables of OpenClaw, without its rules about them: others may not have kept them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in COLUMNS.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")


def fill(path: Path, table: str, *rows: dict[str, Any]) -> None:
    """Put rows into a table."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for row in rows:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
