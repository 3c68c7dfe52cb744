"""The guest: sends commands to the owner of a ledger through its inbox, and hears what became of them."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from tallystick.actors.discretion import Discretion
from tallystick.actors.envelope import Reply
from tallystick.ledger.commands import Command
from tallystick.ledger.errors import StoreError, TallystickError
from tallystick.ledger.store.inbox import CLIENT_BYTES, INBOX_FOLDER, CommandInbox
from tallystick.sharing.bell import DOOR_NAME, LOOK, Bell, ring
from tallystick.sharing.door import client_name
from tallystick.sharing.lookout import give

HEARD_MAX = 64  # answers that are forgotten together

NOT_KNOWN = "Whether the command was recorded is not known: read the task, then decide anew."


class Sending(Struct, frozen=True):
    """A command on its way, and where its answer goes; so many hooks were `asked` for the secrets in it."""

    stream: bytes
    command: Command
    reply: Reply
    asked: int = 0

    def discreet(self, discretion: Discretion) -> Self:
        """Return it without secrets in its command. Hooks are asked once, unless others have come since."""
        hooks = len(discretion.hooks)  # first: one that comes while these are asked is asked the next time
        if self.asked == hooks:
            return self
        return replace(self, command=discretion.said(self.command, self.stream), asked=hooks)


class Guest:
    """One client of a ledger's inbox. For one thread; others may `wake` its bell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = os.urandom(CLIENT_BYTES)
        self._inbox: CommandInbox | None = None
        self._heard: list[int] = []
        self.bell = Bell(folder / INBOX_FOLDER, client_name(self._client))
        self.waiting: dict[int, Reply] = {}
        """The commands that are not answered yet, by their places in the inbox."""

    def send(self, sendings: Sequence[Sending]) -> int:
        """Let commands wait for the owner, and wake it; how many there was room for, from the first on.

        None is sent while the owner has not made the inbox ready. Raises `Busy` when there is no room, `Full`.
        """
        inbox = self._ready()
        if inbox is None:
            return 0
        commands = [(sending.stream, sending.command) for sending in sendings]
        heard, self._heard = self._heard, []
        places = inbox.send(self._client, commands, heard=heard)
        self.waiting.update(zip(places, (sending.reply for sending in sendings), strict=False))
        return len(places)

    def wake_owner(self) -> bool:
        """Ring at the owner's door; False when nobody hears there."""
        return ring(self._folder / DOOR_NAME, LOOK)

    def collect(self) -> None:
        """Give out the answers that there are."""
        inbox = self._inbox
        if not self.waiting or inbox is None:
            return
        for place, answer in inbox.answered(tuple(self.waiting)).items():
            give(self.waiting.pop(place), StoreError(NOT_KNOWN) if answer is None else answer)
            self._heard.append(place)
        if len(self._heard) >= HEARD_MAX:
            heard, self._heard = self._heard, []
            inbox.forget(heard)
        if self.waiting and not inbox.is_current():
            self.fail(StoreError(f"The inbox of the ledger was damaged, and began anew. {NOT_KNOWN}"))

    def fail(self, error: BaseException) -> None:
        """Answer all who wait with an error."""
        waiting, self.waiting = self.waiting, {}
        for reply in waiting.values():
            give(reply, error)

    def close(self) -> None:
        """Forget the answers that were heard, and let go of the files."""
        self.bell.close()
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            with suppress(TallystickError):  # then the owner drops them
                inbox.forget(self._heard)
            inbox.close()

    def _ready(self) -> CommandInbox | None:
        inbox = self._inbox
        if inbox is not None and not inbox.is_current():
            inbox.close()
            inbox = None
        if inbox is None:
            inbox = self._inbox = CommandInbox.open(self._folder)
            if inbox is not None:
                self.bell.hang()
        return inbox
