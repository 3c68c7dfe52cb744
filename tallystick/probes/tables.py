"""The session table: an agent store that has one row for each session, in an SQLite file."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tallystick.ledger import fields
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict

FILE_BYTES_MAX = 2_048  # of a path, as evidence
TIMEOUT_S = 1.0  # how long a store that somebody else writes is waited for


class SessionTable:
    """A probe that looks whether the row of a task's child session is still in its table.

    `query` is an SQL query with one `?` for the session's key, such as `SELECT * FROM sessions WHERE key = ?`. The file
    is opened for reading only, anew for each question, and never created.

    ALIVE when the query has a row, MISSING when it has none. UNKNOWN when nobody can tell: the task names no child
    session, the file is not there, locked, damaged, or has no such table.

    `ended` is given the first row (a `sqlite3.Row`) and reads how the session ended: it returns a `Verdict`, or None
    when it has not. With it tasks that are already lost are looked at too, and recovered as what they were.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        query: str,
        *,
        ended: Callable[[sqlite3.Row], Verdict | None] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._file, self._query, self._ended, self._timeout_s = Path(file), query, ended, timeout_s
        self.recovers = ended is not None

    def __call__(self, task: TaskRecord) -> Verdict:
        session = task.child_session_key
        if session is None:
            return Verdict.unknown("the task names no child session")
        seen = {"session": session, "file": fields.report("file", str(self._file), bytes_max=FILE_BYTES_MAX)}
        try:
            row = self._row(session)
        except sqlite3.Error as error:
            return Verdict.unknown({**seen, "detail": f"the store cannot be read: {error}"})
        if row is None:
            return Verdict.missing({**seen, "detail": "the child session is gone"})
        ended = None if self._ended is None else self._ended(row)
        return ended or Verdict.alive(seen)

    def _row(self, session: str) -> sqlite3.Row | None:
        place = f"{self._file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=self._timeout_s)) as store:
            store.row_factory = sqlite3.Row
            row: sqlite3.Row | None = store.execute(self._query, (session,)).fetchone()
            return row
