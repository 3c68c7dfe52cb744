"""The session directory: an agent store that has one file or folder for each session."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tallystick.ledger import fields
from tallystick.ledger.errors import InvalidInput
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Verdict

FILE_BYTES_MAX = 2_048  # of a path, as evidence

NS_PER_MS = 1_000_000


class SessionDirectory:
    """A probe that looks whether the file of a task's child session is still in its store.

    `path` says where in `folder` a session is: a text in which `{session}` stands for the session's key, or a function
    from the key to a path. In the text the key is written as one file name: letters, digits, `-`, `_`, `~` and `.` as
    they are, all else as `%` and two digits for each byte, so `agent:main/1` is `agent%3Amain%2F1`, and a key of dots
    alone has them written so too. No key leads out of the folder; what a function returns is checked for that.

    ALIVE when the file is there, MISSING when it is not. UNKNOWN when nobody can tell: the task names no child session,
    the folder itself is not there or cannot be read. A folder that is empty while its disk is not mounted looks like
    one without sessions: name a `marker`, a file that every store has, and without it nothing is missing.

    `ended` is given the path and reads how the session ended: it returns a `Verdict`, or None when it has not. With it
    tasks that are already lost are looked at too, and recovered as what they were.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        path: str | Callable[[str], str | os.PathLike[str]] = "{session}",
        *,
        marker: str | None = None,
        ended: Callable[[Path], Verdict | None] | None = None,
    ) -> None:
        self._folder, self._marker, self._ended = Path(folder), marker, ended
        self._path = path if callable(path) else _named_by(path)
        self.recovers = ended is not None

    def __call__(self, task: TaskRecord) -> Verdict:
        session = task.child_session_key
        if session is None:
            return Verdict.unknown("the task names no child session")
        inner = Path(self._path(session))
        if _leads_out(inner):
            return Verdict.unknown(f"the session {session!r} leads out of the store: {inner}")
        file = self._folder / inner
        seen = {"session": session, "file": fields.report("file", str(file), bytes_max=FILE_BYTES_MAX)}
        try:
            found = file.stat()
        except FileNotFoundError:
            return self._without(file, seen)
        except OSError as error:
            return Verdict.unknown({**seen, "detail": f"the session cannot be seen: {_in_words(error)}"})
        ended = None if self._ended is None else self._ended(file)
        return ended or Verdict.alive({**seen, "modified": found.st_mtime_ns // NS_PER_MS})

    def _without(self, file: Path, seen: dict[str, str | None]) -> Verdict:
        """The file is not there: that says something only when its store is."""
        try:
            if any(place.is_symlink() and not place.exists() for place in (file, *file.parents)):
                return Verdict.unknown({**seen, "detail": "the session is behind a link that leads nowhere"})
            (self._folder / (self._marker or "")).stat()
        except OSError as error:
            return Verdict.unknown({**seen, "detail": f"the store cannot be seen: {_in_words(error)}"})
        return Verdict.missing({**seen, "detail": "the child session is gone"})


def file_name(session: str) -> str:
    """Return a session's key as one file name; different keys have different names."""
    if not session.strip("."):
        return "%2E" * len(session)
    return quote(session, safe="")


def _named_by(template: str) -> Callable[[str], str]:
    if "{session}" not in template or _leads_out(Path(template)):
        raise InvalidInput("path", template, "a path within the store that has {session} in it")
    return lambda session: template.replace("{session}", file_name(session))


def _leads_out(path: Path) -> bool:
    return path.is_absolute() or ".." in path.parts or not path.parts


def _in_words(error: OSError) -> str:
    return error.strerror or type(error).__name__
