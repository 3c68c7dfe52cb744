"""The request: what a process asks the owner of a ledger for, another process, and how it hears what became of it.

Whoever asks rings with an id of its own, and waits for a note in the log that begins with this id.
There are as many notes as there are first bytes: where two ask at once and theirs are the same, the later answer stays,
and to the other it is as if nobody had answered.
"""

import os
import time
from pathlib import Path
from typing import Self

from msgspec import Struct

from tallystick.ledger.store.port import EventLog
from tallystick.owner import live_owner
from tallystick.sharing.bell import DOOR_NAME, ring

ID_BYTES = 8
LOOK_S = 0.01  # between two looks for the answer
ALIVE_S = 1.0  # between two looks whether there still is an owner that may answer


class Request(Struct, frozen=True):
    """What somebody asks: `id` tells it from the requests of others, `said` is all that is to be known of it."""

    id: bytes
    said: bytes = b""

    @classmethod
    def heard(cls, kind: bytes, message: bytes) -> Self | None:
        """Return what was rung as a request of a kind; None for what was cut off."""
        rest = message.removeprefix(kind)
        return cls(rest[:ID_BYTES], rest[ID_BYTES:]) if len(rest) >= ID_BYTES else None

    def answer(self, name: bytes, told: bytes) -> tuple[bytes, bytes]:
        """Return the note, its name and its value, that tells whoever asked what became of it."""
        return name + self.id[:1], self.id + told


def send(folder: Path, kind: bytes, said: bytes = b"") -> Request | None:
    """Ask the owner of the ledger in a folder; None when nobody hears."""
    request = Request(os.urandom(ID_BYTES), said)
    return request if ring(folder / DOOR_NAME, kind + request.id + said) else None


def answered(folder: Path, event_log: EventLog, name: bytes, request: Request, within_s: float) -> bytes | None:
    """Wait for what became of a request; None when nobody has said so in time, or nobody owns the ledger any more."""
    deadline, look_at = time.monotonic() + within_s, time.monotonic() + ALIVE_S
    while (told := _told(event_log, name, request)) is None and (now := time.monotonic()) < deadline:
        if now >= look_at:
            look_at = now + ALIVE_S
            if live_owner(folder) is None:
                return _told(event_log, name, request)  # it may have been its last word
        time.sleep(LOOK_S)
    return told


def unreadable(who: object, error: Exception) -> str:
    """Say that an answer cannot be read: somebody of another version answered, or somebody else wrote it."""
    return f"what {who} said cannot be read: {error}"


def _told(event_log: EventLog, name: bytes, request: Request) -> bytes | None:
    note = event_log.note(name + request.id[:1])
    return note[ID_BYTES:] if note is not None and note.startswith(request.id) else None
