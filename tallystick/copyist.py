"""The copyist: a process of its own that makes a backup, so that the one that writes goes on, and its map can grow."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.actors.log import logger
from tallystick.ledger.errors import InvalidInput, StoreError, TallystickError

if TYPE_CHECKING:
    from tallystick.backup import Backup

log = logger("face")

_CODE = "from tallystick.copyist import main; main()"
_SAID_CHARACTERS = 400


def backup(ledger: Path | None, path: object, *, now: int) -> "Backup":
    """Have a backup of a ledger made, and wait for it. Raises as `backup.make`, and `StoreError` when nobody can."""
    if ledger is None:
        raise InvalidInput("ledger", "in memory", "a ledger in a folder: there is nothing to copy")
    if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
        raise InvalidInput("path", path, "the path of a folder that is not there yet, or empty")
    try:
        made = _asked(ledger, Path(os.fspath(path)), now)
    except TallystickError as error:
        _tell(path, error)
        raise
    log.info("backup_made", path=made.path, events=made.events, head=made.head, bytes=made.bytes, seconds=made.seconds)
    return made


def _tell(path: object, error: TallystickError) -> None:
    log.error("backup_failed", path=str(path), error=str(error))


def _asked(ledger: Path, target: Path, now: int) -> "Backup":
    if not sys.executable:
        raise StoreError('This process has no Python to start. Run "tally backup" instead.')
    # What this process imports, that one does too.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-P", "-c", _CODE, str(ledger.absolute()), str(target.absolute()), str(now)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment)
    except OSError as error:
        raise StoreError(f"No process could be started that makes a backup: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_SAID_CHARACTERS:]
        raise StoreError(f"The process that makes a backup ended with {done.returncode}. {said}")
    told = pickle.loads(done.stdout)  # noqa: S301 - our own process has written it
    if isinstance(told, BaseException):
        raise told
    return told  # type: ignore[no-any-return]  # it is one


def main() -> None:
    """Make a backup as another process wants it, and tell that on standard output."""
    from tallystick.backup import make

    os.nice(10)  # whoever writes comes first
    ledger, target, now = sys.argv[1:]
    told: object
    try:
        told = make(Path(ledger), Path(target), now=int(now))
    except TallystickError as error:
        told = error
    sys.stdout.buffer.write(pickle.dumps(told))
