"""The call: what every command is told by its options: which ledger, which configuration, text or JSON."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.ledger.errors import InvalidInput

if TYPE_CHECKING:  # loaded by the commands that open a ledger; `--help` and `completion` do without
    from tallystick.config import Config
    from tallystick.projections.due import DueRules
    from tallystick.readings import Readings

LEDGER_VARIABLE = "TALLYSTICK_LEDGER"
LEDGER_ALLOWED = 'the folder of a ledger; "tally run -- COMMAND" makes one, "tally demo" shows one'
READABLE = "a folder that this user may read"


class Call:
    """One call of `tally`. Options given before the command's name count as if they stood behind it."""

    def __init__(self) -> None:
        self.ledger: Path | None = None
        self.config: Path | None = None
        self.json = False

    @property
    def is_default(self) -> bool:
        """Whether nobody named a ledger, so that it is the one in the user's state folder."""
        return self.ledger is None and not os.environ.get(LEDGER_VARIABLE)

    @property
    def folder(self) -> Path:
        """The ledger's folder: `--ledger`, else $TALLYSTICK_LEDGER, else in the user's state folder."""
        if self.ledger is not None:
            return self.ledger
        named = os.environ.get(LEDGER_VARIABLE)
        if named:
            return Path(named)
        from platformdirs import user_state_path

        return user_state_path("tallystick", appauthor=False)

    @property
    def settings(self) -> "Config":
        """The configuration: the ledger's own file, then `--config`, then variables. Raises `InvalidInput`."""
        from tallystick.config import load

        return load(self.folder, self.config)

    @property
    def rules(self) -> "DueRules":
        """What the configuration says of when a task is due; its channels are nothing to who only reads.

        Raises `InvalidInput`.
        """
        from tallystick.config import load
        from tallystick.readings import due_rules

        return due_rules(load(self.folder, self.config, channels=False))

    def require(self) -> Path:
        """Return the folder. Raises `InvalidInput` when it has no ledger, or none that may be looked at."""
        from tallystick.readings import LOG_FOLDER

        folder = self.folder
        try:
            found = (folder / LOG_FOLDER).stat()
        except OSError as error:
            allowed = READABLE if error.errno in (errno.EACCES, errno.EPERM) else LEDGER_ALLOWED
            raise InvalidInput("ledger", str(folder), allowed) from error
        if not os.access(folder / LOG_FOLDER, os.R_OK | os.X_OK) or not found.st_mode:
            raise InvalidInput("ledger", str(folder), READABLE)
        return folder

    @contextmanager
    def readings(self, *, or_none_yet: bool = False) -> Iterator["Readings"]:
        """Open the ledger for reading.

        `or_none_yet` takes the default ledger for an empty one while nobody has made it. Raises what opening raises.
        """
        from tallystick.readings import LOG_FOLDER, Readings

        if or_none_yet and self.is_default and not (self.folder / LOG_FOLDER).exists():
            from tallystick.ledger.store.memory import MemoryLog

            readings = Readings(MemoryLog(), None, rules=self.rules, folder=self.folder)
        else:
            folder = self.require()
            readings = Readings.open(folder, rules=self.rules)
        try:
            yield readings
        finally:
            readings.close()

    def options(self) -> list[str]:
        """Return the options that lead another call of `tally` to the same ledger."""
        options = [] if self.ledger is None else ["--ledger", str(self.ledger)]
        return options if self.config is None else [*options, "--config", str(self.config)]
