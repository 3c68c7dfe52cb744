"""The unfinished: a folder that is made beside its place, and stands there only when it is whole."""

import errno
import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tallystick.ledger.errors import Full, InvalidInput, StoreError
from tallystick.ledger.store.folder import NO_ROOM, not_opened, sync_folder

UNFINISHED = ".unfinished"
"""What follows the name of a folder as long as it is not whole."""


class Unfinished:
    """A folder for this user alone, made as a context: `finish` puts it in its place, or it is gone at the block's end.

    What a process left that was killed in the middle is removed by the next one that makes the same folder.
    Raises `InvalidInput` when something stands in its place, `StoreError` when another process is making it, `Full`.
    """

    def __init__(self, target: Path) -> None:
        self.target = target.absolute()
        self.path = self.target.with_name(self.target.name + UNFINISHED)
        self._lock: int | None = None

    def __enter__(self) -> Self:
        check_free(self.target)
        try:
            self._make()
        except OSError as error:
            raise not_opened(self.path, error.errno or 0, str(error)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            self._let_go()
        if isinstance(error, OSError):
            # A disk that took only a part of a write may say so as an input/output error.
            if error.errno in NO_ROOM:
                raise Full(f"the disk of {self.target} is full", bytes=0) from error
            raise not_opened(self.target, error.errno or 0, str(error)) from error

    def finish(self) -> None:
        """Make all of it durable, and put it in its place."""
        for path, folders, files in os.walk(self.path):
            for name in files:
                _sync_file(Path(path, name))
            for name in folders:
                sync_folder(Path(path, name))
        sync_folder(self.path)
        try:
            self.path.rename(self.target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _taken(self.target) from error
            raise
        sync_folder(self.target.parent)
        self._let_go()

    def _make(self) -> None:
        for _ in range(2):
            with suppress(FileExistsError):
                self.path.mkdir(0o700)
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(lock)
                what = f"{self.target} is being made by another process"
                raise StoreError(f"{what}: wait for it, or name another place.") from error
            if not any(self.path.iterdir()) and os.path.samestat(os.fstat(lock), self.path.stat()):
                self._lock = lock
                self.path.chmod(0o700)
                return
            shutil.rmtree(self.path, ignore_errors=True)  # somebody was killed in the middle
            os.close(lock)
        raise StoreError(f"{self.path} cannot be removed: remove it, then begin again.")

    def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def check_free(target: Path) -> None:
    """Raise `InvalidInput` unless a folder can be made here: nothing or an empty one is there, and what it is in is."""
    try:
        found = list(target.iterdir())[:1]
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise not_opened(target, error.errno or 0, str(error)) from error
    if found or target.is_symlink():
        raise _taken(target)
    if not target.parent.is_dir():
        raise InvalidInput("path", str(target), f"a place in a folder that exists; {target.parent} does not")


def _taken(target: Path) -> InvalidInput:
    return InvalidInput("path", str(target), "a folder that is not there yet, or an empty one")


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
