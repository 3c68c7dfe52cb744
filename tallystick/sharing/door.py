"""The door: where the owner of a ledger hears other processes and takes what they have put into its inbox."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tallystick.actors.log import logger
from tallystick.actors.porter import Heard, Porter
from tallystick.actors.system import System
from tallystick.ledger.errors import TallystickError
from tallystick.ledger.ids import ID_BYTES
from tallystick.ledger.limits import CHECKPOINT_BYTES_MAX
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.sharing.bell import (
    ASKED_BYTES_MAX,
    ATTEST,
    DOOR_NAME,
    FORGET,
    LEASE,
    LOOK,
    MESSAGE_BYTES_MAX,
    SEAL,
    UPKEEP,
    YIELD,
    Bell,
    ring,
    take_down,
)

log = logger("face")

LOOK_S = 1.0
"""How often the owner looks into the inbox although nobody rings."""

CLOSE_S_MAX = 30.0

_TTL_BYTES = 8

KeepAlive = Callable[[bytes, int], object]


def lease_message(stream: bytes, ttl_ms: int) -> bytes:
    """Return what is rung to say that the work behind a task lives."""
    return LEASE + stream + ttl_ms.to_bytes(_TTL_BYTES)


CLIENTS = "*.sock"


def client_name(client: bytes) -> str:
    """Return the name of the bell of a client, in the folder of the inbox."""
    return f"{client.hex()}.sock"


class Door:
    """One thread beside the system of an owner. `close` it before the system: what it has taken is answered then."""

    def __init__(
        self,
        folder: Path,
        system: System,
        *,
        keep_alive: KeepAlive | None = None,
        heard: Heard | None = None,
        asked_to_yield: Callable[[], None] | None = None,
        chore: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        self._folder, self._system, self._chore = folder, system, chore
        self._keep_alive, self._heard, self._asked_to_yield = keep_alive, heard, asked_to_yield
        self._bell = Bell(folder, DOOR_NAME, bytes_max=MESSAGE_BYTES_MAX + max(CHECKPOINT_BYTES_MAX, ASKED_BYTES_MAX))
        self._inbox: CommandInbox | None = None
        self._porter: Porter | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tallystick-door", daemon=True)

    def open(self) -> None:
        """Hang the bell and begin to look. Only the holder of the owner's lock may."""
        if not self._bell.hang():
            log.error("bell_not_hung", folder=str(self._folder))  # then others are seen at the next look
        self._thread.start()

    def close(self) -> None:
        """Answer what was taken, and take no more: it waits for the next owner. Closing twice is allowed."""
        self._closing = True
        self._bell.wake()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S_MAX)
        self._bell.close()

    def _run(self) -> None:
        try:
            while not self._closing:
                try:
                    self._serve()
                except TallystickError as error:  # no space, say: there may be some at the next look
                    log.error("inbox_not_served", error=str(error))  # noqa: TRY400 - the sentence says it
                except Exception:
                    log.exception("inbox_failed")
                if not self._closing:
                    self._listen()
        finally:
            if self._inbox is not None:
                self._inbox.close()

    def _serve(self) -> None:
        """Carry what waits, slice by slice, and tell who sent it."""
        if self._porter is None:
            if not (self._folder / INBOX_FOLDER).exists():
                return
            self._inbox = CommandInbox.open_as_owner(self._folder)
            self._porter = Porter(self._system, self._inbox, heard=self._heard)
            take_down(self._folder / INBOX_FOLDER, CLIENTS)
        while not self._closing:
            clients = self._porter.carry()
            if not clients:
                return
            for client in clients:
                ring(self._folder / INBOX_FOLDER / client_name(client), LOOK)

    def _listen(self) -> None:
        for message in set(self._bell.hear(LOOK_S)):
            if message == YIELD and self._asked_to_yield is not None:
                self._asked_to_yield()
            elif message.startswith(LEASE) and len(message) == len(LEASE) + ID_BYTES + _TTL_BYTES:
                self._note_life(message)
            elif self._chore is not None:
                kind = next(filter(message.startswith, (UPKEEP, SEAL, ATTEST, FORGET)), None)
                if kind is not None:
                    self._chore(kind, message)

    def _note_life(self, message: bytes) -> None:
        stream, ttl = message[len(LEASE) : -_TTL_BYTES], message[-_TTL_BYTES:]
        if self._keep_alive is not None:
            with suppress(TallystickError):  # of a task that has ended, say: nobody waits for an answer
                self._keep_alive(stream, int.from_bytes(ttl))
