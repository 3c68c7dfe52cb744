"""The database: the tables of OpenClaw's state that tell of tasks and flows, read as of one moment. Nothing is written.

Its schema is that of OpenClaw 2026.9: `task_runs`, `task_delivery_state` and `flow_runs`. A column that another version
does not have reads as blank; one that every row needs must be there.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from tallystick.ledger.errors import InvalidInput, Shown

SQLITE_MAGIC = b"SQLite format 3\x00"

TASKS, DELIVERIES, FLOWS = "task_runs", "task_delivery_state", "flow_runs"

Row: TypeAlias = Mapping[str, object]
"""The values of a row by the names of their columns; None for what is NULL or not there."""

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        TASKS: (
            "task_id",
            "runtime",
            "task_kind",
            "source_id",
            "requester_session_key",
            "owner_key",
            "scope_kind",
            "child_session_key",
            "parent_flow_id",
            "parent_task_id",
            "agent_id",
            "requester_agent_id",
            "run_id",
            "execution_owner_host",
            "execution_owner_pid",
            "execution_owner_start_identity",
            "label",
            "task",
            "status",
            "delivery_status",
            "notify_policy",
            "created_at",
            "started_at",
            "ended_at",
            "last_event_at",
            "cleanup_after",
            "tool_use_count",
            "last_tool_name",
            "error",
            "progress_summary",
            "terminal_summary",
            "terminal_outcome",
            "detail_json",
        ),
        DELIVERIES: ("task_id", "requester_origin_json", "last_notified_event_at"),
        FLOWS: (
            "flow_id",
            "shape",
            "sync_mode",
            "owner_key",
            "requester_origin_json",
            "controller_id",
            "revision",
            "status",
            "notify_policy",
            "goal",
            "current_step",
            "blocked_task_id",
            "blocked_summary",
            "state_json",
            "wait_json",
            "cancel_requested_at",
            "created_at",
            "updated_at",
            "ended_at",
        ),
    }
)
"""What is read of each table."""

NEEDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        TASKS: frozenset({"task_id", "runtime", "task", "status", "created_at"}),
        DELIVERIES: frozenset({"task_id"}),
        FLOWS: frozenset({"flow_id", "sync_mode", "owner_key", "status", "goal", "created_at"}),
    }
)

_ALLOWED = "the state database of OpenClaw 2026.9, which has task_runs, task_delivery_state and flow_runs"
_COPY = "a database that can be read: copy it with its -wal file beside it, while OpenClaw does not run"
_VIEW = "SELECT 1 FROM sqlite_master WHERE type = 'view' AND lower(name) = ?"
_WAL_BYTE = 18  # of the header: 2 when the database is in WAL mode
_WAL = 2
_TRIES = 3


class Tables(Struct, frozen=True):
    """The rows of the three tables, in the order of their keys."""

    tasks: tuple[Row, ...] = ()
    deliveries: tuple[Row, ...] = ()
    flows: tuple[Row, ...] = ()


def is_database(path: Path) -> bool:
    """Whether a file begins as databases of SQLite do. Raises `InvalidInput` for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError as error:
        allowed = "the path of a file that can be read"
        raise _unfit(path, allowed, error.strerror or str(error)) from error


def read(path: Path) -> Tables:
    """Read the tables, beside whoever writes them. Nothing is written, and no file is made beside the database.

    Raises `InvalidInput` when it is no such database, or cannot be read.
    """
    place = Path(os.path.realpath(path))  # a link has no -wal file beside it: that is where it leads
    try:
        for _ in range(_TRIES):
            mark = _mark(place)
            with _opened(place) as connection:
                tables = Tables(*(tuple(_rows(connection, path, table)) for table in (TASKS, DELIVERIES, FLOWS)))
            if not _is_quiet(place) or _mark(place) == mark:
                return tables
    except (sqlite3.Error, UnicodeError) as error:  # what it says of a damaged one has parts of that
        raise _unfit(path, _COPY, str(error)) from error
    except OSError as error:
        raise _unfit(path, _COPY, error.strerror or str(error)) from error
    raise _unfit(path, _COPY, "it changes while it is read")


def _unfit(path: Path, allowed: str, why: str) -> InvalidInput:
    return InvalidInput("file", Shown(path.name), f"{allowed} ({why})")


def _is_quiet(path: Path) -> bool:
    """Whether it is in WAL mode and nobody has it open: then even to read it would make files beside it."""
    with path.open("rb") as file:
        head = file.read(_WAL_BYTE + 1)
    return head[_WAL_BYTE:] == bytes([_WAL]) and not path.with_name(f"{path.name}-wal").exists()


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open it in one transaction. One that nobody has open is taken as it is, and looked at again afterwards."""
    how = "mode=ro&immutable=1" if _is_quiet(path) else "mode=ro"
    uri = f"{path.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        # Half a character is told as it is, so that only its row is refused.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA trusted_schema = 0")
        connection.execute("BEGIN")
        yield connection


def _rows(connection: sqlite3.Connection, path: Path, table: str) -> Iterator[Row]:
    if connection.execute(_VIEW, (table,)).fetchone():  # a program, which may never end
        raise _unfit(path, _ALLOWED, f"{table} is a view")
    there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not there and table != TASKS:
        return  # a version that has none
    missing = sorted(NEEDED[table] - there)
    if missing:
        what = f"without {table}" if not there else f"{table} has no {', '.join(missing)}"
        raise _unfit(path, _ALLOWED, what)
    columns = [name for name in COLUMNS[table] if name in there]
    blank = dict.fromkeys(COLUMNS[table])
    listed = ", ".join(columns)
    for values in connection.execute(f"SELECT {listed} FROM {table} ORDER BY 1"):  # noqa: S608 - the names are ours
        yield {**blank, **dict(zip(columns, values, strict=True))}
