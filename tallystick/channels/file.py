"""The file: one line of JSON for each delivery, appended to a file."""

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tallystick.channels.message import data_of
from tallystick.channels.speech import Speech
from tallystick.ledger.delivery import Delivery, Permanent, Receipt, Retryable, Unconfirmed
from tallystick.ledger.errors import InvalidInput

MODE = 0o600  # what tasks say is nobody else's business

_MAY_PASS = frozenset({errno.EAGAIN, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC})


class FileSender:
    """Appends whole lines, and returns when they are on the disk; threads and processes may share the file.

    The file is opened anew for each line, so one that was moved away is followed by a new one. A line that was sent
    twice is there twice: whoever reads knows it by its id.
    """

    def __init__(self, speech: Speech, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        del secrets
        self._speech, self._path = speech, Path(settings["path"]).expanduser()
        self.secrets: tuple[str, ...] = speech.secrets
        self._look(f"channel.{speech.channel}.path", settings["path"])

    def _look(self, field: str, said: str) -> None:
        """Look whether lines can be written. Makes nothing. Raises `InvalidInput`."""
        place = self._path if self._path.exists() else self._path.parent
        if place is self._path and not place.is_file():
            raise InvalidInput(field, said, "the path of a regular file, or of none")
        if place is not self._path and not place.is_dir():
            raise InvalidInput(field, said, "a file in a folder that is there: make the folder, or name another")
        needed = os.R_OK | os.W_OK if place is self._path else os.W_OK | os.X_OK
        if not os.access(place, needed):
            raise InvalidInput(field, said, f"a file that this user may write; see who may write {place}")

    def send(self, delivery: Delivery) -> Receipt:
        line = line_of(delivery)
        try:
            is_new = not self._path.exists()
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, MODE)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            self._append(handle, line)
            os.fsync(handle)
            if is_new:
                self._sync_folder()
        except OSError as error:
            raise Unconfirmed(self._speech(f"written, perhaps not to the disk: {error.strerror}")) from error
        finally:
            os.close(handle)  # which ends the lock
        return Receipt(delivery.id)

    def _append(self, handle: int, line: bytes) -> None:
        """Write a whole line or nothing: what a full disk has cut, and what a crash has left, does not stay half."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            told = os.fstat(handle)
            if not stat.S_ISREG(told.st_mode):
                raise Permanent(self._speech(f"not written: {self._path} is no regular file"))
            if told.st_size and os.pread(handle, 1, told.st_size - 1) != b"\n":
                line = b"\n" + line
            written = os.write(handle, line)
            if written < len(line):
                os.ftruncate(handle, told.st_size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> Exception:
        text = self._speech(f"not written to {self._path}: {error.strerror}")
        return Retryable(text) if error.errno in _MAY_PASS else Permanent(text)

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Nothing is held open between two lines."""


def line_of(delivery: Delivery) -> bytes:
    """Return the line that a delivery becomes. JSON has no line break in it, whatever the text has."""
    said = {**data_of(delivery), "queuedAt": delivery.queued_at, "attempt": delivery.attempt}
    return msgspec.json.encode(said) + b"\n"


sender = FileSender
