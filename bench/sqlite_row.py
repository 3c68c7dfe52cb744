"""A peer: one SQLite row for each task, inserted and updated, without any history.

Python's own sqlite3; write-ahead log, synchronous=FULL (one fsync a transaction), one transaction a transition.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tallystick.bench import workload
from tallystick.bench.sample import Sample, Stopwatch
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.intake import Creation

FILE = "tasks.sqlite3"
SETTINGS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
TABLE = """
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY, runtime TEXT NOT NULL, task TEXT NOT NULL, label TEXT, owner_key TEXT,
    status TEXT NOT NULL, created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER,
    last_event_at INTEGER NOT NULL, progress_summary TEXT, terminal_summary TEXT
) WITHOUT ROWID
"""
CREATE = (
    "INSERT INTO tasks (task_id, runtime, task, label, owner_key, status, created_at, last_event_at)"
    " VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)"
)
START = "UPDATE tasks SET status = 'running', started_at = ?, last_event_at = ? WHERE task_id = ?"
PROGRESS = "UPDATE tasks SET progress_summary = ?, last_event_at = ? WHERE task_id = ?"
SUCCEED = (
    "UPDATE tasks SET status = 'succeeded', ended_at = ?, terminal_summary = ?, last_event_at = ? WHERE task_id = ?"
)

Statement = tuple[str, tuple[object, ...]]


def statements(said: Creation) -> tuple[Statement, ...]:
    """Return the transactions of one life."""
    task_id, now = id_text(new_id()), workload.BEGIN_MS
    born = (task_id, str(said["runtime"]), said["task"], said["label"], said["owner"], now, now)
    return (
        (CREATE, born),
        (START, (now, now, task_id)),
        (PROGRESS, (workload.MESSAGE, now, task_id)),
        (SUCCEED, (now, workload.SUMMARY, now, task_id)),
    )


def live(folder: Path, creations: Sequence[Creation]) -> Sample:
    """Live the lives, one statement after the other."""
    connection = sqlite3.connect(folder / FILE, isolation_level=None)  # every statement is a transaction
    for setting in SETTINGS:
        connection.execute(setting)
    connection.execute(TABLE)
    with Stopwatch() as watch:
        for said in creations:
            for sql, values in statements(said):
                connection.execute(sql, values)
    connection.close()
    count = workload.EVENTS_PER_LIFE * len(creations)
    return watch.sample(count, fsyncs=count)
